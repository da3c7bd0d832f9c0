import type { PlannedStep } from "../plan/step.ts";

/**
 * Where a step is. `due`: nothing is written yet. `intended`: its intent is committed, the kernel is not touched.
 * `changed`: the kernel is changed, or has refused, and the intent is still open. `settled`: the result is known.
 */
export type StepMoment = "due" | "intended" | "changed" | "settled";

/** Called synchronously at every moment of every step; whatever it throws ends the step's plan. */
export type StepTrace = (moment: StepMoment, planned: PlannedStep) => void;
