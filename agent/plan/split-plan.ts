import type { PlannedStep } from "./step.ts";

/** Steps that hang together, and the apps that they are of; `""` stands for the host. */
export type PlanPart = {
  readonly apps: ReadonlySet<string>;
  /** In the plan's order. */
  readonly steps: readonly PlannedStep[];
};

/**
 * Pure. Cuts a plan into parts that need nothing of each other: one for each app, and one for apps that hand something
 * on (a port), because the one must not begin before the other has let go.
 */
export function splitPlan(steps: readonly PlannedStep[]): PlanPart[] {
  const parents = new Map<string, string>();
  const rootOf = (app: string): string => {
    const parent = parents.get(app) ?? app;
    return parent === app ? app : rootOf(parent);
  };
  const appOf = new Map(steps.map(({ key, step }) => [key, step.app ?? ""]));
  for (const { step, needs } of steps) {
    const app = step.app ?? "";
    for (const key of needs) parents.set(rootOf(appOf.get(key) ?? app), rootOf(app));
  }
  const parts = new Map<string, { apps: Set<string>; steps: PlannedStep[] }>();
  for (const planned of steps) {
    const app = planned.step.app ?? "";
    const root = rootOf(app);
    const part = parts.get(root) ?? { apps: new Set(), steps: [] };
    parts.set(root, part);
    part.apps.add(app);
    part.steps.push(planned);
  }
  return [...parts.values()];
}
