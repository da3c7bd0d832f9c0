import { fileURLToPath } from "node:url";
import test from "ava";
import type { ExecSpec } from "../../runtime/container-spec.ts";
import { startSession } from "../api/sample-control.ts";
import { startTestAgent } from "../api/test-agent.ts";
import { openTerminal } from "./open-terminal.ts";

const berth = fileURLToPath(new URL("../../bin/berth", import.meta.url));

test("the keyboard goes to the command byte for byte, interrupt key included", async (t) => {
  const { root } = await startTestAgent(t);
  const terminal = openTerminal(
    t,
    `${berth} exec -it --root ${root} web sh -c 'echo ready; head -c 4 | od -An -tx1; exit 5'`,
  );
  await terminal.shows(/ready/);
  terminal.type("a\u0003\u001a\r");
  await terminal.shows(/61 03 1a 0d/);
  t.is(await terminal.code, 5);
});

test("the command learns the size of the terminal at the start and at each change", async (t) => {
  const specs: ExecSpec[] = [];
  const sizes: unknown[] = [];
  const { root } = await startTestAgent(t, {
    exec: async (_name, spec) => {
      specs.push(spec);
      return { ...startSession(spec), resize: (size) => sizes.push(size) };
    },
  });
  const change = "sleep 1; stty rows 41 cols 101 < /dev/tty";
  const terminal = openTerminal(
    t,
    `stty rows 30 cols 90; (${change}) & exec ${berth} exec -it --root ${root} web sh -c 'echo ready; head -c 1'`,
  );
  await terminal.shows(/ready/);
  for (let tries = 0; tries < 100 && sizes.length < 2; tries += 1) await pause(50);
  terminal.type("x");
  t.is(await terminal.code, 0);
  t.deepEqual(specs[0]?.terminal, { rows: 30, columns: 90 });
  t.true(specs[0]?.tty);
  t.deepEqual(sizes.at(-1), { rows: 41, columns: 101 });
});

test("the terminal is as before when the command has ended, also by a signal", async (t) => {
  const { root } = await startTestAgent(t);
  const exec = `${berth} exec -it --root ${root} web sh -c 'kill -KILL $$'`;
  const terminal = openTerminal(t, `${exec}; echo code $?; stty -a`);
  await terminal.shows(/code 137/);
  await terminal.shows(/ icanon /);
  t.regex(await terminal.shows(/ echo /), /\bisig icanon /);
  t.is(await terminal.code, 0);
});

test("logs on a terminal carry nothing that the terminal would obey", async (t) => {
  const { root } = await startTestAgent(t, {
    logs: async () =>
      (async function* () {
        yield {
          stream: "stdout" as const,
          time: "T",
          text: "a\u001b]0;title\u0007b\u001b[2Jc\u009b31md\te\r\n",
        };
      })(),
  });
  const terminal = openTerminal(t, `${berth} logs --root ${root} web`);
  t.is(await terminal.code, 0);
  t.regex(terminal.seen(), /^abcd\te\r\n$/);
});

test("colour and progress appear on a terminal, and NO_COLOR forbids the colour", async (t) => {
  const { root } = await startTestAgent(t, {
    pull: async (reference, { onProgress }) => {
      const step = { reference, layer: "sha256:1", bytesTotal: 2_097_152, phase: "download" };
      onProgress({ ...step, bytesDone: 0 });
      await pause(200);
      onProgress({ ...step, bytesDone: 1_048_576 });
      await pause(50);
      return {
        digest: "sha256:1",
        references: [reference],
        sizeBytes: 2,
        pulledAt: "T",
        inUse: false,
      };
    },
  });
  const coloured = openTerminal(t, `${berth} status --root ${root}`);
  t.is(await coloured.code, 0);
  t.true(coloured.seen().includes("\u001b[32mhealthy"));
  const plain = openTerminal(t, `NO_COLOR=1 ${berth} status --root ${root}`);
  t.is(await plain.code, 0);
  t.false(plain.seen().includes("\u001b["));
  const pulling = openTerminal(t, `${berth} pull web:2 --root ${root}`);
  t.is(await pulling.code, 0);
  t.regex(pulling.seen(), /download 1\.0 MiB of 2\.0 MiB, \d+\.\d [KM]iB\/s, \d+s left/);
});

test("login asks for user and password, and shows the first only", async (t) => {
  const given: unknown[] = [];
  const { root } = await startTestAgent(t, {
    logIn: async (registry, credentials) => {
      given.push(registry, credentials);
      return { registry };
    },
  });
  const terminal = openTerminal(t, `${berth} login registry.example --root ${root}; stty -a`);
  await terminal.shows(/Username: /);
  terminal.type("robox\u007ft\r");
  await terminal.shows(/Password: /);
  terminal.type("wrong\u0015s3cret\r");
  await terminal.shows(/logged in to registry\.example as robot/);
  t.regex(await terminal.shows(/ echo /), /\bicanon\b/);
  t.is(await terminal.code, 0);
  t.deepEqual(given, ["registry.example", { username: "robot", password: "s3cret" }]);
  t.notRegex(terminal.seen(), /s3cret|wrong/);
  const given2 = openTerminal(t, `${berth} login -u x --root ${root}; echo code $?`);
  await given2.shows(/Password: /);
  given2.type("\u0003");
  await given2.shows(/code 130/);
  t.is(given.length, 2);
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
