import { existsSync } from "node:fs";

/** Weights of 10 to 1000: for all devices, and for single ones by their number, such as `8:0`. */
export type BlockWeights = {
  readonly all: number | undefined;
  readonly devices: readonly { readonly number: string; readonly weight: number }[];
};

/** What the caller calls the two in its own configuration, for messages. */
export type WeightFields = { readonly all: string; readonly devices: string };

type WeightFiles = {
  readonly all: string;
  readonly devices: string;
  readonly measure: (weight: number) => number;
  /** What stands before the weight for all devices. */
  readonly prefix: string;
};

/**
 * Files of the block controller and what is written to them. They are looked for in `seenIn`, which is the cgroup or one beside
 * or above it that has the controller, but not the root: that has none of them. Throws where the kernel goes by no weights.
 */
export function weightWrites(
  seenIn: string,
  version: "v1" | "v2",
  { all, devices }: BlockWeights,
  fields: WeightFields,
): readonly { readonly file: string; readonly value: string }[] {
  if (all === undefined && devices.length === 0) return [];
  const known = version === "v1" ? v1Files : v2Files;
  const found = known.find((files) => existsSync(`${seenIn}/${files.all}`));
  if (found === undefined) {
    const asked = all === undefined ? fields.devices : fields.all;
    const names = known.map((files) => files.all).join(" and no ");
    throw new Error(
      `cannot weigh block I/O by ${asked} because nothing in this kernel goes by weights, there is no ${names}: load the module bfq, or remove the weights`,
    );
  }
  return [
    ...(all === undefined
      ? []
      : [{ file: found.all, value: `${found.prefix}${found.measure(all)}` }]),
    ...devices.map(({ number, weight }) => ({
      file: found.devices,
      value: `${number} ${found.measure(weight)}`,
    })),
  ];
}

const asItIs = (weight: number): number => weight;

const v1Files: readonly WeightFiles[] = ["blkio.bfq.weight", "blkio.weight"].map((all) => ({
  all,
  devices: `${all}_device`,
  measure: asItIs,
  prefix: "",
}));

/** cgroup2 has one file for both; io.weight goes from 1 to 10000, in the conversion that runtimes agree on. */
const v2Files: readonly WeightFiles[] = [
  { all: "io.bfq.weight", devices: "io.bfq.weight", measure: asItIs, prefix: "" },
  {
    all: "io.weight",
    devices: "io.weight",
    measure: (weight) => 1 + Math.floor(((weight - 10) * 9999) / 990),
    prefix: "default ",
  },
];
