import { readFile, writeFile } from "node:fs/promises";

/** Files below /proc, of the network namespace that the containers' bridges live in. */
export type ProcFiles = {
  /** Undefined when there is no such file. */
  read(path: string): Promise<string | undefined>;
  write(path: string, text: string): Promise<void>;
};

export const hostProcFiles: ProcFiles = {
  async read(path) {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  },
  async write(path, text) {
    await writeFile(path, text);
  },
};
