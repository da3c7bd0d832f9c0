import type { PlannedStep, Step } from "./step.ts";
import { stepTarget } from "./step.ts";

/** Steps by their keys, and which of them need which. */
export class StepGraph {
  readonly #steps = new Map<string, { needs: Set<string>; planned: PlannedStep }>();

  /** The key of the step. */
  add(step: Step, reason: PlannedStep["reason"]): string {
    const plain = `${step.kind} ${stepTarget(step)}`;
    const id = "id" in step ? step.id : undefined;
    // Two containers of one name may both be stopped.
    const isOther = [this.#steps.get(plain)?.planned.step].some(
      (other) => other !== undefined && "id" in other && other.id !== id,
    );
    const key = isOther ? `${plain} ${id?.slice(0, 12)}` : plain;
    const known = this.#steps.get(key);
    const needs = known?.needs ?? new Set<string>();
    this.#steps.set(key, { needs, planned: { key, needs: [], step, reason } });
    return key;
  }

  /** Remembered only when both steps are in the plan. */
  need(key: string, needed: string): void {
    if (key !== needed) this.#steps.get(key)?.needs.add(needed);
  }

  has(key: string): boolean {
    return this.#steps.has(key);
  }

  /** As they were added. */
  planned(): PlannedStep[] {
    return [...this.#steps.values()].map(({ needs, planned }) => ({
      ...planned,
      needs: [...needs].filter((key) => this.#steps.has(key)),
    }));
  }
}
