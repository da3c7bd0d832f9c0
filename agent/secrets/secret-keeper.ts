import { createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { App, DesiredState, ServiceMount } from "../../manifests/desired-state.ts";
import { decryptSecret } from "../../manifests/secrets/secret-file.ts";
import { treeRoot } from "../../runtime/containers/tree-paths.ts";
import type { StateStore, StoredSecret } from "../store/state-store.ts";
import { readIdentities } from "./identity-file.ts";

type SecretMount = Extract<ServiceMount, { type: "secret" }>;

export type ResolvedSecrets =
  | { readonly ok: true; readonly desired: DesiredState }
  /** `file:line:column: message`, as mistakes of manifests are told. */
  | { readonly ok: false; readonly errors: readonly string[] };

const keyBytes = 32;

/**
 * Decrypts secrets where they are needed. Plain content is never kept: what remains of it is an HMAC under a key of
 * this host, which tells whether the content changed and nothing else.
 */
export class SecretKeeper {
  readonly #libDir: string;
  readonly #identityFile: () => string;
  readonly #state: Pick<StateStore, "rememberSecret" | "secret">;
  #key: Promise<Uint8Array> | undefined;

  constructor(options: {
    readonly libDir: string;
    readonly identityFile: () => string;
    readonly state: Pick<StateStore, "rememberSecret" | "secret">;
  }) {
    this.#libDir = options.libDir;
    this.#identityFile = options.identityFile;
    this.#state = options.state;
  }

  /** Decrypts every secret of a revision, whose trees are on the host, and fills in what stands for its content. */
  async resolve(desired: DesiredState): Promise<ResolvedSecrets> {
    const mounts = new Map(desired.apps.flatMap(secretsOf).map((mount) => [mount.tree, mount]));
    if (mounts.size === 0) return { ok: true, desired };
    const digests = new Map<string, string>();
    const errors: string[] = [];
    for (const mount of mounts.values()) {
      try {
        const digest = await this.#digest(await this.#decrypt(mount));
        this.#state.rememberSecret(digest, { tree: mount.tree, format: mount.format });
        digests.set(mount.tree, digest);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        errors.push(`${mount.path}:1:1: ${why}`);
      }
    }
    if (errors.length > 0) return { ok: false, errors: errors.toSorted() };
    return {
      ok: true,
      desired: { ...desired, apps: desired.apps.map((app) => withDigests(app, digests)) },
    };
  }

  /** The plain content that a digest stands for. Rejects when it cannot be had any more. */
  async content(digest: string): Promise<Uint8Array> {
    const stored = this.#state.secret(digest);
    if (stored === undefined) {
      throw new Error(
        "cannot decrypt it because no revision of this host has it any more: commit it again",
      );
    }
    const content = await this.#decrypt(stored);
    if ((await this.#digest(content)) === digest) return content;
    throw new Error(
      "cannot decrypt it because the host's key in lib/secrets.key was changed: commit it again",
    );
  }

  async #decrypt({ tree, format }: StoredSecret): Promise<Uint8Array> {
    const bytes = await readFile(treeRoot(this.#libDir, tree));
    const identities = format === "plain" ? [] : await readIdentities(this.#identityFile());
    return decryptSecret({ format, bytes, identities });
  }

  async #digest(content: Uint8Array): Promise<string> {
    this.#key ??= hostKey(join(this.#libDir, "secrets.key"));
    return createHmac("sha256", await this.#key)
      .update(content)
      .digest("hex");
  }
}

/** Made at its first use; complete once its name is there. */
async function hostKey(path: string): Promise<Uint8Array> {
  const known = readKey(path);
  if (known !== undefined) return known;
  const fresh = `${path}.${randomBytes(6).toString("hex")}`;
  const handle = await open(fresh, "wx", 0o600);
  try {
    await handle.writeFile(randomBytes(keyBytes));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await link(fresh, path).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  });
  await rm(fresh);
  const key = readKey(path);
  if (key === undefined) throw new Error(`cannot make the host's key ${path}`);
  return key;
}

function readKey(path: string): Uint8Array | undefined {
  try {
    const key = readFileSync(path);
    if (key.length === keyBytes) return key;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  throw new Error(
    `cannot use the host's key ${path} because it has another length than ${keyBytes} bytes: remove it`,
  );
}

function secretsOf(app: App): readonly SecretMount[] {
  return app.services.flatMap(({ mounts }) => mounts.filter((mount) => mount.type === "secret"));
}

function withDigests(app: App, digests: ReadonlyMap<string, string>): App {
  const services = app.services.map((service) => {
    if (!service.mounts.some(({ type }) => type === "secret")) return service;
    const mounts = service.mounts.map((mount) =>
      mount.type === "secret" ? { ...mount, digest: digests.get(mount.tree) ?? "" } : mount,
    );
    return { ...service, mounts };
  });
  return { ...app, services };
}
