/** Where the instance lives and how its answers are printed: what every verb is given. */
import { resolve } from "node:path";
import { CliError } from "./cli-error.ts";

export type GlobalOptions = {
  readonly root?: string;
  readonly instance?: string;
  readonly json?: boolean;
};

export type Context = {
  /** Durable directory. */
  readonly libDir: string;
  /** Directory on a tmpfs. */
  readonly runDir: string;
  readonly socketPath: string;
  readonly instance: string;
  /** Print JSON for scripts instead of text for people. */
  readonly json: boolean;
  /** The global options again, as a person would type them: for advice in messages. */
  readonly spelled: string;
};

/** Throws a usage error for an instance whose name could not name a bridge, a table and a cgroup. */
export function createContext({ root, instance = "berth", json = false }: GlobalOptions): Context {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(instance)) {
    throw new CliError(
      2,
      `cannot use the instance name '${instance}': a lower-case letter and then up to 30 letters, ` +
        "digits or dashes are expected",
    );
  }
  const base = root === undefined ? undefined : resolve(root);
  const runDir = base === undefined ? "/run/berth" : `${base}/run`;
  return {
    libDir: base === undefined ? "/var/lib/berth" : `${base}/lib`,
    runDir,
    socketPath: `${runDir}/agent.sock`,
    instance,
    json,
    spelled: [
      ...(root === undefined ? [] : [`--root ${root}`]),
      ...(instance === "berth" ? [] : [`--instance ${instance}`]),
    ].join(" "),
  };
}
