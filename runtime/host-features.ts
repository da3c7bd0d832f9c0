/** One line of `berth doctor`. */
export type HostFeature = {
  readonly name: string;
  readonly ok: boolean;
  /** false: berth works without it, with less. */
  readonly required: boolean;
  /** What was found, for people. */
  readonly detail: string;
  /** What to do about it when it is not ok. */
  readonly fix?: string;
};
