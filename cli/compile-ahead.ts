/** Preloaded by `make`, so that Node's compile cache holds the whole built program before the first start. */
import { readdirSync } from "node:fs";

const program = new URL("../build/program/", import.meta.url);
/** They act when they are loaded. */
const entries = new Set(["main.js", "oci.js", "metrics-worker.js"]);
for (const name of readdirSync(program)) {
  if (!entries.has(name)) await import(new URL(name, program).href);
}
