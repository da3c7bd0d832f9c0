import type { ProcessPlan, SchedulerPlan } from "../plan/start-plan.ts";
import type { OciConfig, OciProcess } from "./oci-config.ts";

// SCHED_* of sched(7); SCHED_ISO is reserved, and refused by the kernel.
const policies = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
} as const;

// SCHED_FLAG_* of linux/sched.h.
const schedulerFlags = {
  SCHED_FLAG_RESET_ON_FORK: 0x01n,
  SCHED_FLAG_RECLAIM: 0x02n,
  SCHED_FLAG_DL_OVERRUN: 0x04n,
  SCHED_FLAG_KEEP_POLICY: 0x08n,
  SCHED_FLAG_KEEP_PARAMS: 0x10n,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20n,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40n,
} as const;

// IOPRIO_CLASS_* of ioprio_set(2).
const ioClasses = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 } as const;

// PER_* of personality(2).
const domains = { LINUX: 0, LINUX32: 8 } as const;

/** What a configuration says of time, block I/O and personality, where it says anything. */
export function planSchedule(
  { scheduler, ioPriority }: OciProcess,
  personality: OciConfig["linux"]["personality"],
): Pick<ProcessPlan, "scheduler" | "ioPriority" | "personality"> {
  if (personality?.flags?.length) {
    throw new Error("cannot use linux.personality.flags because there are none: leave them out");
  }
  return {
    ...(scheduler == null ? {} : { scheduler: planScheduler(scheduler) }),
    ...(ioPriority == null
      ? {}
      : { ioPriority: { class: ioClasses[ioPriority.class], priority: ioPriority.priority ?? 0 } }),
    ...(personality == null ? {} : { personality: domains[personality.domain] }),
  };
}

function planScheduler(scheduler: NonNullable<OciProcess["scheduler"]>): SchedulerPlan {
  const { nice, priority, flags, runtime, deadline, period } = scheduler;
  return {
    policy: policies[scheduler.policy],
    flags: (flags ?? []).reduce((all, name) => all | schedulerFlags[name], 0n),
    nice: nice ?? 0,
    priority: priority ?? 0,
    runtime: runtime ?? 0n,
    deadline: deadline ?? 0n,
    period: period ?? 0n,
  };
}
