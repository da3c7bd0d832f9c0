import { type Digest, parseDigest } from "./digest.ts";
import { ImageError } from "./image-error.ts";

/** A name of an image in full form. */
export type ImageReference = {
  /** As users write it: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** `library/nginx` */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
};

const DEFAULT_REGISTRY = "docker.io";
const NAME_LENGTH_MAX = 255;
const hostLabel = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const registryGrammar = new RegExp(
  `^(?:${hostLabel}(?:\\.${hostLabel})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]{1,5})?$`,
);
const componentGrammar = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagGrammar = /^\w[\w.-]{0,127}$/;

/**
 * Reads a reference by the grammar and the defaults of github.com/distribution/reference: `nginx` is
 * `docker.io/library/nginx:latest`. A digest wins over a tag.
 */
export function parseReference(text: string): ImageReference {
  if (text.length > 512) throw malformed(text, "it is longer than 512 characters");
  if (/^[0-9a-f]{64}$/.test(text)) throw malformed(text, "64 hexadecimal digits are no name");
  const at = text.indexOf("@");
  const digest = at === -1 ? undefined : parseDigest(text.slice(at + 1));
  const named = at === -1 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagGrammar.test(tag)) throw malformed(text, `bad tag ${quote(tag)}`);
  const { registry, repository } = splitName(hasTag ? named.slice(0, colon) : named);
  if (!registryGrammar.test(registry)) throw malformed(text, `bad registry ${quote(registry)}`);
  if (`${registry}/${repository}`.length > NAME_LENGTH_MAX) {
    throw malformed(text, `the name is longer than ${NAME_LENGTH_MAX} characters`);
  }
  for (const component of repository.split("/")) {
    if (!componentGrammar.test(component)) {
      throw malformed(text, `bad path component ${quote(component)} (lowercase is expected)`);
    }
  }
  if (digest !== undefined) {
    return { registry, repository, digest, ...(tag === undefined ? {} : { tag }) };
  }
  return { registry, repository, tag: tag ?? "latest" };
}

/** The full form, which `parseReference` reads back. A reference with a digest is written without its tag. */
export function formatReference(reference: ImageReference): string {
  const name = `${reference.registry}/${reference.repository}`;
  if (reference.digest !== undefined) return `${name}@${reference.digest}`;
  return `${name}:${reference.tag ?? "latest"}`;
}

function splitName(name: string): { registry: string; repository: string } {
  const slash = name.indexOf("/");
  const first = slash === -1 ? "" : name.slice(0, slash);
  const isHost = /[.:A-Z]/.test(first) || first === "localhost";
  if (!isHost) return defaultRegistry(name);
  const repository = name.slice(slash + 1);
  if (first === DEFAULT_REGISTRY || first === "index.docker.io") return defaultRegistry(repository);
  return { registry: first, repository };
}

function defaultRegistry(repository: string): { registry: string; repository: string } {
  const isOfficial = !repository.includes("/");
  return {
    registry: DEFAULT_REGISTRY,
    repository: isOfficial ? `library/${repository}` : repository,
  };
}

function malformed(text: string, why: string): ImageError {
  return new ImageError({
    because: `${quote(text)} is not an image reference (${why})`,
    fix: "write [registry/]name[:tag][@sha256:digest]",
    kind: "stalled",
  });
}

function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
