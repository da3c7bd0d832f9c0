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
};

export function createRegistryControl({ core, loop }: ControlContext): RegistryControl {
  const { registries } = core.runtime.images;
  return {
    async logIn(text, credentials, abort) {
      const registry = await registries.logIn(text, credentials, abort);
      // What was refused without them may be had now.
      core.puller.forgetFailures();
      loop.trigger("logged in");
      return { registry };
    },
    logOut: (registry) => registries.logOut(registry),
  };
}
