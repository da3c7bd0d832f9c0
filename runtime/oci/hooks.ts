import { spawnSync } from "node:child_process";
import type { OciConfig, OciHook } from "./oci-config.ts";

/** The state of a container as the specification has it: what hooks read and `state` prints. */
export type OciState = {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: "creating" | "created" | "running" | "paused" | "stopped";
  readonly pid?: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** A hook as the helper runs it: what it reads is cut in two where the pid goes. */
export type HookPlan = {
  readonly path: string;
  readonly argv: readonly string[];
  readonly environment: readonly string[];
  /** 0: as long as it takes. */
  readonly timeoutMs: number;
  readonly beforePid: string;
  readonly afterPid: string;
};

export type HookPlans = {
  /** In the runtime's namespaces, once the container's exist. */
  readonly createRuntime: readonly HookPlan[];
  /** In the container's namespaces, with the runtime's root. */
  readonly createContainer: readonly HookPlan[];
  /** In the container, after its start was asked for. */
  readonly startContainer: readonly HookPlan[];
};

/** Hooks that are run while a container is made. `prestart` is the old name of `createRuntime`. */
export function planHooks(config: OciConfig, state: OciState): HookPlans {
  const plan = (
    hooks: readonly OciHook[] | null | undefined,
    status: OciState["status"],
    environment = inherited(),
  ) =>
    (hooks ?? []).map((hook): HookPlan => {
      const [beforePid = "", afterPid = ""] = around({ ...state, status, pid: 0 });
      return {
        path: hook.path,
        argv: argumentsOf(hook),
        environment: hook.env ?? environment,
        timeoutMs: (hook.timeout ?? 0) * 1000,
        beforePid,
        afterPid,
      };
    });
  const { hooks } = config;
  return {
    createRuntime: [
      ...plan(hooks?.prestart, "creating"),
      ...plan(hooks?.createRuntime, "creating"),
    ],
    createContainer: plan(hooks?.createContainer, "creating"),
    // In the container nothing of the caller's is known.
    startContainer: plan(hooks?.startContainer, "created", config.process?.env ?? []),
  };
}

/** A JSON text, cut wherever a field `pid` is 0, and without that 0. */
export function around(value: unknown): readonly string[] {
  return JSON.stringify(value).split(/(?<="pid":)0(?=[,}])/);
}

/** Runs a hook of the runtime's namespaces. Throws when it fails. */
export function runHook(hook: OciHook, state: OciState): void {
  const ended = spawnSync(hook.path, argumentsOf(hook).slice(1), {
    argv0: argumentsOf(hook)[0],
    env: Object.fromEntries(
      (hook.env ?? inherited()).map((entry) => {
        const at = entry.indexOf("=");
        return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
      }),
    ),
    input: JSON.stringify(state),
    stdio: ["pipe", "ignore", "inherit"],
    cwd: state.bundle,
    ...(hook.timeout == null ? {} : { timeout: hook.timeout * 1000, killSignal: "SIGKILL" }),
  });
  if (ended.status === 0) return;
  // One that does not read its state has an error of the pipe, too (EPIPE): its own end says more.
  const reason =
    ended.status === null ? (ended.error?.message ?? ended.signal) : `exit status ${ended.status}`;
  throw new Error(`cannot run the hook ${hook.path}: ${reason}`);
}

function argumentsOf(hook: OciHook): readonly string[] {
  return hook.args == null || hook.args.length === 0 ? [hook.path] : hook.args;
}

/** A hook of the host's that names no environment gets the caller's, as other runtimes have it. */
function inherited(): readonly string[] {
  return Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
}
