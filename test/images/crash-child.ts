/** Pulls one image into the store at its argument; its parent kills it on the way. */
import { soon, withStore } from "./store-harness.ts";

const [root, reference] = process.argv.slice(2);
if (root === undefined || reference === undefined) throw new Error("ROOT REFERENCE are expected");

await withStore(async ({ store }) => {
  process.stdout.write("ready\n");
  await store.pull(reference, { abort: soon() });
  process.kill(process.pid, "SIGKILL");
}, root);
