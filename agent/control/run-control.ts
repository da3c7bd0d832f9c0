import type { OwnerOptions, ProcessSession } from "../../runtime/runtime.ts";
import type { TransferStep } from "../images/transfer-meter.ts";
import type { RunSource } from "../store/run-store.ts";

export type RunRequest = {
  /** Of the app, its only service and its container. */
  readonly name: string;
  /** A Compose file as values, with that service alone; paths of the host are absolute. */
  readonly compose: RunSource;
  /** `missing`: where the image is not here; `always`: asks the registry again. */
  readonly pull: "missing" | "always" | "never";
  /** Once it has ended it is removed, with the volumes that have no name. */
  readonly remove: boolean;
  /** Every port that the image or the service exposes is published at a port of the host that is free. */
  readonly publishAll: boolean;
};

/** `onProgress` hears of the pull of an image that is not here. */
export type RunWatch = {
  readonly abort: AbortSignal;
  readonly onProgress: (progress: TransferStep) => void;
};

export type RunSession = {
  readonly session: ProcessSession;
  readonly tty: boolean;
  /** Of the container. */
  readonly id: string;
};

export type RunReport = { readonly name: string; readonly id: string };

export type AdoptReport = {
  readonly container: string;
  /** Where the file is to be committed, from the directory that the agent looks below. */
  readonly path: string;
  /** The Compose file as YAML. */
  readonly compose: string;
  /** Variables whose values are left out of it because they look like secrets. */
  readonly hidden: readonly string[];
  /** What the file does not carry over, or the host's policy refuses. */
  readonly notes: readonly string[];
};

/** Containers that operators run by hand: part of `Control`. */
export type RunControl = {
  /**
   * Runs a container that git does not have. Resolves once its program has been exec'ed; rejects, and leaves nothing, when
   * the request is wrong, the name or a port is taken, or the program cannot be started.
   */
  run(request: RunRequest, options: RunWatch): Promise<RunReport>;
  /**
   * The same in front of somebody: attached from before its first instruction. The end of the session is that of the
   * container, and of its removal where `request.remove` asks for one.
   */
  runAttached(request: RunRequest, owner: OwnerOptions, options: RunWatch): Promise<RunSession>;
  /**
   * Ends and removes a container that was run by hand. `force`: also one that runs; `volumes`: also its volumes that have
   * no name.
   */
  remove(
    name: string,
    options: { readonly force: boolean; readonly volumes: boolean },
    abort: AbortSignal,
  ): Promise<void>;
  /** The Compose file that takes over a container that was run by hand, without a restart once it is committed. */
  adopt(name: string, options: { readonly showSecrets: boolean }): Promise<AdoptReport>;
  /** Names of the containers that are run by hand. */
  byHand(): Promise<readonly string[]>;
};
