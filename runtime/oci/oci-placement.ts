import type { ProcessPlan } from "../plan/start-plan.ts";
import type { OciConfig, OciProcess } from "./oci-config.ts";

// MPOL_* of set_mempolicy(2).
const modes = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
} as const;

const modeFlags = {
  MPOL_F_NUMA_BALANCING: 0x2000,
  MPOL_F_RELATIVE_NODES: 0x4000,
  MPOL_F_STATIC_NODES: 0x8000,
} as const;

export const memoryPolicyModes: readonly string[] = Object.keys(modes);
export const memoryPolicyFlags: readonly string[] = Object.keys(modeFlags);

/** The most that a kernel is built for: NR_CPUS and MAX_NUMNODES. */
const [highestCpu, highestNode] = [8191, 1023];

/**
 * What a configuration says of the CPUs of further processes and the memory nodes of all, where it says anything.
 * Throws naming the field that is no list, or that the mode does not take.
 */
export function planPlacement(
  { execCPUAffinity }: OciProcess,
  { memoryPolicy }: OciConfig["linux"],
): Pick<ProcessPlan, "execAffinity" | "memoryPolicy"> {
  const field = "process.execCPUAffinity";
  const initial = cpus(execCPUAffinity?.initial, `${field}.initial`);
  const final = cpus(execCPUAffinity?.final, `${field}.final`);
  return {
    ...(initial === undefined && final === undefined
      ? {}
      : {
          execAffinity: {
            ...(initial === undefined ? {} : { initial }),
            ...(final === undefined ? {} : { final }),
          },
        }),
    ...(memoryPolicy == null ? {} : { memoryPolicy: planMemoryPolicy(memoryPolicy) }),
  };
}

function cpus(list: string | null | undefined, field: string): Buffer | undefined {
  return list == null || list === "" ? undefined : bitsOf(list, { field, highest: highestCpu });
}

function planMemoryPolicy({
  mode,
  nodes,
  flags,
}: NonNullable<OciConfig["linux"]["memoryPolicy"]>): { mode: number; nodes: Buffer } {
  const list = nodes ?? "";
  const takesNone = mode === "MPOL_DEFAULT" || mode === "MPOL_LOCAL";
  if (takesNone && list !== "") {
    throw new Error(
      `cannot use linux.memoryPolicy.nodes ${list} because ${mode} has no nodes: leave them out`,
    );
  }
  // set_mempolicy(2): MPOL_PREFERRED without nodes prefers the one that the process runs on.
  if (!takesNone && mode !== "MPOL_PREFERRED" && list === "") {
    throw new Error(`cannot use linux.memoryPolicy because ${mode} needs nodes: name one at least`);
  }
  return {
    mode: (flags ?? []).reduce<number>((bits, name) => bits | modeFlags[name], modes[mode]),
    nodes:
      list === ""
        ? Buffer.alloc(0)
        : bitsOf(list, { field: "linux.memoryPolicy.nodes", highest: highestNode }),
  };
}

/** `0-3,7` as one bit a number, little-endian, in whole words of 64. */
function bitsOf(
  list: string,
  { field, highest }: { readonly field: string; readonly highest: number },
): Buffer {
  const bytes = Buffer.alloc((highest + 1) / 8);
  let last = 0;
  for (const part of list.split(",")) {
    const [, first = "", end = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    const [from, to] = [Number(first), Number(end)];
    if (first === "" || from > to || to > highest) {
      throw new Error(
        `cannot use ${field} ${list} because ${part === "" ? "a part of it is empty" : `${part} is none`}: numbers up to ${highest} and ranges such as 0-3,7 are expected`,
      );
    }
    for (let bit = from; bit <= to; bit++) {
      bytes.writeUInt8(bytes.readUInt8(bit >> 3) | (1 << (bit & 7)), bit >> 3);
    }
    last = Math.max(last, to);
  }
  return bytes.subarray(0, ((last >> 6) + 1) * 8);
}
