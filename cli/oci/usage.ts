/** One line for each verb: what follows its name, and what it does. */
const verbs: Readonly<Record<string, readonly [words: string, effect: string]>> = {
  create: [
    "[-b BUNDLE] [--pid-file FILE] [--console-socket PATH] [--preserve-fds N] ID",
    "makes a container whose first process waits for start",
  ],
  start: ["ID", "lets a created container's process run"],
  run: [
    "[-b BUNDLE] [-d] [--keep] [--pid-file FILE] [--console-socket PATH] [--preserve-fds N] ID",
    "creates and starts, waits for the end and deletes",
  ],
  state: ["ID", "prints the state as JSON"],
  kill: ["[-a] ID [SIGNAL]", "sends a signal, SIGTERM where none is named"],
  delete: ["[-f] ID", "forgets a stopped container; -f ends it first"],
  exec: [
    "[-d] [-t] [-u UID[:GID]] [-e K=V] [--cwd DIR] [--cgroup PATH] [--ignore-paused] [-p FILE] ID PROGRAM [ARGUMENT...]",
    "runs a further process",
  ],
  list: ["[-q] [-f table|json]", "lists the containers below --root"],
  ps: ["[-f table|json] ID [OPTION OF ps(1)...]", "lists the processes"],
  pause: ["ID", "stops every process"],
  resume: ["ID", "lets the processes of a paused container go on"],
  update: [
    "[-r FILE|-] [--memory BYTES] [--cpu-quota US] [--pids-limit N] [...] ID",
    "changes limits while it runs",
  ],
  events: ["[--stats] [--interval 5s] ID", "prints figures and kills for lack of memory"],
  features: ["", "prints what this runtime can do as JSON"],
  spec: ["[-b BUNDLE]", "writes an example config.json"],
};

/** What `berth oci VERB --help` prints; undefined for what is no verb. */
export function verbUsage(name: string): string | undefined {
  const found = verbs[name];
  if (found === undefined) return undefined;
  const [words, effect] = found;
  const example =
    name === "exec" ? "exec web ls /" : name === "run" ? "run -b /tmp/bundle web" : name;
  const line = example === name && words.endsWith("ID") ? `${name} web` : example;
  return `usage: berth oci ${name}${words === "" ? "" : ` ${words}`}\n\n${effect}\n\nExample: berth oci ${line}\n`;
}
