import { existsSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { helperPath } from "../../runtime/helper-path.ts";

/**
 * A test that needs root, the helper and this machine's kernel. It skips with the reason where they are missing, and fails
 * there when MUST_WORK=1.
 */
export function kernelTest(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  const missing = missingPart();
  if (missing === undefined) test(title, run);
  else if (process.env.MUST_WORK === "1") test(title, (t) => t.fail(missing));
  else test.skip(`${title} (${missing})`, run);
}

function missingPart(): string | undefined {
  if (process.geteuid?.() !== 0) return "needs root";
  if (!existsSync(helperPath)) return "needs the helper, run make";
  return undefined;
}
