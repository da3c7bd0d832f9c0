import { compileRevision } from "../../manifests/compile-revision.ts";
import type { Admit, App, CommitSha, FileReader } from "../../manifests/desired-state.ts";

const file = "compose.yaml";

/**
 * The app of one Compose file that lies alone in a directory. Rejects with every mistake in it, each by its path in the
 * model.
 */
export async function compileAlone(options: {
  readonly directory: string;
  readonly text: string;
  readonly host: string;
  readonly admit?: Admit;
}): Promise<App> {
  const { directory, text, host, admit } = options;
  const result = await compileRevision({
    // Forty hex digits are what the brand stands for.
    revision: "0".repeat(40) as CommitSha,
    reader: readerOf(`${directory}/${file}`, Buffer.from(text)),
    host,
    path: ".",
    abort: new AbortController().signal,
    ...(admit === undefined ? {} : { admit }),
  });
  if (!result.ok) throw new Error(result.errors.map(({ message }) => message).join("; "));
  const [app] = result.desired.apps;
  if (app === undefined) throw new Error("a Compose file with one service is expected");
  if (result.desired.trees !== undefined)
    throw new Error("paths of files are absolute where no repository has them");
  return app;
}

function readerOf(path: string, content: Uint8Array): FileReader {
  return {
    list: async () => [path],
    read: async (wanted) => (wanted === path ? content : undefined),
    isExecutable: async () => false,
    others: async () => [],
  };
}
