import { setImmediate } from "node:timers/promises";
import { checkRevision } from "./compose/check-revision.ts";
import { type LoadedApp, loadApp } from "./compose/load-app.ts";
import type { Admit, CommitSha, CompileResult, FileReader } from "./desired-state.ts";
import { collectDiagnostics, type Report } from "./diagnostics.ts";
import { findApps, normalizeRoot } from "./find-apps.ts";
import { formatPath, locateKey } from "./yaml/node.ts";

/**
 * Compiles a commit into what a host shall run. Every directory below `path` with a Compose
 * file is an app. Mistakes never throw: all of them come back, sorted by file, line and column.
 * Rejects when the reader fails or `abort` fires.
 */
export async function compileRevision({
  revision,
  reader,
  path,
  abort,
  admit,
}: {
  readonly revision: CommitSha;
  readonly reader: FileReader;
  /** The host to compile for. Without a `berth.yaml`, every app runs on every host. */
  readonly host: string;
  /** Directory of the repository to look below; `.` for all of it. */
  readonly path: string;
  readonly abort: AbortSignal;
  /** What the host grants; without it, everything. */
  readonly admit?: Admit | undefined;
}): Promise<CompileResult> {
  const { report, finish } = collectDiagnostics();
  const files = await reader.list();
  const root = normalizeRoot(path);
  checkRoot({ files, root, report });
  const loaded: LoadedApp[] = [];
  const budget = { bytesLeft: revisionBytesMax };
  for (const source of findApps({ files, root, report })) {
    // Parsing is work without waits: whoever shares the event loop gets a turn between two apps.
    await setImmediate(undefined, { signal: abort });
    const app = await loadApp({ source, reader, budget, report });
    if (app !== undefined) loaded.push(app);
  }
  checkRevision({ loaded, report });
  if (admit !== undefined) checkAdmission({ loaded, admit, report });
  const { errors, warnings } = finish();
  if (errors.length > 0) return { ok: false, errors };
  const apps = loaded.map(({ app }) => app).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { ok: true, desired: { revision, apps }, warnings };
}

function checkAdmission({
  loaded,
  admit,
  report,
}: {
  readonly loaded: readonly LoadedApp[];
  readonly admit: Admit;
  readonly report: Report;
}): void {
  for (const { app, file } of loaded) {
    for (const service of app.services) {
      for (const { path, message } of admit(service)) {
        const full = ["services", service.name, ...path];
        report.error(locateKey(file.root, full), `${formatPath(full)}: ${message}`);
      }
    }
  }
}

/** Bytes that all Compose and `.env` files of a revision may have together. */
const revisionBytesMax = 16 * 1024 * 1024;

/** A path that leads nowhere must not read as "run nothing": that would remove everything. */
function checkRoot({
  files,
  root,
  report,
}: {
  readonly files: readonly string[];
  readonly root: string;
  readonly report: Report;
}): void {
  if (root !== "." && !files.some((file) => file.startsWith(`${root}/`)))
    report.error(
      { file: root, line: 1, column: 1 },
      "there is no such directory in the revision: a directory with apps below it is expected",
    );
  if (files.includes("berth.yaml"))
    report.error(
      { file: "berth.yaml", line: 1, column: 1 },
      "not supported yet: berth.yaml: every app runs on every host, remove it",
    );
}
