import type { ActualState } from "../observe.ts";
import type { AwaitedCondition } from "../plan/step.ts";
import type { WantedContainer } from "../plan/wanted-state.ts";
import { succeeded } from "../restart/restart-policy.ts";

/** True when every replica of a service satisfies a `depends_on` condition. A service without a healthcheck is
 * healthy while it runs. */
export function isConditionMet(
  condition: AwaitedCondition,
  replicas: readonly WantedContainer[],
  actual: ActualState,
): boolean {
  return replicas.every((wanted) => {
    if (condition === "service_completed_successfully" && isCompleted(wanted, actual)) return true;
    const container = actual.containers.find(
      ({ name, specDigest }) => name === wanted.name && specDigest === wanted.specDigest,
    );
    if (container === undefined || container.status.isHeldBack === true) return false;
    const { state, exit } = container.status;
    if (condition === "service_healthy") {
      return state === "running" && (container.health === "healthy" || container.health === "none");
    }
    return state === "exited" && exit !== undefined && succeeded(exit);
  });
}

function isCompleted(wanted: WantedContainer, actual: ActualState): boolean {
  return actual.completed.get(wanted.name) === wanted.specDigest;
}
