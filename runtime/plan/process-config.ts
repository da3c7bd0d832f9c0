import type { ContainerSpec } from "../container-spec.ts";
import type { ImageConfig } from "../images/image-store.ts";

/** What the first process is started with, after image and container were put together. */
export type ProcessConfig = {
  readonly argv: readonly string[];
  /** `NAME=value`, each name once. */
  readonly environment: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly stopSignal: string;
};

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Puts a container's wishes over its image's configuration, by Docker's rules: an own entrypoint drops the image's
 * command. Throws when neither says what to run.
 */
export function resolveProcess(
  spec: Pick<
    ContainerSpec,
    | "entrypoint"
    | "command"
    | "environment"
    | "user"
    | "workingDir"
    | "stopSignal"
    | "name"
    | "image"
    | "tty"
  >,
  image: ImageConfig,
): ProcessConfig {
  const entrypoint = spec.entrypoint ?? image.entrypoint;
  const command = spec.command ?? (spec.entrypoint === undefined ? image.command : []);
  const argv = [...entrypoint, ...command];
  if (argv.length === 0) {
    throw new Error(
      `cannot start ${spec.name}: the image ${spec.image.reference} names no command, set "command" or "entrypoint"`,
    );
  }
  const workingDir = spec.workingDir ?? image.workingDir;
  return {
    argv,
    environment: mergeEnvironment(image.env, spec.environment, spec.tty),
    user: spec.user ?? image.user,
    workingDir: workingDir === "" ? "/" : workingDir,
    stopSignal: spec.stopSignal ?? (image.stopSignal === "" ? "SIGTERM" : image.stopSignal),
  };
}

/** Image variables, then the container's own over them; PATH is always there. */
function mergeEnvironment(
  image: readonly string[],
  own: Readonly<Record<string, string>>,
  tty: boolean,
): readonly string[] {
  const merged = new Map<string, string>([["PATH", defaultPath]]);
  if (tty) merged.set("TERM", "xterm");
  for (const entry of image) {
    const at = entry.indexOf("=");
    if (at > 0) merged.set(entry.slice(0, at), entry.slice(at + 1));
  }
  for (const [name, value] of Object.entries(own)) merged.set(name, value);
  return [...merged].map(([name, value]) => `${name}=${value}`);
}
