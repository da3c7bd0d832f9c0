import { rmSync } from "node:fs";
import { type CreateRequest, createContainer } from "./create.ts";
import { joinTerminal, waitForEnd } from "./foreground.ts";
import { deleteContainer } from "./signal.ts";
import { runPoststart, startContainer } from "./start.ts";

/** Creates and starts. Detached, it resolves with 0 then; else, once the container has ended, with its exit code. */
export async function runContainer(
  request: CreateRequest,
  options: {
    readonly detach: boolean;
    /** Not deleted at its end. */
    readonly keep: boolean;
  },
): Promise<number> {
  if (options.detach) {
    const { directory } = await createContainer(request, { stays: false });
    try {
      await startContainer(directory);
    } catch (error) {
      await deleteContainer(directory, { force: true, warn: request.warn });
      throw error;
    }
    return 0;
  }
  const created = await createContainer(request, { stays: true });
  const { directory, record, supervisorDir, config } = created;
  if (record.process === undefined || supervisorDir === undefined) {
    throw new Error("cannot wait for the container: it has no process");
  }
  const poststart = () => runPoststart(directory, record);
  try {
    const joins = config.process?.terminal === true && request.consoleSocket === undefined;
    if (joins) return await joinTerminal(supervisorDir, poststart);
    await poststart();
    return await waitForEnd(record.process, supervisorDir);
  } finally {
    rmSync(supervisorDir, { recursive: true, force: true });
    if (!options.keep) await deleteContainer(directory, { force: true, warn: request.warn });
  }
}
