/** All containers whose metrics are kept: the work of the metrics thread, without the thread. */
import { ContainerSeries } from "./container-series.ts";
import type { ContainerSample, ContainerTarget } from "./container-target.ts";
import { DeviceNames } from "./device-names.ts";
import { ExpositionBuffer, seriesPrefix } from "./exposition.ts";
import { families } from "./families.ts";
import { FamilyText } from "./family-text.ts";
import { NetworkReader } from "./network-reader.ts";
import { SharedParents } from "./shared-parents.ts";

export type Machine = { readonly memoryBytes: number; readonly cpuCores: number };

/** Enough for what is said of the machine. */
const singlesBytesMax = 1024;

export class ContainerSet {
  readonly #machine: Machine;
  readonly #containers = new Map<string, ContainerSeries>();
  readonly #parents = new SharedParents();
  readonly #network = new NetworkReader();
  readonly #devices = new DeviceNames();
  readonly #families = families.map((numbered) => new FamilyText(numbered));
  #failures = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  put(target: ContainerTarget): void {
    const known = this.#containers.get(target.containerId);
    if (known) known.update(target);
    else this.#containers.set(target.containerId, new ContainerSeries(target, this.#parents));
  }

  /** Closes what was open for it. */
  remove(containerId: string): void {
    this.#containers.get(containerId)?.close();
    this.#containers.delete(containerId);
  }

  /** Reads every container, then writes all families. The text is in `into` if that is enough for it. */
  render(nowMs: number, into?: SharedArrayBuffer): Uint8Array<SharedArrayBuffer> {
    this.#readAll(nowMs);
    let bytes = singlesBytesMax;
    for (const family of this.#families) {
      family.begin();
      for (const container of this.#containers.values())
        container.write(family.numbered, this.#devices, family);
      bytes += family.end();
    }
    const isEnough = into !== undefined && into.byteLength >= bytes;
    // Somewhat more than this text needs: the next one may be longer.
    const memory = isEnough ? into : new SharedArrayBuffer(Math.ceil(bytes * 1.1));
    const out = new ExpositionBuffer(new Uint8Array(memory));
    const { memoryBytes, cpuCores } = this.#machine;
    writeSingle(out, "machine_memory_bytes", "Memory of this machine.", memoryBytes);
    writeSingle(out, "machine_cpu_cores", "CPUs of this machine.", cpuCores);
    const failed = this.#failures > 0 ? 1 : 0;
    writeSingle(out, "container_scrape_error", "1 if some container could not be read.", failed);
    for (const family of this.#families) family.appendTo(out);
    return new Uint8Array(memory, 0, out.length);
  }

  /** Figures of each container that runs, by its id. */
  sample(nowMs: number): ReadonlyMap<string, ContainerSample> {
    this.#readAll(nowMs);
    const samples = new Map<string, ContainerSample>();
    for (const [id, container] of this.#containers) {
      const sample = container.sample();
      if (sample) samples.set(id, sample);
    }
    return samples;
  }

  close(): void {
    for (const container of this.#containers.values()) container.close();
    this.#containers.clear();
    this.#parents.close();
    this.#network.close();
  }

  #readAll(nowMs: number): void {
    const wanted = new Set<string>();
    for (const container of this.#containers.values()) {
      for (const name of container.hostInterfaces) wanted.add(name);
    }
    const interfaces = this.#network.read(wanted);
    this.#parents.beginLook();
    let failures = 0;
    for (const container of this.#containers.values()) {
      try {
        container.read(nowMs, interfaces);
      } catch {
        // One container that cannot be read must not take the others' metrics away.
        container.close();
        failures++;
      }
    }
    this.#failures = failures;
  }
}

function writeSingle(out: ExpositionBuffer, name: string, help: string, value: number): void {
  out.header(name, "gauge", help);
  out.sample(seriesPrefix(name), value, 0);
}
