/** Plain text in an editor, without a trace on a disk. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { CliError } from "../cli-error.ts";

const memoryDirectory = "/dev/shm";
/** statfs(2) of tmpfs. */
const tmpfsMagic = 0x01021994;

/** What the editor of `VISUAL` or `EDITOR` leaves of the content. The file it edits lies in memory. */
export async function editText(name: string, content: Uint8Array): Promise<Uint8Array> {
  const kind = await statfs(memoryDirectory).catch(() => undefined);
  if (kind?.type !== tmpfsMagic) {
    throw new CliError(
      1,
      `cannot edit ${name} because ${memoryDirectory} is not in memory: mount a tmpfs there`,
    );
  }
  const directory = await mkdtemp(join(memoryDirectory, "berth-edit-"));
  try {
    const file = join(directory, basename(name).replace(/\.age$/, ""));
    await writeFile(file, content, { mode: 0o600 });
    await runEditor(file);
    return await readFile(file);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The variable may hold arguments; no shell reads it. */
async function runEditor(file: string): Promise<void> {
  const words = (process.env.VISUAL ?? process.env.EDITOR ?? "vi").split(" ").filter(Boolean);
  const [program = "vi", ...args] = words;
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn(program, [...args, file], { stdio: "inherit" });
    child.once("error", (cause) => {
      reject(
        new CliError(1, `cannot edit it because ${program} does not start: set EDITOR`, { cause }),
      );
    });
    child.once("close", resolve);
  });
  if (code !== 0)
    throw new CliError(
      1,
      `cannot take the changes because ${program} ended with ${code ?? "a signal"}`,
    );
}
