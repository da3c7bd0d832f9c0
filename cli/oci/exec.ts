import { execInOciContainer } from "../../runtime/oci/exec.ts";
import { joinTerminal, waitForEnd } from "../../runtime/oci/foreground.ts";
import { OciProcess } from "../../runtime/oci/oci-config.ts";
import { readJson } from "../../runtime/oci/read-json.ts";
import { StateDirectory } from "../../runtime/oci/state-directory.ts";
import { type ParsedArguments, parseArguments, UsageError } from "./arguments.ts";
import { type Call, preservedFds } from "./verbs.ts";

const options = {
  process: "value",
  "pid-file": "value",
  "console-socket": "value",
  "preserve-fds": "value",
  detach: "flag",
  tty: "flag",
  user: "value",
  cwd: "value",
  env: "list",
  "additional-gids": "list",
  cap: "list",
  "no-new-privs": "flag",
  "no-subreaper": "flag",
  "ignore-paused": "flag",
  apparmor: "value",
  "process-label": "value",
  cgroup: "list",
} as const;

const short = {
  d: "detach",
  t: "tty",
  u: "user",
  e: "env",
  g: "additional-gids",
  p: "process",
  c: "cap",
};

/** Runs a further process; resolves with its exit code, or with 0 at once where it was detached. */
export async function runExec({ root, words }: Call): Promise<number> {
  const call = parseArguments(words, options, { short });
  const [id, ...argv] = call.rest;
  if (id === undefined) throw new UsageError("cannot exec: a container id is expected");
  const file = call.values.get("process");
  if (argv.length === 0 && file === undefined) {
    throw new UsageError("cannot exec: a program is expected, or --process");
  }
  const [pidFile, consoleSocket] = [call.values.get("pid-file"), call.values.get("console-socket")];
  const detach = call.flags.has("detach");
  const executed = await execInOciContainer(new StateDirectory(root, id), {
    process: (own) =>
      file === undefined ? withOptions(own, call, argv) : readJson(file, OciProcess, "the process"),
    preservedFds: preservedFds(call.values),
    detach,
    cgroups: call.lists.get("cgroup") ?? [],
    ignorePaused: call.flags.has("ignore-paused"),
    ...(pidFile === undefined ? {} : { pidFile }),
    ...(consoleSocket === undefined ? {} : { consoleSocket }),
  });
  if (executed.supervisorDir === undefined) return 0;
  if (executed.terminal && consoleSocket === undefined) return joinTerminal(executed.supervisorDir);
  return waitForEnd(executed.process, executed.supervisorDir);
}

/** The container's process, with the wishes of the command line over it. */
function withOptions(
  own: OciProcess,
  { values, lists, flags }: ParsedArguments,
  argv: readonly string[],
): OciProcess {
  const gids = (lists.get("additional-gids") ?? []).map((gid) => idOf(gid));
  const caps = lists.get("cap") ?? [];
  const sets = ["bounding", "effective", "permitted"] as const;
  const added = sets.map((set) => [set, [...(own.capabilities?.[set] ?? []), ...caps]] as const);
  const capabilities = { ...own.capabilities, ...Object.fromEntries(added) };
  return {
    ...own,
    args: [...argv],
    terminal: flags.has("tty"),
    cwd: values.get("cwd") ?? own.cwd,
    env: lastOfEach([...(own.env ?? []), ...(lists.get("env") ?? [])]),
    user: {
      ...own.user,
      ...userOf(values.get("user")),
      ...(gids.length === 0 ? {} : { additionalGids: gids }),
    },
    ...(caps.length === 0 ? {} : { capabilities }),
    ...(flags.has("no-new-privs") ? { noNewPrivileges: true } : {}),
  };
}

/** Each name once: a later value takes the place of an earlier one. */
function lastOfEach(entries: readonly string[]): string[] {
  return [...new Map(entries.map((entry) => [entry.split("=", 1)[0], entry])).values()];
}

/** `UID[:GID]` in digits; names belong to an image, which is not read here. */
function userOf(text: string | undefined): { readonly uid?: number; readonly gid?: number } {
  if (text === undefined) return {};
  const [uid = "", gid] = text.split(":");
  return { uid: idOf(uid), ...(gid === undefined ? {} : { gid: idOf(gid) }) };
}

function idOf(text: string): number {
  const id = Number(text);
  if (/^\d+$/.test(text) && id < 0xffff_ffff) return id;
  throw new UsageError(`cannot use the id ${text}: a number is expected`);
}
