import type { Reload } from "../../runtime/runtime.ts";
import type { FieldChange } from "../control/control.ts";
import type { ActualContainer } from "../observe.ts";
import type { WantedContainer } from "./wanted-state.ts";

/** The exact fields that differ. */
export type Reason = { readonly reason: readonly FieldChange[] };

export type ContainerChange =
  | ({
      readonly kind: "create";
      readonly wanted: WantedContainer;
      /** false: an operator had stopped it. */
      readonly start: boolean;
    } & Reason)
  | ({
      readonly kind: "recreate";
      readonly wanted: WantedContainer;
      readonly actual: ActualContainer;
    } & Reason)
  | ({
      /** `restart` stops it first. */
      readonly kind: "start" | "restart";
      readonly wanted: WantedContainer;
      readonly actual: ActualContainer;
    } & Reason)
  | ({
      /** It goes on, with other files in the place of those that it mounts. */
      readonly kind: "reload";
      readonly wanted: WantedContainer;
      readonly actual: ActualContainer;
      readonly reload: Reload;
    } & Reason)
  | ({
      /** A successor comes up beside what it replaces, takes over, and only then the others are stopped. */
      readonly kind: "replace";
      readonly wanted: WantedContainer;
      /** The successor, where it is there already. */
      readonly actual: ActualContainer | undefined;
      /** It is to be started. */
      readonly start: boolean;
      /** The one that others find first. */
      readonly others: readonly ActualContainer[];
    } & Reason)
  | ({ readonly kind: "remove"; readonly actual: ActualContainer } & Reason);

/**
 * True when no port leads to what comes until it takes over. A container that was made to be found at once has its ports
 * from its start on, also where others of its name are still to be removed.
 */
export function publishesLater(change: ContainerChange): boolean {
  if (change.kind !== "replace") return false;
  return change.actual === undefined || change.actual.status.isHeldBack === true;
}
