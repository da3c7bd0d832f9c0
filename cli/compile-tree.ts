/** Manifests of a working tree or a repository, compiled without an agent. */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { CompileRequest, FleetResult } from "../manifests/compile-revision.ts";
import type { Admit, CommitSha, FileReader } from "../manifests/desired-state.ts";
import { CliError } from "./cli-error.ts";

const FETCH_TIMEOUT_MS = 60_000;

/** As in `git blame`: what is not committed has the null id. */
// The brand is given here: forty zeros have the form of a commit id.
const NOT_COMMITTED = "0".repeat(40) as CommitSha;

export type TreeOptions = {
  readonly tree: string;
  readonly path: string;
  readonly host?: string | undefined;
  readonly ref?: string | undefined;
  /** A policy file: what the host grants. Without one, everything is granted. */
  readonly policy?: string | undefined;
  /** Called with each app that was read. */
  readonly onLoaded?: CompileRequest["onLoaded"];
};

/**
 * A directory is read as it lies there; a bare repository, or any with `ref`, at HEAD or that ref. Without `host` the
 * tree is compiled for every host that its `berth.yaml` knows.
 */
export async function compileTree(options: TreeOptions): Promise<FleetResult> {
  const { tree, ref } = options;
  const root = resolve(tree);
  const found = await stat(root).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new CliError(
      1,
      `cannot read ${tree} because there is no such directory: a working tree or a bare repository is expected`,
    );
  }
  if (!(await readsWorkingTree(options))) {
    return compileCommit({ ...options, repository: root, ref: ref ?? "HEAD" });
  }
  const { createDirectoryReader } = await import("./directory-reader.ts");
  return compile(options, NOT_COMMITTED, createDirectoryReader(root));
}

/** True when the files are read as they lie there. */
export async function readsWorkingTree({ tree, ref }: TreeOptions): Promise<boolean> {
  return ref === undefined && !(await isBareRepository(resolve(tree)));
}

/** The commit is fetched into a mirror of its own, so that it passes the same checks as in the agent. */
async function compileCommit(
  options: TreeOptions & { readonly repository: string; readonly ref: string },
): Promise<FleetResult> {
  const { openGitMirror } = await import("../agent/source/git-mirror.ts");
  const libDir = await mkdtemp(join(tmpdir(), "berth-validate-"));
  const abort = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  try {
    const { repository: repo, ref } = options;
    const mirror = openGitMirror({ repo, ref, libDir, fetchTimeoutMs: FETCH_TIMEOUT_MS });
    const revision = await mirror.fetch(abort);
    const reader = await mirror.open(revision, abort);
    try {
      return await compile(options, revision, reader);
    } finally {
      reader.close();
    }
  } finally {
    await rm(libDir, { recursive: true, force: true });
  }
}

async function compile(
  { path, host, policy, onLoaded }: TreeOptions,
  revision: CommitSha,
  reader: FileReader,
): Promise<FleetResult> {
  const { compileFleet, compileRevision } = await import("../manifests/compile-revision.ts");
  const abort = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const admit = policy === undefined ? undefined : await readPolicy(policy);
  const request = { revision, reader, path, abort, admit, onLoaded };
  if (host === undefined) return compileFleet({ ...request, host: hostname() });
  return { ...(await compileRevision({ ...request, host })), hosts: [] };
}

async function readPolicy(file: string): Promise<Admit> {
  const [{ loadPolicy }, { admitService }] = await Promise.all([
    import("../agent/policy/load-policy.ts"),
    import("../agent/policy/admit-service.ts"),
  ]);
  return admitService(await loadPolicy(file), { ports: [] });
}

/** `HEAD`, `objects` and `refs` side by side, as git itself decides (is_git_directory). */
async function isBareRepository(root: string): Promise<boolean> {
  const names = ["HEAD", "objects", "refs"];
  const found = await Promise.all(
    names.map((name) => stat(join(root, name)).catch(() => undefined)),
  );
  return found.every(
    (entry, index) => (index === 0 ? entry?.isFile() : entry?.isDirectory()) === true,
  );
}
