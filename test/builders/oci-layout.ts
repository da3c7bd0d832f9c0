import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildTar, type TarEntry } from "./tar.ts";

export type ImageRecipe = {
  readonly reference: string;
  /** One layer each, lowest first. */
  readonly layers: readonly (readonly TarEntry[])[];
  readonly config: {
    readonly Entrypoint?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly Env?: readonly string[];
    readonly User?: string;
    readonly WorkingDir?: string;
    readonly StopSignal?: string;
    readonly Labels?: Readonly<Record<string, string>>;
    readonly ExposedPorts?: Readonly<Record<string, object>>;
    /** Times in nanoseconds, as Docker writes them. */
    readonly Healthcheck?: Readonly<Record<string, readonly string[] | number>>;
  };
};

type Descriptor = { readonly mediaType: string; readonly digest: string; readonly size: number };

/** Writes an OCI image layout (image-spec 1.1) with the given images; `dir` is made. */
export function writeOciLayout(dir: string, recipes: readonly ImageRecipe[]): void {
  mkdirSync(join(dir, "blobs", "sha256"), { recursive: true });
  const manifests = recipes.map((recipe) => writeImage(dir, recipe));
  writeFileSync(join(dir, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests,
  };
  writeFileSync(join(dir, "index.json"), JSON.stringify(index));
}

/** A recipe for static programs; the first is the entrypoint, and little else is in the image. */
export function programImage(
  reference: string,
  programs: readonly { readonly path: string; readonly installAs: string }[],
  config: ImageRecipe["config"] = {},
): ImageRecipe {
  return {
    reference,
    layers: [
      [
        ...["bin", "etc", "tmp", "data"].map(
          (path): TarEntry => ({
            type: "directory",
            path: `${path}/`,
            mode: path === "tmp" ? 0o1777 : 0o755,
          }),
        ),
        {
          type: "file",
          path: "etc/passwd",
          content: Buffer.from(
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nweb:x:1000:1000::/home/web:/bin/sh\n",
          ),
          mode: 0o644,
        },
        {
          type: "file",
          path: "etc/group",
          content: Buffer.from("root:x:0:\nweb:x:1000:\nextra:x:2000:web\n"),
          mode: 0o644,
        },
        ...programs.map(
          ({ path, installAs }): TarEntry => ({
            type: "file",
            path: installAs.replace(/^\//, ""),
            content: readFileSync(path),
          }),
        ),
      ],
    ],
    config: { Entrypoint: programs.slice(0, 1).map(({ installAs }) => installAs), ...config },
  };
}

function writeImage(dir: string, recipe: ImageRecipe): Descriptor & { annotations: object } {
  const tars = recipe.layers.map((entries) => buildTar(entries));
  const layers = tars.map((tar) =>
    writeBlob(dir, "application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar, { level: 1 })),
  );
  const config = {
    architecture: arch() === "x64" ? "amd64" : arch(),
    os: "linux",
    config: recipe.config,
    rootfs: { type: "layers", diff_ids: tars.map(digestOf) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: writeBlob(dir, "application/vnd.oci.image.config.v1+json", json(config)),
    layers,
  };
  return {
    ...writeBlob(dir, manifest.mediaType, json(manifest)),
    annotations: { "org.opencontainers.image.ref.name": recipe.reference },
  };
}

function writeBlob(dir: string, mediaType: string, content: Buffer): Descriptor {
  const digest = digestOf(content);
  writeFileSync(join(dir, "blobs", "sha256", digest.slice("sha256:".length)), content);
  return { mediaType, digest, size: content.length };
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
