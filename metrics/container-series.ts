/** The series of one container: its labels as ready bytes, its latest reading, and what is known of it. */
import { ContainerReader, hasQuota } from "./container-reader.ts";
import type { ContainerSample, ContainerTarget } from "./container-target.ts";
import type { DeviceNames } from "./device-names.ts";
import { labelPairs, seriesPrefix } from "./exposition.ts";
import type { Family, KnownValue, NumberedFamily, NumberedSeries } from "./families.ts";
import type { SampleSink } from "./family-text.ts";
import {
  deviceColumns,
  type Figure,
  figureIndex,
  interfaceColumns,
  type Reading,
} from "./figures.ts";
import type { SharedParents } from "./shared-parents.ts";

type Rows = ReadonlyMap<string, Float64Array>;

const healthValues = { healthy: 1, starting: 0, unhealthy: 0, none: -1 } as const;
const statesWithProcesses = new Set(["running", "paused"]);

export class ContainerSeries {
  readonly #parents: SharedParents;
  #target: ContainerTarget;
  #labels: string;
  #reader: ContainerReader;
  #reading: Reading | undefined;
  #interfaces: Rows = new Map();
  #seenAtMs = 0;
  /** All of a sample line before its value. */
  #prefixes: (Uint8Array | undefined)[] = [];
  /** The same for the other families: by device, interface or state, then by the family's slot. */
  readonly #keyedPrefixes = new Map<string, (Uint8Array | undefined)[]>();

  constructor(target: ContainerTarget, parents: SharedParents) {
    this.#target = target;
    this.#parents = parents;
    this.#labels = ownLabels(target);
    this.#reader = new ContainerReader(target.cgroupDirs, parents);
  }

