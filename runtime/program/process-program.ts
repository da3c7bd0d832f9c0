import type { ProcessPlan } from "../plan/start-plan.ts";
import { seccompFlag } from "./kernel-flags.ts";
import type { Slot } from "./operation-list.ts";
import type { Program } from "./program.ts";

/**
 * Init part, the last one: from here on it gives up what it has. The order is what capabilities(7) and seccomp(2)
 * demand.
 */
export function finishProcess(
  program: Program,
  process: ProcessPlan,
  life: {
    readonly first: boolean;
    readonly init: boolean;
    readonly hold: boolean;
    /** What `openLabel` gave. */
    readonly label: Slot | undefined;
    /** The working directory was entered before: a filter of the caller's may not allow it here. */
    readonly entered?: boolean;
    /** Adds what runs with all that the program itself may do, right before it. */
    readonly beforeExec?: (program: Program) => void;
  },
): void {
  const { user } = process;
  if (process.terminal !== undefined) program.tty(process.terminal);
  program.session().keyring();
  // Before the reaper forks: what is set here, its child has too.
  if (life.label !== undefined && process.label !== undefined)
    program.label(life.label, process.label.text);
  setLimits(program, process, (resource) => !lateLimits.has(resource));
  schedule(program, process);
  program.umask(process.umask);
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before the ids and capabilities go. With it the
  // filter comes last: a strict one need not allow what is still to be done here.
  if (!process.noNewPrivileges) loadFilter(program, process);
  else program.noNewPrivs();
  program.ids(user.uid, user.gid, user.supplementaryGids).capabilities(process.capabilities);
  if (life.entered !== true) program.chdir(process.workingDir, life.first);
  if (life.init) program.reap();
  setLimits(program, process, (resource) => lateLimits.has(resource));
  // One that asks an agent is loaded while there still is a supervisor to hand its listener over.
  const isEarly = asksAgent(process);
  if (process.noNewPrivileges && isEarly) loadFilter(program, process);
  if (life.hold) program.hold();
  if (process.noNewPrivileges && !isEarly) loadFilter(program, process);
  life.beforeExec?.(program);
  program.exec(process.argv, process.environment);
}

/** Whether the filter of a process asks about some calls. */
export function asksAgent({ seccomp }: ProcessPlan): boolean {
  return seccomp !== undefined && (seccomp.flags & seccompFlag.newListener) !== 0;
}

/** Host part, after the child was made and before it gets its descriptors. */
export function openLabel(program: Program, { label }: ProcessPlan): Slot | undefined {
  if (label === undefined) return undefined;
  const slot = program.slot();
  program.childLabel(slot, label.module === "apparmor" ? 1 : 2);
  return slot;
}

/** Some of it takes CAP_SYS_NICE: while that is there. */
function schedule(program: Program, process: ProcessPlan): void {
  if (process.scheduler !== undefined) program.scheduler(process.scheduler);
  if (process.ioPriority !== undefined) program.ioPriority(process.ioPriority);
  if (process.memoryPolicy !== undefined) program.memoryPolicy(process.memoryPolicy);
  if (process.personality !== undefined) program.personality(process.personality);
}

/** RLIMIT_NPROC and RLIMIT_NOFILE of getrlimit(2): what is done here takes processes and descriptors, too. */
const lateLimits = new Set([6, 7]);

function setLimits(
  program: Program,
  process: ProcessPlan,
  isWanted: (resource: number) => boolean,
): void {
  for (const { resource, soft, hard } of process.rlimits) {
    if (isWanted(resource)) program.rlimit(resource, soft, hard);
  }
}

function loadFilter(program: Program, { seccomp }: ProcessPlan): void {
  if (seccomp !== undefined) program.seccomp(seccomp.flags, seccomp.program);
}
