import test from "ava";
import type { ImageConfig } from "../../runtime/images/image-store.ts";
import { resolveProcess } from "../../runtime/plan/process-config.ts";
import { signalNumber } from "../../runtime/plan/signals.ts";

const image: ImageConfig = {
  env: ["PATH=/image/bin", "A=image", "B=image"],
  entrypoint: ["/entry"],
  command: ["serve"],
  user: "web",
  workingDir: "/srv",
  stopSignal: "SIGQUIT",
  exposedPorts: [],
  volumes: [],
  labels: {},
};
const spec = {
  name: "app-web-1",
  image: { reference: "web:1", digest: "" },
  environment: {},
  tty: false,
};

test("what the container does not say comes from the image", (t) => {
  t.deepEqual(resolveProcess(spec, image), {
    argv: ["/entry", "serve"],
    environment: ["PATH=/image/bin", "A=image", "B=image"],
    user: "web",
    workingDir: "/srv",
    stopSignal: "SIGQUIT",
  });
});

test("an own command keeps the image's entrypoint, an own entrypoint drops the image's command", (t) => {
  t.deepEqual(resolveProcess({ ...spec, command: ["other"] }, image).argv, ["/entry", "other"]);
  t.deepEqual(resolveProcess({ ...spec, entrypoint: ["/own"] }, image).argv, ["/own"]);
  t.deepEqual(resolveProcess({ ...spec, entrypoint: [], command: ["x"] }, image).argv, ["x"]);
});

test("the container's variables win, each name stands once, PATH is always there", (t) => {
  const environment = { B: "own", C: "own" };
  t.deepEqual(
    resolveProcess({ ...spec, environment }, { ...image, env: ["B=image"] }).environment,
    ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "B=own", "C=own"],
  );
});

test("an image without a command needs one", (t) => {
  const empty = { ...image, entrypoint: [], command: [] };
  t.throws(() => resolveProcess(spec, empty), {
    message: /names no command, set "command" or "entrypoint"/,
  });
});

test("signals are known by name, short name, number and real-time offset", (t) => {
  for (const [name, number] of [
    ["SIGTERM", 15],
    ["term", 15],
    ["9", 9],
    ["SIGRTMIN", 34],
    ["RTMIN+3", 37],
    ["SIGRTMAX-1", 63],
  ] as const) {
    t.is(signalNumber(name), number, name);
  }
  for (const name of ["", "0", "65", "SIGNOTHING", "RTMIN+40", "-1"]) {
    t.throws(() => signalNumber(name), { message: /a name such as SIGTERM or a number/ }, name);
  }
});
