/** The verbs. What each needs is imported when it runs: a start counts milliseconds. */
import { StateDirectory } from "../../runtime/oci/state-directory.ts";
import { type OptionKinds, type ParsedArguments, parseArguments, UsageError } from "./arguments.ts";
import { print, printJson } from "./print.ts";

export type Call = {
  readonly root: string;
  readonly words: readonly string[];
  readonly warn: (text: string) => void;
};
type Verb = (call: Call) => Promise<number>;

export function findVerb(name: string): Verb | undefined {
  return verbs.get(name);
}

const createOptions = {
  bundle: "value",
  "pid-file": "value",
  "console-socket": "value",
  "preserve-fds": "value",
  "no-pivot": "flag",
  "no-new-keyring": "flag",
  "no-subreaper": "flag",
  keep: "flag",
  detach: "flag",
  config: "value",
} as const;
const createShort = { b: "bundle", d: "detach", f: "config" };

const create: Verb = async ({ root, words, warn }) => {
  const call = parseArguments(words, createOptions, { short: createShort, interspersed: true });
  const { createContainer } = await import("../../runtime/oci/create.ts");
  await createContainer(createRequest(root, call, warn), { stays: false });
  return 0;
};

const run: Verb = async ({ root, words, warn }) => {
  const call = parseArguments(words, createOptions, { short: createShort, interspersed: true });
  const { runContainer } = await import("../../runtime/oci/run.ts");
  return runContainer(createRequest(root, call, warn), {
    detach: call.flags.has("detach"),
    keep: call.flags.has("keep"),
  });
};

const start: Verb = async (call) => {
  const { startContainer } = await import("../../runtime/oci/start.ts");
  await startContainer(containerOf(call).directory);
  return 0;
};

const state: Verb = async (call) => {
  const { viewContainer } = await import("../../runtime/oci/observe.ts");
  return printJson(viewContainer(containerOf(call).directory));
};

const kill: Verb = async (call) => {
  const { directory, parsed, rest } = containerOf(call, { all: "flag" }, { a: "all" });
  const { killContainer } = await import("../../runtime/oci/signal.ts");
  killContainer(directory, rest[0] ?? "SIGTERM", { all: parsed.flags.has("all") });
  return 0;
};

const remove: Verb = async (call) => {
  const { directory, parsed } = containerOf(call, { force: "flag" }, { f: "force" });
  const force = parsed.flags.has("force");
  const [{ deleteContainer }, { MissingContainerError }] = await Promise.all([
    import("../../runtime/oci/signal.ts"),
    import("../../runtime/oci/state-directory.ts"),
  ]);
  try {
    await deleteContainer(directory, { force, warn: call.warn });
  } catch (error) {
    if (!force || !(error instanceof MissingContainerError)) throw error;
    // Half-made: there is no record yet, only its directory.
    directory.remove();
  }
  return 0;
};

const pause: Verb = async (call) => freeze(call, true);
const resume: Verb = async (call) => freeze(call, false);

const list: Verb = async ({ root, words }) => {
  const { flags, values } = parseArguments(
    words,
    { quiet: "flag", format: "value" },
    { short: { q: "quiet", f: "format" } },
  );
  const [{ viewAll }, { containerTable }] = await Promise.all([
    import("../../runtime/oci/observe.ts"),
    import("./container-table.ts"),
  ]);
  const containers = viewAll(root);
  if (flags.has("quiet")) return print(containers.map(({ id }) => `${id}\n`).join(""));
  if (values.get("format") === "json") return print(`${JSON.stringify(containers)}\n`);
  return print(containerTable(containers));
};

const ps: Verb = async (call) => {
  // After the container's id come options of ps(1).
  const parsed = parseArguments(call.words, { format: "value" }, { short: { f: "format" } });
  const [id, ...rest] = parsed.rest;
  const { directory } = containerOf({ ...call, words: id === undefined ? [] : [id] });
  const [{ processesOf }, { processTable }] = await Promise.all([
    import("../../runtime/oci/observe.ts"),
    import("./container-table.ts"),
  ]);
  const pids = processesOf(directory);
  if (parsed.values.get("format") === "json") return print(`${JSON.stringify(pids)}\n`);
  return print(processTable(pids, rest));
};

