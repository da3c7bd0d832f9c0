import { readFile } from "node:fs/promises";
import { CliError } from "./cli-error.ts";

/**
 * Variables of files, the later ones first in rank: `KEY=VALUE` a line, as it stands, without quotes; `KEY` alone takes the
 * value of this process; lines that begin with # are left out. As `docker run --env-file`.
 */
export async function readEnvFiles(paths: readonly string[]): Promise<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new CliError(1, `cannot read the variables in ${path} because ${why}`);
    });
    for (const [index, line] of text
      .replace(/^\uFEFF/, "")
      .split(/\r?\n/)
      .entries()) {
      const content = line.trimStart();
      if (content === "" || content.startsWith("#")) continue;
      const cut = content.indexOf("=");
      const key = cut === -1 ? content.trimEnd() : content.slice(0, cut);
      if (key === "" || /\s/.test(key))
        throw new CliError(1, `${path}:${index + 1}: KEY=VALUE is expected, without blanks in KEY`);
      const value = cut === -1 ? process.env[key] : content.slice(cut + 1);
      if (value !== undefined) variables[key] = value;
    }
  }
  return variables;
}
