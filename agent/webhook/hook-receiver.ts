import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { createHookCheck } from "./hook-check.ts";

export type HookAnswer = { readonly status: number; readonly text: string };

export type HookReceiver = {
  /** Reads the delivery to its end, or until it is refused. */
  receive(request: IncomingMessage): Promise<HookAnswer>;
};

/** What GitHub sends at most. */
const bodyBytesMax = 25 * 1_048_576;
const secretBytesMax = 65_536;
const secretCharactersMin = 16;

const refused: HookAnswer = {
  status: 401,
  text: "the delivery is not signed with the secret of this host: see docs/webhooks.md\n",
};

/**
 * Takes webhooks of git servers. A delivery says nothing but that the source may have moved: its body is hashed and
 * not read. The secrets stand in a file, one a line, and are read for each delivery, so that they can be changed.
 */
export function createHookReceiver(options: {
  readonly secretFile: string;
  readonly now: () => number;
  /** Asked once for each delivery that is accepted and has a mark; it is taken with that. */
  readonly isNew: (mark: string) => boolean;
  readonly onHook: (sender: string) => void;
  readonly onRefused: () => void;
}): HookReceiver {
  const { secretFile, now, isNew, onHook, onRefused } = options;
  return {
    async receive(request) {
      const check = createHookCheck(request.headers, await readSecrets(secretFile), now());
      if (check === undefined) {
        onRefused();
        return refused;
      }
      let bytes = 0;
      for await (const chunk of request.iterator({ destroyOnReturn: false })) {
        bytes += chunk.length;
        if (bytes > bodyBytesMax) {
          onRefused();
          return { status: 413, text: `a delivery has at most ${bodyBytesMax} bytes\n` };
        }
        check.take(chunk);
      }
      const verdict = check.verdict();
      if (!verdict.ok) {
        onRefused();
        return refused;
      }
      if (verdict.mark !== undefined && !isNew(verdict.mark))
        return { status: 200, text: "seen before\n" };
      onHook(check.sender);
      return { status: 202, text: "fetching\n" };
    },
  };
}

/** One a line; blank lines and those that begin with # do not count. */
async function readSecrets(path: string): Promise<string[]> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new Error(`cannot read the webhook's secret ${path}`, { cause });
  });
  if (bytes.length > secretBytesMax) {
    throw new Error(`cannot use the webhook's secret ${path} because it is larger than 64 KiB`);
  }
  const lines = bytes.toString("utf8").split("\n");
  const secrets = lines.map((line) => line.trim()).filter((line) => /^[^#]/.test(line));
  if (secrets.length === 0 || secrets.some((secret) => secret.length < secretCharactersMin)) {
    throw new Error(
      `cannot use the webhook's secret ${path}: at least ${secretCharactersMin} characters a line are expected`,
    );
  }
  return secrets;
}
