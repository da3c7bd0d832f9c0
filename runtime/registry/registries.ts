import { ImageError, printable } from "../images/image-error.ts";
import { formatReference, parseReference } from "../images/reference.ts";
import type { PushProgress } from "./push-content.ts";
import type { RegistryClient } from "./registry-client.ts";
import { dropCredentials, keepCredentials } from "./registry-credentials.ts";
import { copyContent, deleteContent, listTags } from "./remote-content.ts";

/** What can be asked of registries besides pulling and pushing. `registry` is `host[:port]`; empty: Docker Hub. */
export type Registries = {
  /** Asks the registry whether it takes the credentials, then keeps them where Docker would. The full name. */
  logIn(
    registry: string,
    credentials: { readonly username: string; readonly password: string },
    abort: AbortSignal,
  ): Promise<string>;
  /** Forgets the credentials; `had` is false when there were none. */
  logOut(registry: string): Promise<{ readonly registry: string; readonly had: boolean }>;
  /** Every tag that a repository has in its registry. */
  tags(repository: string, abort: AbortSignal): Promise<readonly string[]>;
  /** Deletes a tag in its registry, or by digest a manifest with all of its tags. The full reference. */
  delete(reference: string, abort: AbortSignal): Promise<string>;
  /** Copies between repositories, past the store; with `all` every platform of an index. The digest. */
  copy(
    from: string,
    to: string,
    options: {
      readonly all: boolean;
      readonly abort: AbortSignal;
      readonly onProgress?: (progress: PushProgress) => void;
    },
  ): Promise<string>;
};

export function createRegistries(client: RegistryClient): Registries {
  return {
    async logIn(text, credentials, abort) {
      return attempt(`log in to ${printable(text, 200) || "docker.io"}`, abort, async () => {
        const registry = parseRegistry(text);
        if (credentials.username.includes(":") || credentials.username === "") {
          throw unusable("a user name is not empty and has no colon", "give another with -u");
        }
        await client.transport.verify(client.endpoints.own(registry), credentials, abort);
        await keepCredentials(registry, credentials);
        return registry;
      });
    },
    async logOut(text) {
      return attempt(`log out of ${printable(text, 200) || "docker.io"}`, undefined, async () => {
        const registry = parseRegistry(text);
        const had = await dropCredentials(registry);
        client.transport.forgetLogins(registry);
        return { registry, had };
      });
    },
    tags: (text, abort) =>
      attempt(`list the tags of ${printable(text, 200)}`, abort, () => {
        const { registry, repository, digest, tag } = parseReference(text);
        const isMore = digest !== undefined || text.endsWith(`:${tag}`);
        if (isMore) throw unusable("a repository has neither tag nor digest", "leave it out");
        return listTags(client, { registry, repository }, abort);
      }),
    delete: (text, abort) =>
      attempt(`delete ${printable(text, 200)}`, abort, async () => {
        const reference = parseReference(text);
        if (reference.digest === undefined && !text.endsWith(`:${reference.tag}`)) {
          throw unusable("it names neither a tag nor a digest", "write NAME:TAG or NAME@sha256:…");
        }
        await deleteContent(client, reference, abort);
        return formatReference(reference);
      }),
    copy: (from, to, { all, abort, onProgress = () => {} }) =>
      attempt(`copy ${printable(from, 200)}`, abort, () =>
        copyContent(client, {
          from: parseReference(from),
          to: parseReference(to),
          all,
          abort,
          onProgress,
        }),
      ),
  };
}

/** `host[:port]`, also as a URL, as `docker login` takes it. */
function parseRegistry(text: string): string {
  const name = text.replace(/^https?:\/\//, "").replace(/\/(v1\/?|v2\/?)?$/, "");
  if (name === "" || name === "docker.io" || name === "index.docker.io") return "docker.io";
  // A name without a dot, a colon or "localhost" would be a repository of Docker Hub.
  const { registry, repository } = parseReference(`${name}/any`);
  if (registry === name && repository === "any") return registry;
  throw unusable(
    `${JSON.stringify(printable(name, 100))} is no registry`,
    "write host or host:port",
  );
}

async function attempt<T>(
  doing: string,
  abort: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (abort?.aborted === true) throw abort.reason;
    if (!(error instanceof ImageError)) throw error;
    throw error.whileDoing(doing);
  }
}

function unusable(because: string, fix: string): ImageError {
  return new ImageError({ because, fix, kind: "stalled" });
}
