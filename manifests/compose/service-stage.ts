import type { Service } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import type { FileModel } from "./read-file.ts";

/** What each stage over the services of an app is given: they are built, and what links them is not looked at yet. */
export type ServiceStage = {
  readonly services: readonly Service[];
  /** As it was written. */
  readonly file: FileModel;
  readonly report: Report;
};
