import { existsSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { helperPath } from "../../runtime/helper/helper-path.ts";

type Run = (t: ExecutionContext) => Promise<void>;

/**
 * A test that needs root, the helper and this machine's kernel. It skips with the reason where they are missing, and fails
 * there when MUST_WORK=1.
 */
export function kernelTest(title: string, run: Run): void {
  declare(test, title, run);
}

/** One after the other, in the order of the file. */
export function serialKernelTest(title: string, run: Run): void {
  declare(test.serial, title, run);
}

/** Undefined when kernel tests can run here. */
export function missingPart(): string | undefined {
  if (process.geteuid?.() !== 0) return "needs root";
  if (!existsSync(helperPath)) return "needs the helper, run make";
  return undefined;
}

function declare(declareTest: typeof test | typeof test.serial, title: string, run: Run): void {
  const missing = missingPart();
  if (missing === undefined) declareTest(title, run);
  else if (process.env.MUST_WORK === "1") test(title, (t) => t.fail(missing));
  else test.skip(`${title} (${missing})`, run);
}
