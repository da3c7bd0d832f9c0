/** A `Control` over plain data, with real child processes for exec: what the API and the CLI are tested against. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import type { Control, PsEntry, StatusReport } from "../../agent/control/control.ts";
import type { ImageReport } from "../../agent/control/image-control.ts";
import type { RolloutReport } from "../../agent/control/rollout-control.ts";
import type { ExecSpec } from "../../runtime/container-spec.ts";
import type { ProcessSession } from "../../runtime/runtime.ts";

export const sha = "1a2b3c4d".repeat(5);

export const sampleStatus: StatusReport = {
  host: "web1",
  instance: "berth",
  source: {
    url: "https://git.example/fleet.git",
    ref: "main",
    fetchedAt: "2026-01-31T12:00:00.000Z",
    error: null,
    unreachableSince: null,
  },
  wanted: sha,
  running: sha,
  quarantined: [],
  suspended: [],
  errors: [],
  pulls: [],
  apps: [
    {
      name: "shop",
      state: "running",
      verdict: "healthy",
      revision: sha,
      reason: "",
      crashLooping: [],
      services: [{ name: "web", replicas: 2, ready: 2 }],
    },
  ],
};

export const samplePs: PsEntry = {
  id: "ab".repeat(32),
  name: "shop-web-1",
  app: "shop",
  service: "web",
  replica: 1,
  image: "docker.io/library/web:1",
  imageDigest: `sha256:${"cd".repeat(32)}`,
  state: "running",
  exitCode: null,
  health: "healthy",
  restarts: 0,
  ports: [{ hostIp: "0.0.0.0", hostPort: 8080, containerPort: 80, protocol: "tcp" }],
  pid: 4711,
  ip: { default: "10.210.0.2" },
  createdAt: "2026-01-31T12:00:00.000Z",
  startedAt: "2026-01-31T12:00:01.000Z",
  revision: sha,
  byHand: false,
};

const sampleRollout: RolloutReport = {
  app: "shop",
  revision: sha,
  cause: "commit",
  commit: { author: "Ann <ann@example.org>", subject: "Greet with ahoy" },
  startedAt: "2026-01-31T12:00:00.000Z",
  finishedAt: "2026-01-31T12:00:02.000Z",
  verdict: "rolled-back",
  reason: "shop-web-1 ended with exit code 3",
  steps: [
    {
      kind: "start-container",
      target: "shop-web-1",
      outcome: "done",
      startedAt: "2026-01-31T12:00:00.250Z",
      tookMs: 20,
    },
  ],
};

const sampleNetwork = {
  name: "shop_default",
  labels: {},
  bridge: "bt0",
  subnet: "10.210.0.0/24",
  gateway: "10.210.0.1",
  internal: false,
  containers: { web: "10.210.0.2" },
} as const;

export const sampleImage: ImageReport = {
  digest: `sha256:${"cd".repeat(32)}`,
  references: ["docker.io/library/web:1"],
  sizeBytes: 1_572_864,
  pulledAt: "2026-01-31T12:00:00.000Z",
  inUse: true,
};

/** Calls that were made, as `verb argument…`, beside the control. */
export function createSampleControl(changes: Partial<Control> = {}): {
  readonly control: Control;
  readonly calls: string[];
} {
  const calls: string[] = [];
  const note = async (...words: readonly unknown[]): Promise<void> => {
    calls.push(
      words.map((word) => (typeof word === "string" ? word : JSON.stringify(word))).join(" "),
    );
  };
  const control: Control = {
    status: async () => sampleStatus,
    plan: async () => ({ revision: sha, steps: [], heldBack: [] }),
    sync: async () => ({ revision: sha, verdict: "healthy", reason: "", leftAlone: [] }),
    ps: async ({ all }) =>
      all
        ? [samplePs, { ...samplePs, name: "shop-web-2", state: "exited", exitCode: 3 }]
        : [samplePs],
    inspect: async (name) => ({ name, kind: "container" }),
    stop: (name, options) => note("stop", name, options),
    start: (name) => note("start", name),
    restart: (name, options) => note("restart", name, options),
    kill: (name, signal) => note("kill", name, signal),
    exec: async (name, spec) => {
      await note("exec", name, ...spec.argv);
      return startSession(spec);
    },
    runAttached: async (request, owner) => {
      await note("runAttached", request.name, owner);
      const session = startSession({ ...attachedCommand, stdin: owner.stdin });
      return { session, tty: false, id: "1f".repeat(32) };
    },
    attach: async (name, options) => {
      await note("attach", name, options);
      return { session: startSession({ ...attachedCommand, stdin: options.stdin }), tty: false };
    },
    copy: async (name, { path, ...rest }) => {
      await note("copy", name, path, rest);
      return startSession({ ...copyCommand, stdin: rest.direction === "in" });
    },
    pause: (name) => note("pause", name),
    unpause: (name) => note("unpause", name),
    wait: async () => ({ code: 3, signal: null }),
    top: async () => [
      {
        pid: 4711,
        containerPid: 1,
        uid: 0,
        state: "S",
        memoryBytes: 1_048_576,
        cpuMs: 1230,
        command: "web --listen",
      },
    ],
    logs: async () => from([]),
    stats: () => from([]),
    events: () => from([]),
    images: async () => [sampleImage],
    pull: async (reference) => ({ ...sampleImage, references: [reference] }),
    load: async (path) => {
      await note("load", path);
      return [sampleImage];
    },
    importImage: async (path, options) => {
      await note("import", path, { ...options, abort: undefined });
      return sampleImage;
    },
    commitContainer: async (name, options) => {
      await note("commit", name, { ...options, abort: undefined });
      return sampleImage;
    },
    exportContainer: (name, { pause }) => {
      calls.push(`export ${name} ${pause}`);
      return from([Buffer.from(`root of ${name}`)]);
    },
    saveImages: (names, { format }) => {
      calls.push(`save ${format} ${names.join(" ")}`);
      return from([Buffer.from("archive of "), Buffer.from(names.join(" "))]);
    },
    saveLayout: (names, { path }) => note("save-layout", path, ...names),
    rollback: async (options) => {
      await note("rollback", options);
      return sampleRollout;
    },
    suspend: (app) => note("suspend", app ?? "all"),
    resume: (app) => note("resume", app ?? "all"),
    history: async (app) => (app === undefined || app === "shop" ? [sampleRollout] : []),
    why: async (name) => ({
      container: name,
      app: "shop",
      id: samplePs.id,
      revision: sha,
      commit: sampleRollout.commit,
      createdAt: samplePs.createdAt,
      reason: [{ field: "environment.GREETING", from: null, to: "ahoy" }],
      restarts: 1,
      failure: { at: samplePs.createdAt, how: "exit code 3" },
      rollout: sampleRollout,
    }),
    tagImage: async (name, reference) => {
      await note("tag", name, reference);
      return { ...sampleImage, references: [...sampleImage.references, reference] };
    },
    removeImage: async (name) => {
      await note("rmi", name);
      return { digest: sampleImage.digest, references: [name], isRemoved: true, bytes: 1_048_576 };
    },
    pruneImages: async (options) => {
      await note("prune", options);
      return {
        images: [{ digest: sampleImage.digest, references: [], bytes: 1_048_576 }],
        bytes: 1_048_576,
        dryRun: options.dryRun,
      };
    },
    imageHistory: async () => [
      { createdBy: "ADD rootfs.tar /", layer: { digest: sampleImage.digest, sizeBytes: 1024 } },
      { createdBy: 'CMD ["web"]', comment: "buildkit" },
    ],
    pushImage: async (name, { target = name }) => {
      await note("push", name, target);
      return { reference: target, digest: sampleImage.digest, missingPlatforms: ["linux/mips"] };
    },
    copyImage: async (from, to, { all }) => {
      await note("copy", from, to, { all });
      return { reference: to, digest: sampleImage.digest };
    },
    remoteTags: async () => ["1", "2"],
    deleteRemote: async (reference) => {
      await note("delete", reference);
      return { reference };
    },
    logIn: async (registry, { username }) => {
      await note("login", registry, username);
      return { registry: registry === "" ? "docker.io" : registry };
    },
    logOut: async (registry) => {
      await note("logout", registry);
      return { registry: registry === "" ? "docker.io" : registry, had: true };
    },
    diff: async () => [
      { kind: "C", path: "/etc" },
      { kind: "A", path: "/etc/new" },
      { kind: "D", path: "/etc/old" },
    ],
    volumes: async () => [
      { name: "data", labels: {}, path: "/v/data", createdAt: samplePs.createdAt, usedBy: ["web"] },
    ],
    removeVolume: (name) => note("removeVolume", name),
    networks: async () => [sampleNetwork],
    run: (request) => {
      note("run", request);
      return Promise.resolve({ name: request.name, id: samplePs.id });
    },
    remove: (name, options) => note("remove", name, options),
    adopt: async (name) => sampleAdoption(name),
    byHand: async () => ["db", "web"],
    down: ({ volumes }) => note("down", { volumes }),
    metrics: async () => ({
      parts: [new TextEncoder().encode("berth_"), new TextEncoder().encode("up 1\n")],
      release: () => {},
    }),
    ready: async () => true,
    ...changes,
  };
  return { control, calls };
}

