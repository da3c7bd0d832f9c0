import { posix } from "node:path";
import type { FileReader, ServiceMount } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import { suggestion } from "../nearest-name.ts";
import { secretBytesMax, secretFormat } from "../secrets/secret-file.ts";
import type { AppTrees } from "../trees/tree-reader.ts";
import { formatPath, locate, type Path } from "../yaml/node.ts";
import { placeInList } from "./check-model.ts";
import type { Grant } from "./grant-model.ts";
import type { FileModel } from "./read-file.ts";
import type { Lookup } from "./template.ts";

/** Service -> the mounts that its `configs` and `secrets` come to. */
export type GrantedMounts = ReadonlyMap<string, readonly ServiceMount[]>;

type GrantRequest = {
  readonly file: FileModel;
  /** Services that run on this host. */
  readonly enabled: ReadonlySet<string>;
  /** Of the app, from the repository's root. */
  readonly directory: string;
  readonly reader: FileReader;
  readonly trees: AppTrees;
  readonly lookup: Lookup;
  readonly report: Report;
};

type Place = { readonly path: Path; readonly grant: Grant };

/** Reads what services are granted; names that lead nowhere and files that are not there are reported. */
export async function readGrants(request: GrantRequest): Promise<GrantedMounts> {
  const granted = new Map<string, ServiceMount[]>();
  for (const [name, model] of request.file.services) {
    if (model === undefined || !request.enabled.has(name)) continue;
    const mounts: ServiceMount[] = [];
    const taken = new Set(
      [...(model.volumes ?? []), ...(model.tmpfs ?? [])].map(({ target }) => target),
    );
    for (const kind of ["configs", "secrets"] as const) {
      const grants = model[kind] ?? [];
      if (grants.length > grantsMax) tooMany(request, ["services", name, kind]);
      for (const [index, grant] of grants.slice(0, grantsMax).entries()) {
        const path = ["services", name, kind, placeInList(grants, index)];
        const mount = await (kind === "configs"
          ? configMount(request, { path, grant })
          : secretMount(request, { path, grant }));
        if (mount === undefined) continue;
        if (taken.has(mount.target))
          fail(request, path, `another mount of the service is already at ${mount.target}`);
        taken.add(mount.target);
        mounts.push(mount);
      }
    }
    if (mounts.length > 0) granted.set(name, mounts);
  }
  return granted;
}

const grantsMax = 64;

function tooMany({ file, report }: GrantRequest, path: Path): void {
  report.error(locate(file.root, path), `${formatPath(path)}: at most ${grantsMax} are expected`);
}

async function configMount(request: GrantRequest, place: Place): Promise<ServiceMount | undefined> {
  const { grant } = place;
  const source = declared(request, place, "configs");
  const target = targetOf(request, place, "/");
  if (source === undefined || target === undefined) return undefined;
  const look = { uid: grant.uid, gid: grant.gid, mode: grant.mode ?? 0o444 };
  if (source.kind === "content")
    return { type: "tree", tree: request.trees.text(source.text, look), target };
  if (source.kind === "environment") {
    const text = request.lookup(source.variable);
    if (text === undefined)
      return fail(
        request,
        ["configs", grant.source, "environment"],
        `the variable ${source.variable} is not set`,
      );
    return { type: "tree", tree: request.trees.text(text, look), target };
  }
  const answer = await request.trees.at(posix.join(request.directory, source.path), look);
  if (!answer.ok) return fail(request, ["configs", grant.source, "file"], answer.problem);
  return { type: "tree", tree: answer.digest, target };
}

/** What is mounted is the file's plain content; only the file as git has it is kept on the host. */
async function secretMount(request: GrantRequest, place: Place): Promise<ServiceMount | undefined> {
  const { grant } = place;
  const source = declared(request, place, "secrets");
  const target = targetOf(request, place, "/run/secrets/");
  if (source?.kind !== "file" || target === undefined) return undefined;
  const at: Path = ["secrets", grant.source, "file"];
  const path = posix.join(request.directory, source.path);
  const answer = await request.trees.at(path, { mode: 0o400 });
  if (!answer.ok) {
    const advice = "encrypt it with `berth secrets encrypt`, and add that file";
    return fail(request, at, answer.problem.replace("add it to git", advice));
  }
  const bytes = await readSecret(request, at, path);
  if (bytes === undefined) return undefined;
  const format = secretFormat(path, bytes);
  if (format === "plain") {
    const message = `${formatPath(at)}: ${path} is not encrypted: whoever reads the repository reads it, \`berth secrets encrypt\` mends that`;
    request.report.warn(locate(request.file.root, at), message);
  }
  const { uid = 0, gid = 0, mode = 0o444 } = grant;
  return { type: "secret", tree: answer.digest, format, path, target, uid, gid, mode };
}

async function readSecret(
  request: GrantRequest,
  at: Path,
  path: string,
): Promise<Uint8Array | undefined> {
  try {
    const bytes = await request.reader.read(path, secretBytesMax);
    return bytes ?? fail(request, at, `${JSON.stringify(path)} is a directory: a file is expected`);
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EFBIG") throw error;
    return fail(
      request,
      at,
      `${JSON.stringify(path)} is too large: at most ${secretBytesMax} bytes are expected`,
    );
  }
}

/** A source with a mistake of its own is undefined too; that was reported there. */
function declared(request: GrantRequest, { path, grant }: Place, kind: "configs" | "secrets") {
  const known = request.file[kind];
  if (known.has(grant.source)) return known.get(grant.source);
  const near = suggestion(grant.source, known.keys());
  return fail(request, path, `"${grant.source}" is not declared in ${kind}${near}`);
}

function targetOf(request: GrantRequest, { path, grant }: Place, base: string): string | undefined {
  const target = posix.resolve(base, grant.target ?? grant.source);
  if (target !== "/" && !(grant.target ?? "").endsWith("/")) return target;
  return fail(request, [...path, "target"], "the path of a file is expected");
}

function fail({ file, report }: GrantRequest, path: Path, message: string): undefined {
  report.error(locate(file.root, path), `${formatPath(path)}: ${message}`);
  return undefined;
}
