import type { KernelDrift, NetworkSpec, Reload, VolumeSpec } from "../../runtime/runtime.ts";
import type { FieldChange } from "../control/control.ts";
import type { WantedContainer } from "./wanted-state.ts";

export type AwaitedCondition = "service_healthy" | "service_completed_successfully";

type ContainerTarget = { readonly id: string; readonly name: string; readonly app: string };

/** One idempotent change (or one wait for a named thing). Images are pulled before any step, beside the loop. */
export type Step =
  | { readonly kind: "create-network"; readonly app: string; readonly network: NetworkSpec }
  | { readonly kind: "remove-network"; readonly app: string; readonly network: string }
  | { readonly kind: "create-volume"; readonly app: string; readonly volume: VolumeSpec }
  | {
      readonly kind: "await-condition";
      readonly app: string;
      readonly service: string;
      readonly condition: AwaitedCondition;
    }
  | {
      readonly kind: "create-container";
      readonly app: string;
      /** The id that it gets. */
      readonly id: string;
      readonly wanted: WantedContainer;
      /** Another one of its name serves until it is told to take over. */
      readonly heldBack?: boolean;
    }
  | ({ readonly kind: "start-container" } & ContainerTarget)
  | ({ readonly kind: "await-ready" } & ContainerTarget)
  | ({
      /** Others find it from now on, and `from` no more. */
      readonly kind: "hand-over";
      readonly from: string | undefined;
    } & ContainerTarget)
  | ({ readonly kind: "drain-container"; readonly timeoutMs: number } & ContainerTarget)
  | ({
      /** Other files in the place of those that it mounts, then a signal. */
      readonly kind: "reload-container";
      readonly specDigest: string;
      readonly reload: Reload;
    } & ContainerTarget)
  | ({ readonly kind: "stop-container"; readonly graceMs: number } & ContainerTarget)
  | ({ readonly kind: "remove-container" } & ContainerTarget)
  | { readonly kind: "repair"; readonly app: null; readonly drift: readonly KernelDrift[] };

export type StepKind = Step["kind"];
export type StepOf<Kind extends StepKind> = Extract<Step, { kind: Kind }>;

export type PlannedStep = {
  /** Unique in its plan: kind and target. */
  readonly key: string;
  /** Keys of the steps that must have succeeded before. */
  readonly needs: readonly string[];
  readonly step: Step;
  /** The exact fields that differ. */
  readonly reason: readonly FieldChange[];
};

/** What a step is about, for people. */
export function stepTarget(step: Step): string {
  switch (step.kind) {
    case "create-network":
      return step.network.name;
    case "remove-network":
      return step.network;
    case "create-volume":
      return step.volume.name;
    case "await-condition":
      return `${step.app}/${step.service} ${step.condition}`;
    case "create-container":
      return step.wanted.name;
    case "start-container":
    case "await-ready":
    case "hand-over":
    case "drain-container":
    case "reload-container":
    case "stop-container":
    case "remove-container":
      return step.name;
    case "repair":
      return step.drift.map(({ target }) => target).join(", ");
  }
}
