import { readFileSync } from "node:fs";

/** Names of block devices from /proc/diskstats, read again when a device turns up that it did not have. */
export class DeviceNames {
  readonly #names = new Map<string, string>();
  readonly #path: string;

  constructor(path = "/proc/diskstats") {
    this.#path = path;
  }

  /** `254:0` -> `/dev/vda`; the number itself where no name is known (a device that is gone). */
  nameOf(device: string): string {
    const known = this.#names.get(device);
    if (known !== undefined) return known;
    this.#load();
    const name = this.#names.get(device) ?? device;
    this.#names.set(device, name);
    return name;
  }

  #load(): void {
    for (const line of readFileSync(this.#path, "latin1").split("\n")) {
      const [major, minor, name] = line.trim().split(/\s+/);
      if (name !== undefined) this.#names.set(`${major}:${minor}`, `/dev/${name}`);
    }
  }
}
