import type { PlannedStep } from "./step.ts";

/** Stable topological order; undefined when steps need each other. */
export function sortByNeeds(steps: readonly PlannedStep[]): PlannedStep[] | undefined {
  const open = new Map(steps.map((planned) => [planned.key, planned.needs.length]));
  const dependents = new Map<string, string[]>();
  for (const { key, needs } of steps) for (const needed of needs) push(dependents, needed, key);
  const byKey = new Map(steps.map((planned) => [planned.key, planned]));
  const ready = steps.filter(({ needs }) => needs.length === 0);
  for (const planned of ready) {
    for (const key of dependents.get(planned.key) ?? []) {
      const left = (open.get(key) ?? 0) - 1;
      open.set(key, left);
      const next = byKey.get(key);
      if (left === 0 && next !== undefined) ready.push(next);
    }
  }
  return ready.length === steps.length ? ready : undefined;
}

/** Appends to the list of a key. */
export function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