  get hostInterfaces(): readonly string[] {
    return Object.values(this.#target.hostInterfaces);
  }

  /** Descriptors and labels are kept where what they come from is the same. */
  update(target: ContainerTarget): void {
    const labels = ownLabels(target);
    if (labels !== this.#labels) {
      this.#labels = labels;
      this.#prefixes = [];
      this.#keyedPrefixes.clear();
    }
    if (JSON.stringify(target.cgroupDirs) !== JSON.stringify(this.#target.cgroupDirs)) {
      this.close();
      this.#reader = new ContainerReader(target.cgroupDirs, this.#parents);
    }
    this.#target = target;
  }

  /** `hostInterfaces`: counters by the name on the host, from the container's side. */
  read(nowMs: number, hostInterfaces: Rows): void {
    if (!statesWithProcesses.has(this.#target.state)) {
      this.close();
      return;
    }
    this.#reading = this.#reader.read(nowMs);
    if (!this.#reading) return;
    this.#seenAtMs = nowMs;
    const interfaces = new Map<string, Float64Array>();
    for (const [inside, outside] of Object.entries(this.#target.hostInterfaces)) {
      const row = hostInterfaces.get(outside);
      if (row) interfaces.set(inside, row);
    }
    this.#interfaces = interfaces;
  }

  close(): void {
    this.#reader.close();
    this.#reading = undefined;
    this.#interfaces = new Map();
  }

  /** Writes each sample of the family that has a value now. */
  write(numbered: NumberedFamily, devices: DeviceNames, out: SampleSink): void {
    const { family, series } = numbered;
    const reading = this.#reading;
    if (family.kind === "known") this.#writeKnown(numbered, family.value, out);
    if (!reading || (family.needsQuota && !hasQuota(reading.values))) return;
    if (family.kind === "figures") {
      for (const one of series) this.#writeFigure(family, one, reading, out);
    } else if (family.kind === "device") {
      const column = deviceColumns.indexOf(family.column);
      const labels = (device: string): string => labelPairs({ device: devices.nameOf(device) });
      this.#writeRows(numbered, reading.devices, column, labels, out);
    } else if (family.kind === "interface") {
      const column = interfaceColumns.indexOf(family.column);
      this.#writeRows(numbered, this.#interfaces, column, interfaceLabels, out);
    }
  }

  /** Undefined: nothing runs. */
  sample(): ContainerSample | undefined {
    const reading = this.#reading;
    if (!reading) return undefined;
    const figure = (name: Figure): number => reading.values[figureIndex[name]] || 0;
    const limit = figure("memoryLimit");
    return {
      cpuUsageUs: figure("cpuUsageUs"),
      memoryBytes: figure("memoryWorkingSet"),
      memoryBytesMax: limit === 0 ? null : limit,
      pids: figure("pidsCurrent"),
      networkReceiveBytes: total(this.#interfaces, interfaceColumns.indexOf("receiveBytes")),
      networkTransmitBytes: total(this.#interfaces, interfaceColumns.indexOf("transmitBytes")),
      blockReadBytes: total(reading.devices, deviceColumns.indexOf("readBytes")),
      blockWriteBytes: total(reading.devices, deviceColumns.indexOf("writeBytes")),
    };
  }

  #writeFigure(family: Family, series: NumberedSeries, reading: Reading, out: SampleSink): void {
    const value = reading.values[figureIndex[series.figure]];
    if (value === undefined || Number.isNaN(value)) return;
    let prefix = this.#prefixes[series.slot];
    if (!prefix) {
      prefix = seriesPrefix(family.name, this.#labels, series.labels ?? "");
      this.#prefixes[series.slot] = prefix;
    }
    out.sample(prefix, value, family.decimals);
  }

  #writeRows(
    numbered: NumberedFamily,
    rows: Rows,
    column: number,
    labels: (key: string) => string,
    out: SampleSink,
  ): void {
    for (const [key, row] of rows) {
      const value = row[column];
      if (value === undefined || Number.isNaN(value)) continue;
      out.sample(this.#keyedPrefix(numbered, key, labels), value, numbered.family.decimals);
    }
  }

  #writeKnown(numbered: NumberedFamily, known: KnownValue, out: SampleSink): void {
    const value = this.#known(known);
    if (value === undefined) return;
    const { state } = this.#target;
    const prefix =
      known === "state"
        ? this.#keyedPrefix(numbered, `state ${state}`, () => labelPairs({ state }))
        : this.#keyedPrefix(numbered, "", () => "");
    out.sample(prefix, value, numbered.family.decimals);
  }

  #keyedPrefix(
    { family, slot }: NumberedFamily,
    key: string,
    labels: (key: string) => string,
  ): Uint8Array {
    let ofKey = this.#keyedPrefixes.get(key);
    if (!ofKey) {
      ofKey = [];
      this.#keyedPrefixes.set(key, ofKey);
    }
    let prefix = ofKey[slot];
    if (!prefix) {
      prefix = seriesPrefix(family.name, this.#labels, labels(key));
      ofKey[slot] = prefix;
    }
    return prefix;
  }

  #known(known: KnownValue): number | undefined {
    const target = this.#target;
    switch (known) {
      case "lastSeen":
        return this.#reading && this.#seenAtMs;
      case "startTime":
        return target.startTimeSeconds && Math.round(target.startTimeSeconds * 1000);
      case "createdTime":
        return Math.round(target.createdTimeSeconds * 1000);
      case "health":
        return healthValues[target.health];
      case "restarts":
        return target.restarts;
      case "state":
        return 1;
      case "oomEvents":
        return (target.oomKills ?? 0) + this.#oomKillsOfThisRun(target);
      default:
        return known satisfies never;
    }
  }

  /** Once a run has ended its kills are among those of earlier runs. */
  #oomKillsOfThisRun({ state }: ContainerTarget): number {
    if (state !== "running" && state !== "paused") return 0;
    return this.#reading?.values[figureIndex.oomKills] || 0;
  }
}

function interfaceLabels(name: string): string {
  return labelPairs({ interface: name });
}

function ownLabels(target: ContainerTarget): string {
  const labels: Record<string, string> = { id: target.id, image: target.image, name: target.name };
  for (const [key, value] of Object.entries(target.labels))
    labels[`container_label_${key}`] = value;
  return labelPairs(labels);
}

function total(rows: Rows, column: number): number {
  let sum = 0;
  for (const row of rows.values()) sum += row[column] || 0;
  return sum;
}
