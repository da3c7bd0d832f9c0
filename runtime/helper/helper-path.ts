import { fileURLToPath } from "node:url";

/** The helper that `make` builds: two folders above this one, and above the built program too. */
export const helperPath = fileURLToPath(new URL("../../build/berth-helper", import.meta.url));