function sampleAdoption(container: string): Awaited<ReturnType<Control["adopt"]>> {
  const compose = `name: ${container}\n`;
  const notes = ["root file system: 2 paths were changed in it"];
  return { container, path: `${container}/compose.yaml`, compose, hidden: ["DB_PASSWORD"], notes };
}

export async function* from<Value>(values: readonly Value[]): AsyncGenerator<Value> {
  yield* values;
}

const attachedCommand: ExecSpec = {
  argv: ["sh", "-c", "echo attached; cat"],
  environment: {},
  tty: false,
  stdin: true,
  detach: false,
};

/** An archive for who copies out, and the length of what is copied in. */
const copyCommand: ExecSpec = {
  argv: ["sh", "-c", "wc -c >&2; printf archive"],
  environment: {},
  tty: false,
  stdin: true,
  detach: false,
};

/** A session over a child process of the host. */
export function startSession(spec: ExecSpec): ProcessSession {
  const [command = "", ...rest] = spec.argv;
  const child = spawn(command, rest, {
    stdio: "pipe",
    env: { PATH: process.env.PATH, ...spec.environment },
  });
  if (!spec.stdin) child.stdin.end();
  const exit = new Promise<Awaited<ProcessSession["exit"]>>((resolve) => {
    child.once("exit", (code, signal) => {
      resolve({
        ...(code === null ? {} : { code }),
        ...(signal === null ? {} : { signal: constants.signals[signal] }),
        oomKilled: false,
        finishedAtMs: Date.now(),
      });
    });
  });
  return {
    pid: child.pid ?? 0,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exit,
    resize: () => undefined,
    signal: (signal) => child.kill(signal),
    close: () => child.kill("SIGKILL"),
  };
}
