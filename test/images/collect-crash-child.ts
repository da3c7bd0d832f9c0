/** Collects all but one image of the store at its argument, and kills itself at the second step of a kind. */
import { withStore } from "./store-harness.ts";

const [root, kept, kind] = process.argv.slice(2);
if (root === undefined || kept === undefined || kind === undefined)
  throw new Error("ROOT DIGEST STEP are expected");

await withStore(async ({ reopen }) => {
  let seen = 0;
  const store = await reopen((step) => {
    if (step.startsWith(kind)) seen += 1;
    if (seen === 2) process.kill(process.pid, "SIGKILL");
  });
  await store.collectGarbage(() => new Set([kept]));
}, root);
