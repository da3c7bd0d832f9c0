/** The figures that are read for each container: a row of numbers, NaN where the kernel has none. */

/** Times are in microseconds, sizes in bytes. */
const figures = [
  "cpuUsageUs",
  "cpuUserUs",
  "cpuSystemUs",
  "cpuPeriods",
  "cpuThrottledPeriods",
  "cpuThrottledUs",
  "cpuBursts",
  "cpuBurstUs",
  "cpuQuotaUs",
  "cpuPeriodUs",
  "cpuShares",
  "memoryUsage",
  "memoryWorkingSet",
  "memoryRss",
  "memoryCache",
  "memorySwap",
  "memoryMappedFile",
  "memoryActiveFile",
  "memoryInactiveFile",
  "memoryFileDirty",
  "memoryFileWriteback",
  "memoryPeak",
  "memoryFailcnt",
  "memoryLimit",
  "memorySwapLimit",
  "memoryReservation",
  "pageFaults",
  "majorPageFaults",
  "ownPageFaults",
  "ownMajorPageFaults",
  "memoryEventsHigh",
  "memoryEventsMax",
  "memoryScan",
  "memorySteal",
  "refaultAnon",
  "refaultFile",
  "oomKills",
  "pidsCurrent",
  "pidsMax",
  "processes",
  "cpuWaitingUs",
  "cpuStalledUs",
  "memoryWaitingUs",
  "memoryStalledUs",
  "ioWaitingUs",
  "ioStalledUs",
] as const;

export type Figure = (typeof figures)[number];

export const figureIndex: Readonly<Record<Figure, number>> = Object.fromEntries(
  figures.map((name, index) => [name, index]),
  // fromEntries forgets which keys it was given.
) as Record<Figure, number>;

/** Columns of one block device. */
export const deviceColumns = ["readBytes", "writeBytes", "reads", "writes"] as const;
export type DeviceColumn = (typeof deviceColumns)[number];

/** Columns of one network interface, from the container's side. */
export const interfaceColumns = [
  "receiveBytes",
  "receivePackets",
  "receiveErrors",
  "receiveDropped",
  "transmitBytes",
  "transmitPackets",
  "transmitErrors",
  "transmitDropped",
] as const;
export type InterfaceColumn = (typeof interfaceColumns)[number];

/** All that one look at a container found. */
export type Reading = {
  readonly values: Float64Array;
  /** `major:minor` -> one number for each of `deviceColumns`. */
  readonly devices: Map<string, Float64Array>;
};

export function emptyReading(): Reading {
  return { values: new Float64Array(figures.length).fill(Number.NaN), devices: new Map() };
}
