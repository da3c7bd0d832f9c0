import type { ServiceBounds } from "../../manifests/service-options.ts";
import type { Usage } from "../../runtime/cgroups/cgroup-usage.ts";
import type { CheckCount } from "../health/health-monitor.ts";

/** What a container used between two looks, and what those of the revision before used. */
export type UsageSpan = {
  readonly from: Usage;
  readonly to: Usage;
  readonly spanMs: number;
  /** Of the replica of the service before that used most; undefined: none is known. */
  readonly memoryBytesBefore: number | undefined;
  /** Healthchecks and probes between the two looks. */
  readonly checks: CheckCount;
  /** Share of 1 of those of the replica before that failed most; undefined: none is known. */
  readonly failedSharesBefore: number | undefined;
};

/** Less than this shows what a start costs, and no more. */
const spanMsMin = 5_000;
const periodsMin = 20;
/** Of fewer checks a single failure is too large a share. */
const checksMin = 5;
const mebibyte = 1_048_576;
/** Growth of fewer bytes is chance, whatever share it is. */
const growthBytesMin = 4 * mebibyte;

/** Pure. Which bound a container passed, in one line that a person understands; undefined: none. */
export function passedBound(
  name: string,
  bounds: ServiceBounds,
  span: UsageSpan,
): string | undefined {
  if (span.spanMs < spanMsMin) return undefined;
  const lines = [
    throttled(bounds.cpuThrottledMax, span),
    stalled("CPU time", "cpuStalledUs", bounds.cpuPressureMax, span),
    stalled("memory", "memoryStalledUs", bounds.memoryPressureMax, span),
    stalled("its disks", "ioStalledUs", bounds.ioPressureMax, span),
    grown(bounds.memoryGrowthMax, span),
    failing(bounds.failedChecksMax, span),
  ];
  const line = lines.find((one) => one !== undefined);
  return line === undefined ? undefined : `${name} ${line}`;
}

function throttled(max: number | undefined, { from, to }: UsageSpan): string | undefined {
  const periods = difference("cpuPeriods", from, to);
  const held = difference("cpuPeriodsThrottled", from, to);
  if (max === undefined || periods < periodsMin || held / periods <= max) return undefined;
  return `was throttled in ${percent(held / periods)} of its CPU periods, and ${percent(max)} are allowed`;
}

function stalled(
  what: string,
  figure: "cpuStalledUs" | "memoryStalledUs" | "ioStalledUs",
  max: number | undefined,
  { from, to, spanMs }: UsageSpan,
): string | undefined {
  const share = difference(figure, from, to) / 1_000 / spanMs;
  if (max === undefined || share <= max) return undefined;
  return `waited for ${what} in ${percent(share)} of ${(spanMs / 1_000).toFixed(0)} s, and ${percent(max)} are allowed`;
}

function grown(
  max: number | undefined,
  { to: { memoryBytes }, memoryBytesBefore: before }: UsageSpan,
): string | undefined {
  if (max === undefined || memoryBytes === undefined || before === undefined) return undefined;
  const more = memoryBytes - before;
  if (more < growthBytesMin || more <= before * max) return undefined;
  return `uses ${mebibytes(memoryBytes)} of memory where the revision before used ${mebibytes(before)}, and ${percent(max)} more are allowed`;
}

/** The first revision is held against one without a failure. */
function failing(
  max: number | undefined,
  { checks: { made, failed }, failedSharesBefore: before = 0 }: UsageSpan,
): string | undefined {
  if (max === undefined || made < checksMin) return undefined;
  const share = failed / made;
  if (share - before <= max) return undefined;
  return `failed ${failed} of ${made} healthchecks (${percent(share)}) where the revision before failed ${percent(before)} of them, and ${percent(max)} more are allowed`;
}

/** 0 where the kernel does not count it. */
function difference(figure: keyof Usage, from: Usage, to: Usage): number {
  const [before, after] = [from[figure], to[figure]];
  return before === undefined || after === undefined ? 0 : Math.max(0, after - before);
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / mebibyte).toFixed(1)} MiB`;
}
