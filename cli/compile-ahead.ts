/**
 * Preloaded by `make`, so that Node's compile cache holds all modules before the first start. Without it the first agent
 * would carry Node's TypeScript transformer, some 25 MiB, for as long as it lives.
 */
import { readdirSync } from "node:fs";

const verbs = new URL("./verbs/", import.meta.url);
for (const name of readdirSync(verbs)) await import(new URL(name, verbs).href);
await import("../agent/run-agent.ts");
await import("../agent/down.ts");
await import("./compile-tree.ts");
await import("./oci/verbs.ts");
