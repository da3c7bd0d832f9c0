/** What can be said of a container that is run by hand, by the names that Docker has for it. */
import type { Command } from "commander";
import { collectEnvironment, collectLabels, collectTexts } from "./arguments.ts";

type Declared = readonly [flags: string, summary: string];

const many: readonly Declared[] = [
  [
    "-p, --publish <port>",
    "[[IP:]HOST:]CONTAINER[/udp]; without HOST a port that is free (may be repeated)",
  ],
  ["--expose <port>", "a port for others of its network to know of (may be repeated)"],
  ["-v, --volume <mount>", "VOLUME:PATH[:ro], or a path of the host (may be repeated)"],
  [
    "--mount <fields>",
    "type=bind,source=PATH,target=PATH[,readonly] and the like (may be repeated)",
  ],
  ["--volumes-from <name>", "NAME[:ro], what that container mounts, too (may be repeated)"],
  ["--tmpfs <path>", "PATH[:OPTIONS] in memory (may be repeated)"],
  ["--device <device>", "HOST[:CONTAINER[:rwm]], a device of the host (may be repeated)"],
  ["--env-file <file>", "variables, KEY=VALUE a line (may be repeated)"],
  [
    "--network <name>",
    "a network that is there, host, or none (default: its own); of several networks the first counts as its own (may be repeated)",
  ],
  ["--network-alias <name>", "another name in its first network (may be repeated)"],
  ["--add-host <entry>", "NAME:ADDRESS for its /etc/hosts (may be repeated)"],
  ["--dns <address>", "a name server (may be repeated)"],
  ["--dns-search <domain>", "a search domain (may be repeated)"],
  ["--dns-option <option>", "an option of its resolv.conf (may be repeated)"],
  ["--group-add <group>", "another group of its user (may be repeated)"],
  ["--cap-add <name>", "add a capability (may be repeated)"],
  ["--cap-drop <name>", "take a capability away (may be repeated)"],
  ["--security-opt <option>", "such as no-new-privileges:true (may be repeated)"],
  ["--ulimit <limit>", "NAME=SOFT[:HARD], such as nofile=1024:2048 (may be repeated)"],
];

const one: readonly Declared[] = [
  ["-u, --user <user>", "user, or user:group"],
  ["-w, --workdir <dir>", "directory to run in"],
  ["-h, --hostname <name>", "its own name"],
  ["--domainname <name>", "its own domain"],
  ["--entrypoint <program>", "in place of the image's; '': none"],
  ["--platform <os/arch>", "that the image is to be for"],
  ["-m, --memory <size>", "limit, such as 512m"],
  ["--memory-reservation <size>", "what it is to have at least"],
  ["--memory-swap <size>", "limit of memory and swap together, -1: none"],
  ["--shm-size <size>", "of its /dev/shm"],
  ["--cpus <number>", "limit, such as 0.5"],
  ["-c, --cpu-shares <number>", "its weight beside others"],
  ["--cpuset-cpus <list>", "CPUs that it may run on, such as 0-1"],
  ["--pids-limit <number>", "limit of processes"],
  ["--oom-score-adj <number>", "how soon the kernel kills it for lack of memory"],
  ["--ip <address>", "its address in the first network"],
  ["--mac-address <address>", "of its interface"],
  ["--pid <mode>", "host: it sees the host's processes"],
  ["--ipc <mode>", "host, private or shareable"],
  ["--uts <mode>", "host: it has the host's name"],
  ["--userns <mode>", "host: its ids are the host's"],
  ["--cgroupns <mode>", "host or private"],
  ["--health-cmd <command>", "a shell command that ends with 0 while it is healthy"],
  ["--health-interval <duration>", "time between two of them"],
  ["--health-timeout <duration>", "after which one has failed"],
  ["--health-start-period <duration>", "in which failures do not count"],
  ["--health-start-interval <duration>", "time between two of them at the start"],
  ["--health-retries <number>", "failures in a row that make it unhealthy"],
  ["--stop-signal <signal>", "what ends it"],
  ["--stop-timeout <seconds>", "how long it may take to end"],
  ["--log-driver <driver>", "json-file"],
];

const flags: readonly Declared[] = [
  ["-i, --interactive", "keep its standard input open, and pass on this one"],
  ["-t, --tty", "give it a terminal"],
  ["-P, --publish-all", "publish what it exposes at ports that are free"],
  ["-q, --quiet", "no progress of a pull"],
  ["--read-only", "its root cannot be written"],
  ["--init", "a first process that reaps"],
  ["--privileged", "every capability and device, and nothing of the kernel hidden"],
  ["--no-healthcheck", "not the image's either"],
];

const pairs: readonly Declared[] = [
  ["-l, --label <key=value>", "set a label (may be repeated)"],
  ["--annotation <key=value>", "set an annotation (may be repeated)"],
  ["--sysctl <key=value>", "set a kernel parameter of its own (may be repeated)"],
  ["--log-opt <key=value>", "max-size or max-file (may be repeated)"],
];

export function declareRunOptions(command: Command): Command {
  for (const [name, summary] of flags) command.option(name, summary);
  command.option("-e, --env <key=value>", "set a variable (may be repeated)", collectEnvironment);
  for (const [name, summary] of many) command.option(name, summary, collectTexts);
  for (const [name, summary] of pairs) command.option(name, summary, collectLabels);
  for (const [name, summary] of one) command.option(name, summary);
  // As in Docker, -h is the container's name here.
  return command.helpOption("--help", "show this help");
}
