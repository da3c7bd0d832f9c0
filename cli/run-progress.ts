import type { TransferStep } from "../agent/images/transfer-meter.ts";
import { createProgressLine } from "./progress-line.ts";
import { TransferProgress } from "./transfer-progress.ts";

export type RunProgress = {
  note(step: TransferStep): void;
  /** Wipes the line, before anything else is written. */
  clear(): void;
};

/** The line of a pull that a run waits for; `quiet`: none. */
export function createRunProgress({ quiet }: { readonly quiet: boolean }): RunProgress {
  const progress = new TransferProgress();
  let line: ReturnType<typeof createProgressLine> | undefined;
  return {
    note(step) {
      if (quiet) return;
      line ??= createProgressLine();
      line.show(progress.note(step, performance.now()));
    },
    clear() {
      line?.clear();
      line = undefined;
    },
  };
}
