/** When a child ends itself: at the `at`-th thing it passes, counted from 0, or some time after it. */
export type Kill = {
  readonly kind: "boundaries" | "instants";
  readonly at: number;
  readonly delayMs: number;
};

export type ChildOptions = {
  readonly root: string;
  readonly instance: string;
  readonly repo: string;
  readonly configFile: string;
  readonly kill: Kill | null;
};

/** How many it passed since it was told when to end. */
export type Passed = { readonly boundaries: number; readonly instants: number };
