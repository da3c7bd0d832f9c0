/** All containers whose metrics are kept: the work of the metrics thread, without the thread. */
import { ContainerSeries } from "./container-series.ts";
import type { ContainerSample, ContainerTarget } from "./container-target.ts";
import { DeviceNames } from "./device-names.ts";
import { ExpositionBuffer, seriesPrefix } from "./exposition.ts";
import { families } from "./families.ts";
import { FamilyText } from "./family-text.ts";
import { NetworkReader } from "./network-reader.ts";

export type Machine = { readonly memoryBytes: number; readonly cpuCores: number };

export class ContainerSet {
  readonly #machine: Machine;
  readonly #containers = new Map<string, ContainerSeries>();
  readonly #network = new NetworkReader();
  readonly #devices = new DeviceNames();
  readonly #families = families.map((numbered) => new FamilyText(numbered));
  readonly #out = new ExpositionBuffer();
  #failures = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  put(target: ContainerTarget): void {
    const known = this.#containers.get(target.containerId);
    if (known) known.update(target);
    else this.#containers.set(target.containerId, new ContainerSeries(target));
  }

  /** Closes what was open for it. */
  remove(containerId: string): void {
    this.#containers.get(containerId)?.close();
    this.#containers.delete(containerId);
  }

  /** Reads every container, then writes all families. The caller owns the bytes. */
  render(nowMs: number): Uint8Array<ArrayBuffer> {
    this.#readAll(nowMs);
    const out = this.#out;
    const { memoryBytes, cpuCores } = this.#machine;
    this.#writeSingle("machine_memory_bytes", "Memory of this machine.", memoryBytes);
    this.#writeSingle("machine_cpu_cores", "CPUs of this machine.", cpuCores);
    const failed = this.#failures > 0 ? 1 : 0;
    this.#writeSingle("container_scrape_error", "1 if some container could not be read.", failed);
    for (const family of this.#families) {
      family.begin();
      for (const container of this.#containers.values())
        container.write(family.numbered, this.#devices, family);
      family.end(out);
    }
    return out.take();
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
    this.#network.close();
  }

  #readAll(nowMs: number): void {
    const wanted = new Set<string>();
    for (const container of this.#containers.values()) {
      for (const name of container.hostInterfaces) wanted.add(name);
    }
    const interfaces = this.#network.read(wanted);
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

  #writeSingle(name: string, help: string, value: number): void {
    this.#out.header(name, "gauge", help);
    this.#out.sample(seriesPrefix(name), value, 0);
  }
}
