import test from "ava";
import { compileRevision } from "../../manifests/compile-revision.ts";
import type { ServiceMount } from "../../manifests/desired-state.ts";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import type { FileTree } from "../../manifests/trees/file-tree.ts";
import { revision } from "./compile.ts";
import { readTree } from "./read-tree.ts";

type Files = Readonly<Record<string, string>>;

const mounting = (...volumes: readonly string[]) =>
  `services: {web: {image: nginx, volumes: ${JSON.stringify(volumes)}}}`;

async function compileMounts(files: Files, odd: Parameters<typeof readTree>[1] = {}) {
  const reader = readTree(files, odd);
  const abort = AbortSignal.timeout(20_000);
  const result = await compileRevision({ revision, reader, host: "h", path: ".", abort });
  if (!result.ok) throw new Error(result.errors.map(formatDiagnostic).join("\n"));
  const mounts = result.desired.apps[0]?.services[0]?.mounts ?? [];
  return { mounts, trees: result.desired.trees ?? {} };
}

function treeAt(
  {
    mounts,
    trees,
  }: {
    readonly mounts: readonly ServiceMount[];
    readonly trees: Readonly<Record<string, FileTree>>;
  },
  target: string,
): FileTree | undefined {
  const mount = mounts.find((each) => each.target === target);
  return mount?.type === "tree" ? trees[mount.tree] : undefined;
}

test("a relative bind mount is a tree of the revision's files", async (t) => {
  const files = {
    "apps/web/compose.yaml": mounting("./conf:/conf:ro", "../shared/x.sh:/x:ro"),
    "apps/web/conf/b": "2",
    "apps/web/conf/a/c": "1",
    "apps/web/conference": "no",
    "apps/shared/x.sh": "3",
  };
  const compiled = await compileMounts(files, { executables: ["apps/shared/x.sh"] });
  const conf = treeAt(compiled, "/conf");
  t.is(conf?.kind, "directory");
  t.deepEqual(
    conf?.files.map(({ path, mode, sizeBytes, source }) => ({ path, mode, sizeBytes, source })),
    [
      { path: "a/c", mode: 0o644, sizeBytes: 1, source: { path: "apps/web/conf/a/c" } },
      { path: "b", mode: 0o644, sizeBytes: 1, source: { path: "apps/web/conf/b" } },
    ],
  );
  const file = treeAt(compiled, "/x");
  t.is(file?.kind, "file");
  t.is(file?.files[0]?.mode, 0o755);
});

test("the digest follows content, names and modes, and neither the place nor the commit", async (t) => {
  const digest = async (
    files: Files,
    odd: Parameters<typeof readTree>[1] = {},
  ): Promise<string | undefined> => {
    const { trees } = await compileMounts(files, odd);
    return Object.keys(trees)[0];
  };
  const base = { "a/compose.yaml": mounting("./c:/c:ro"), "a/c/x": "1" };
  const first = await digest(base);
  t.regex(first ?? "", /^[0-9a-f]{64}$/);
  t.is(await digest({ "b/compose.yaml": mounting("./d:/d:ro"), "b/d/x": "1", "b/e": "2" }), first);
  t.not(await digest({ ...base, "a/c/x": "2" }), first);
  t.not(await digest({ ...base, "a/c/y": "" }), first);
  t.not(await digest(base, { executables: ["a/c/x"] }), first);
});

test("a link in a mounted directory is refused by name, one elsewhere is not", async (t) => {
  const files = { "a/compose.yaml": mounting("./c:/c:ro"), "a/c/x": "1" };
  await t.notThrowsAsync(compileMounts(files, { others: ["a/cc"] }));
  await t.throwsAsync(compileMounts(files, { others: ["a/c/link"] }), {
    message: /"a\/c\/link" is a symbolic link or a submodule: put the file itself there$/,
  });
});

test("what is too much to be mounted is refused, and a volume named instead", async (t) => {
  const many = Object.fromEntries(Array.from({ length: 10_001 }, (_, n) => [`a/c/${n}`, ""]));
  await t.throwsAsync(compileMounts({ "a/compose.yaml": mounting("./c:/c:ro"), ...many }), {
    message: /"a\/c" has 10001 files: at most 10000 are mounted, use a volume$/,
  });
  const big = { "a/compose.yaml": mounting("./c:/c:ro"), "a/c": "x".repeat(64 * 1024 * 1024 + 1) };
  await t.throwsAsync(compileMounts(big), { message: /"a\/c" is too large: .*, use a volume$/ });
});

test("a service may ask for a signal in place of a new container", async (t) => {
  const service = (wish: string) =>
    `services: {web: {image: nginx, x-berth: {on-config-change: ${wish}}}}`;
  await t.notThrowsAsync(compileMounts({ "a/compose.yaml": service("recreate") }));
  await t.notThrowsAsync(compileMounts({ "a/compose.yaml": service("'signal:sigrtmin+1'") }));
  for (const wish of ["signal:SIGKILL", "signal:9", "signal:", "signal:HUB", "SIGHUP"]) {
    await t.throwsAsync(compileMounts({ "a/compose.yaml": service(`'${wish}'`) }), {
      message: `a/compose.yaml:1:60: services.web.x-berth.on-config-change: "${wish}" is not recreate, or signal: and one that a program can act on such as signal:SIGHUP`,
    });
  }
});
