import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { BuiltImage } from "./image-builder.ts";

export type TestRegistry = {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** `METHOD path`, in order; the ping of `/v2/` is left out. */
  readonly requests: string[];
  /** Serves an image under `repository:tag` and by its digest. */
  add(repository: string, tag: string, image: BuiltImage): void;
  /** Serves these bytes as a manifest under a tag or digest. */
  addManifest(name: string, manifest: { bytes: Buffer; mediaType?: string }): void;
  addBlob(digest: string, bytes: Buffer): void;
  /** Sees every request first; returns true when it has answered. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean;
  close(): Promise<void>;
};

/** A registry that serves what it is told, on loopback, and misbehaves as `intercept` says. */
async function openTestRegistry(): Promise<TestRegistry> {
  const manifests = new Map<string, { bytes: Buffer; mediaType?: string }>();
  const blobs = new Map<string, Buffer>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    if (path !== "/v2/") requests.push(`${request.method} ${path}`);
    if (registry.intercept(request, response)) return;
    if (path === "/v2/") response.writeHead(200).end("{}");
    else answer(path, request, response, { manifests, blobs });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // listening on TCP: never a string or null
  const registry: TestRegistry = {
    host: `127.0.0.1:${port}`,
    requests,
    add(repository, tag, image) {
      const manifest = { bytes: image.manifest, mediaType: image.mediaType };
      for (const name of [tag, image.digest]) manifests.set(`${repository}/${name}`, manifest);
      for (const [digest, bytes] of image.blobs) blobs.set(digest, bytes);
    },
    addManifest: (name, manifest) => manifests.set(name, manifest),
    addBlob: (digest, bytes) => blobs.set(digest, bytes),
    intercept: () => false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return registry;
}

export async function withRegistry(work: (registry: TestRegistry) => Promise<void>): Promise<void> {
  const registry = await openTestRegistry();
  try {
    await work(registry);
  } finally {
    await registry.close();
  }
}

function answer(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  content: {
    manifests: ReadonlyMap<string, { bytes: Buffer; mediaType?: string }>;
    blobs: ReadonlyMap<string, Buffer>;
  },
): void {
  const found = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path);
  const [, repository, kind, name = ""] = found ?? [];
  const manifest =
    kind === "manifests" ? content.manifests.get(`${repository}/${name}`) : undefined;
  const blob = kind === "blobs" ? content.blobs.get(name) : undefined;
  const bytes = manifest?.bytes ?? blob;
  if (bytes === undefined) {
    const errors = [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown\u001b[31m" }];
    response.writeHead(404, { "content-type": "application/json" });
    response.end(JSON.stringify({ errors }));
    return;
  }
  const type = manifest === undefined ? "application/octet-stream" : manifest.mediaType;
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(start === 0 ? 200 : 206, {
    ...(type === undefined ? {} : { "content-type": type }),
    "content-length": bytes.length - start,
    ...(start === 0
      ? {}
      : { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.end(request.method === "HEAD" ? undefined : bytes.subarray(start));
}
