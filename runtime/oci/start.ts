import { closeSync, openSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { readHelperError } from "../helper/helper-error.ts";
import { receiveMessages, sendMessage } from "../helper/message-stream.ts";
import { message } from "../protocol.ts";
import { requireStatus, stateOf } from "./container-status.ts";
import { runHook } from "./hooks.ts";
import { OciConfig } from "./oci-config.ts";
import { readJson } from "./read-json.ts";
import { killEverything } from "./signal.ts";
import type { OciRecord, StateDirectory } from "./state-directory.ts";

/** Lets a created container's process run. Rejects with a HelperError when its program cannot be executed. */
export async function startContainer(directory: StateDirectory): Promise<void> {
  const record = directory.read();
  requireStatus(record, directory, ["created"], "start");
  await release(directory);
  rmSync(directory.startSocket, { force: true });
  await runPoststart(directory, record);
}

/** Runs the hooks after a start. The container is stopped where one of them fails, and this rejects with its failure. */
export async function runPoststart(directory: StateDirectory, record: OciRecord): Promise<void> {
  const { hooks } = readJson(directory.configFile, OciConfig, "the configuration");
  try {
    for (const hook of hooks?.poststart ?? []) runHook(hook, stateOf(record, "running"));
  } catch (error) {
    await killEverything(record);
    throw error;
  }
}

/** The init answers by what it becomes: the end of the connection without a word is its exec. */
async function release(directory: StateDirectory): Promise<void> {
  // A name that fits into a socket's address, however long the path is.
  const fd = openSync(directory.path, "r");
  try {
    const socket = createConnection(`/proc/self/fd/${fd}/start`);
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      receiveMessages(socket, (answer) => {
        if (answer.type === message.error) reject(readHelperError(answer.body));
      });
      socket.once("close", () => resolve());
      sendMessage(socket, { id: 1, type: message.release, body: Buffer.alloc(0) });
    }).finally(() => socket.destroy());
  } finally {
    closeSync(fd);
  }
}
