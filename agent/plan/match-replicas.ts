import type { ActualContainer, ActualState } from "../observe.ts";
import type { WantedContainer } from "./wanted-state.ts";

/** The containers of one replica: more than one while a successor stands beside what it replaces. */
export type Replica = {
  /** The one that is as wanted. */
  readonly current: ActualContainer | undefined;
  /** All others of its name, the one that others find first. */
  readonly others: readonly ActualContainer[];
};

export type MatchReplica = (wanted: WantedContainer) => Replica;

/** Pure. */
export function matchReplicas({ containers }: Pick<ActualState, "containers">): MatchReplica {
  const byName = Map.groupBy(containers, ({ name }) => name);
  return (wanted) => {
    const all = (byName.get(wanted.name) ?? []).toSorted((a, b) => rank(b) - rank(a));
    const current = all.find(({ specDigest }) => specDigest === wanted.specDigest);
    return { current, others: all.filter((container) => container !== current) };
  };
}

function rank({ status }: ActualContainer): number {
  return (status.state === "running" ? 2 : 0) + (status.isHeldBack === true ? 0 : 1);
}
