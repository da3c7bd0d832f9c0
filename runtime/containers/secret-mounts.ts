import { release } from "node:os";
import type { ContainerSpec, Mount } from "../container-spec.ts";
import type { PlannedFile, PlannedMount } from "../plan/start-plan.ts";
import type { FsParameter } from "../program/host-operations.ts";
import { mountAttribute } from "../program/kernel-flags.ts";
import type { ContainerContext } from "./container-context.ts";

/** Name of a secret -> what it holds. */
export type SecretContents = ReadonlyMap<string, Uint8Array>;

type SecretMount = Extract<Mount, { type: "secret" }>;

const directory = "/run/secrets";
/** A start is one message to the helper, of 4 MiB at most. */
const bytesMax = 2 * 1024 * 1024;
const pageBytes = 4096;
const { readOnly, noSuid, noDev, noExec } = mountAttribute;

export type SpecWithSecrets = {
  readonly spec: ContainerSpec;
  readonly secrets: SecretContents;
};

/** Asks for what the secrets of a container hold. Rejects with the secret's target and the reason. */
export async function withSecrets(
  context: Pick<ContainerContext, "secretContent">,
  spec: ContainerSpec,
): Promise<SpecWithSecrets> {
  const contents = new Map<string, Uint8Array>();
  let bytes = 0;
  for (const { secret, target } of secretsOf(spec)) {
    if (contents.has(secret)) continue;
    const content = await context.secretContent(secret).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`cannot mount the secret at ${target}: ${why}`, { cause });
    });
    bytes += content.length;
    if (bytes > bytesMax)
      throw new Error(
        `cannot mount its secrets because they hold more than ${bytesMax} bytes together`,
      );
    contents.set(secret, content);
  }
  return { spec, secrets: contents };
}

/**
 * One file system in memory for all secrets of a container, in its own mount namespace: made by the host, so that it
 * is never swapped out where the kernel knows that, written before anyone sees it, then read-only. Those with a target
 * elsewhere are bound from there.
 */
export function secretMounts(
  spec: ContainerSpec,
  { idBase, secrets }: { readonly idBase: number; readonly secrets: SecretContents },
): readonly PlannedMount[] {
  const mounts = secretsOf(spec);
  if (mounts.length === 0) return [];
  const files: PlannedFile[] = [];
  const elsewhere: PlannedMount[] = [];
  let pages = 1;
  for (const [index, { secret, target, mode, uid, gid }] of mounts.entries()) {
    const content = secrets.get(secret);
    if (content === undefined)
      throw new Error(`cannot mount the secret at ${target} because it was not read`);
    const inPlace =
      target.startsWith(`${directory}/`) && !target.slice(directory.length + 1).includes("/");
    const name = inPlace ? target.slice(directory.length + 1) : `.${index}`;
    files.push({ name, mode, uid: idBase + uid, gid: idBase + gid, content });
    pages += Math.ceil(content.length / pageBytes) + 1;
    if (!inPlace)
      elsewhere.push({ kind: "inside", source: `${directory}/${name}`, target, flags: 0 });
  }
  const memory: PlannedMount = {
    kind: "filesystem",
    type: "tmpfs",
    target: directory,
    flags: noSuid | noDev | noExec,
    parameters: parametersOf({ idBase, pages }),
    madeBy: "host",
    files,
    sealFlags: readOnly,
  };
  return [memory, ...elsewhere];
}

function secretsOf(spec: ContainerSpec): readonly SecretMount[] {
  return spec.mounts.filter((mount) => mount.type === "secret");
}

function parametersOf(size: {
  readonly idBase: number;
  readonly pages: number;
}): readonly FsParameter[] {
  const values = Object.entries({
    mode: "755",
    size: `${size.pages * pageBytes}`,
    uid: `${size.idBase}`,
    gid: `${size.idBase}`,
  }).map(([key, value]) => ({ kind: "string", key, value }) as const);
  return knowsNoSwap() ? [...values, { kind: "flag", key: "noswap" }] : values;
}

/** tmpfs(5): since Linux 6.4. */
function knowsNoSwap(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 4);
}
