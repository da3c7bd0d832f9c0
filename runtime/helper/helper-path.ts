import { fileURLToPath } from "node:url";

/** The helper that `make` builds. */
export const helperPath = fileURLToPath(new URL("../../build/berth-helper", import.meta.url));
