/**
 * Why a step did not succeed. `stalled`: a human must act. `waiting`: for the named thing. `retryable`: trying again
 * later may help.
 */
export type StepErrorKind = "stalled" | "waiting" | "retryable";

export class StepError extends Error {
  readonly kind: StepErrorKind;

  constructor(kind: StepErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StepError";
    this.kind = kind;
  }
}

/** Whatever others throw is worth another try. */
export function stepErrorKind(error: unknown): StepErrorKind {
  return error instanceof StepError ? error.kind : "retryable";
}
