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
