import type { Resources } from "../container-spec.ts";
import type { CgroupHost } from "./cgroup-host.ts";
import { type CgroupWrite, required, write } from "./cgroup-write.ts";

/** Memory, swap and swappiness. Without a word on swap a container that has a memory limit gets none. */
export function memoryWrites(host: CgroupHost, path: string, resources: Resources): CgroupWrite[] {
  const { memoryBytesMax: max, memorySwapBytesMax: swap } = resources;
  const { memoryReservationBytes: reservation, memorySwappiness: swappiness } = resources;
  if ([max, swap, reservation, swappiness].every((value) => value === undefined)) return [];
  const directory = required(host, "memory", path);
  const isV1 = host.v1.has("memory");
  const writes: CgroupWrite[] = [];
  if (max !== undefined) {
    writes.push(
      write(directory, isV1 ? "memory.limit_in_bytes" : "memory.max", max, "memoryBytesMax"),
    );
  }
  const swapWrite = swapLimit(directory, isV1, { max, swap });
  if (swapWrite !== undefined) writes.push(swapWrite);
  if (reservation !== undefined) {
    const file = isV1 ? "memory.soft_limit_in_bytes" : "memory.low";
    writes.push(write(directory, file, reservation, "memoryReservationBytes"));
  }
  if (swappiness !== undefined) {
    if (!isV1) {
      throw new Error(
        "cannot set memory swappiness because cgroup v2 has no such setting: remove it, or limit swap with memorySwapBytesMax",
      );
    }
    writes.push(write(directory, "memory.swappiness", swappiness, "memorySwappiness"));
  }
  return writes;
}

function swapLimit(
  directory: string,
  isV1: boolean,
  { max, swap }: { readonly max: number | undefined; readonly swap: number | undefined },
): CgroupWrite | undefined {
  const field = swap === undefined ? "memoryBytesMax" : "memorySwapBytesMax";
  const file = isV1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max";
  if (swap === undefined) {
    if (max === undefined) return undefined;
    return { ...write(directory, file, isV1 ? max : 0, field), optional: true };
  }
  if (swap === -1) return { ...write(directory, file, isV1 ? -1 : "max", field), optional: true };
  if (max === undefined || swap < max) {
    throw new Error(
      `cannot limit memory and swap to ${swap} bytes because the memory limit is ${max ?? "not set"}: a memory limit of at most that is expected`,
    );
  }
  // Swap accounting may be off: then there is no such file, and a limit above the memory's limits nothing.
  return { ...write(directory, file, isV1 ? swap : swap - max, field), optional: swap === max };
}
