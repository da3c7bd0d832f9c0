import { requireImage } from "../images/find-image.ts";
import type { ControlContext } from "./control-context.ts";

/** What can be asked of registries through the agent: its credentials, certificates and proxies hold. */
export type RegistryControl = {
  /** Checks the credentials with the registry and keeps them for the agent. `registry` may be empty: Docker Hub. */
  logIn(
    registry: string,
    credentials: { readonly username: string; readonly password: string },
    abort: AbortSignal,
  ): Promise<{ readonly registry: string }>;
  logOut(registry: string): Promise<{ readonly registry: string; readonly had: boolean }>;
  /** Sends an image of this host; `target` is a name of the image when it is left out. */
  pushImage(
    name: string,
    options: { readonly target?: string } & TransferOptions,
  ): Promise<{
    readonly reference: string;
    readonly digest: string;
    readonly missingPlatforms: readonly string[];
  }>;
  /** Copies from registry to registry; with `all` every platform. */
  copyImage(
    from: string,
    to: string,
    options: { readonly all: boolean } & TransferOptions,
  ): Promise<{ readonly reference: string; readonly digest: string }>;
  remoteTags(repository: string, abort: AbortSignal): Promise<readonly string[]>;
  deleteRemote(reference: string, abort: AbortSignal): Promise<{ readonly reference: string }>;
};

type TransferOptions = {
  readonly abort: AbortSignal;
  readonly onProgress: (progress: {
    readonly reference: string;
    readonly layer?: string;
    readonly bytesDone: number;
    readonly bytesTotal: number;
    readonly phase: string;
  }) => void;
};

export function createRegistryControl({ core, loop }: ControlContext): RegistryControl {
  const { registries } = core.runtime.images;
  const note = (kind: "image.pushed" | "image.copied", target: string, digest: string): void => {
    const message = `${target} is in its registry`;
    core.events.record({ kind, target, message, fields: { digest } });
  };
  return {
    async logIn(text, credentials, abort) {
      const registry = await registries.logIn(text, credentials, abort);
      // What was refused without them may be had now.
      core.puller.forgetFailures();
      loop.trigger("logged in");
      return { registry };
    },
    logOut: (registry) => registries.logOut(registry),
    async pushImage(name, { target = name, ...options }) {
      const image = requireImage(core.runtime.images, name);
      const pushed = await core.runtime.images.push(image.digest, target, options);
      note("image.pushed", target, pushed.digest);
      return { reference: target, ...pushed };
    },
    async copyImage(from, to, options) {
      const digest = await registries.copy(from, to, options);
      note("image.copied", to, digest);
      return { reference: to, digest };
    },
    remoteTags: (repository, abort) => registries.tags(repository, abort),
    async deleteRemote(text, abort) {
      const reference = await registries.delete(text, abort);
      core.events.record({
        kind: "image.deleted",
        target: reference,
        message: `${reference} was deleted in its registry`,
      });
      return { reference };
    },
  };
}