const events: Verb = async (call) => {
  const { directory, parsed } = containerOf(call, { stats: "flag", interval: "value" });
  const { followStats } = await import("./follow-stats.ts");
  await followStats(directory, {
    once: parsed.flags.has("stats"),
    interval: parsed.values.get("interval") ?? "5s",
  });
  return 0;
};

const update: Verb = async (call) => {
  const { updateOptions, updateShort, resourcesOf } = await import("./update-options.ts");
  const { directory, parsed } = containerOf(call, updateOptions, updateShort);
  const { updateContainer } = await import("../../runtime/oci/update.ts");
  updateContainer(directory, await resourcesOf(parsed));
  return 0;
};

const exec: Verb = async (call) => {
  const { runExec } = await import("./exec.ts");
  return runExec(call);
};

const features: Verb = async () => {
  const [{ runtimeFeatures }, { berthVersion }] = await Promise.all([
    import("../../runtime/oci/specification.ts"),
    import("../../agent/berth-version.ts"),
  ]);
  return printJson(runtimeFeatures(berthVersion));
};

const spec: Verb = async ({ words }) => {
  const { flags, values } = parseArguments(
    words,
    { bundle: "value", rootless: "flag" },
    { short: { b: "bundle" } },
  );
  if (flags.has("rootless")) {
    throw new UsageError("cannot write a rootless configuration: only root runs containers");
  }
  const [{ exampleConfig }, { writeFileSync }] = await Promise.all([
    import("../../runtime/oci/specification.ts"),
    import("node:fs"),
  ]);
  const text = `${JSON.stringify(exampleConfig(), null, "\t")}\n`;
  writeFileSync(`${values.get("bundle") ?? "."}/config.json`, text, { flag: "wx" });
  return 0;
};

const verbs = new Map<string, Verb>([
  ["create", create],
  ["start", start],
  ["run", run],
  ["state", state],
  ["kill", kill],
  ["delete", remove],
  ["exec", exec],
  ["list", list],
  ["ps", ps],
  ["pause", pause],
  ["resume", resume],
  ["update", update],
  ["events", events],
  ["features", features],
  ["spec", spec],
]);

export const verbNames: readonly string[] = [...verbs.keys()];

async function freeze(call: Call, frozen: boolean): Promise<number> {
  const { directory } = containerOf(call);
  const { freezeContainer } = await import("../../runtime/oci/signal.ts");
  freezeContainer(directory, frozen);
  return 0;
}

/** The container that a verb is about: its first word that is no option. */
function containerOf(
  { root, words }: Call,
  kinds: OptionKinds = {},
  short: Readonly<Record<string, string>> = {},
): {
  readonly directory: StateDirectory;
  readonly parsed: ParsedArguments;
  readonly rest: readonly string[];
} {
  const parsed = parseArguments(words, kinds, { short, interspersed: true });
  const [id, ...rest] = parsed.rest;
  if (id === undefined) throw new UsageError("cannot go on: a container id is expected");
  return { directory: new StateDirectory(root, id), parsed, rest };
}

function createRequest(
  root: string,
  { values, rest }: ParsedArguments,
  warn: (text: string) => void,
) {
  const [id] = rest;
  if (id === undefined) throw new UsageError("cannot create: a container id is expected");
  const [pidFile, consoleSocket] = [values.get("pid-file"), values.get("console-socket")];
  const configFile = values.get("config");
  return {
    root,
    id,
    warn,
    bundle: values.get("bundle") ?? ".",
    preservedFds: preservedFds(values),
    ...(configFile === undefined ? {} : { configFile }),
    ...(pidFile === undefined ? {} : { pidFile }),
    ...(consoleSocket === undefined ? {} : { consoleSocket }),
  };
}

export function preservedFds(values: ReadonlyMap<string, string>): number {
  const text = values.get("preserve-fds") ?? "0";
  const count = Number(text);
  if (Number.isInteger(count) && count >= 0 && count <= 200) return count;
  throw new UsageError(`cannot preserve ${text} descriptors: 0 to 200 are expected`);
}
