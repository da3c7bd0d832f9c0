/** One line of a device allowlist; what no rule allows is refused. */
export type DeviceRule = {
  readonly type: "character" | "block" | "all";
  /** undefined: any. */
  readonly major: number | undefined;
  /** undefined: any. */
  readonly minor: number | undefined;
  readonly read: boolean;
  readonly write: boolean;
  /** Making a node of it. */
  readonly makeNode: boolean;
};

/** Lets everything pass. */
export const everyDevice: DeviceRule = {
  type: "all",
  major: undefined,
  minor: undefined,
  read: true,
  write: true,
  makeNode: true,
};

const every = { read: true, write: true, makeNode: true } as const;

/** What every container may use: the nodes it is given, and terminals of its own devpts. */
export function defaultDeviceRules(
  devices: readonly (readonly [name: string, major: number, minor: number])[],
): readonly DeviceRule[] {
  return [
    ...devices.map(
      ([, major, minor]): DeviceRule => ({ type: "character", major, minor, ...every }),
    ),
    { type: "character", major: 5, minor: 2, ...every },
    { type: "character", major: 136, minor: undefined, ...every },
  ];
}
