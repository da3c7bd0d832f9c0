import { createHash, randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { buildTar, type TarEntry } from "../test/builders/tar.ts";

const mebibyte = 1024 * 1024;

/** One image of the comparison: its layers, made one after the other, so that only one is in memory. */
export type BenchImage = {
  readonly name: string;
  readonly what: string;
  layers(): Iterable<readonly TarEntry[]>;
};

/** 484 MiB in ten layers. */
export const largeImage: BenchImage = {
  name: "large",
  what: "pull and unpack of 480 MiB in 10 gzip layers",
  *layers() {
    for (let layer = 0; layer < 10; layer += 1) {
      yield largeEntries(`l${layer}`);
    }
  },
};

/** 48 files of a mebibyte; nearly half of what is in them does not compress. */
export function largeEntries(directory: string): readonly TarEntry[] {
  return Array.from({ length: 48 }, (_, file) => entry(`${directory}/f${file}`, mebibyte));
}

/** What package managers leave: 30 layers of a thousand small files in forty directories. */
export const smallFilesImage: BenchImage = {
  name: "small",
  what: "pull and unpack of 30,000 small files in 30 gzip layers",
  *layers() {
    for (let layer = 0; layer < 30; layer += 1) {
      yield Array.from({ length: 1000 }, (_, file) =>
        entry(`l${layer}/d${file % 40}/f${file}`, 512 + ((file * 37) % 7168)),
      );
    }
  },
};

/** A blob of an image; the manifest is the only one with a type. */
export type ImageBlob = {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly manifestType?: string;
};

/** What is to be pushed, layers first, manifest last. Each call gives layers that nobody has seen. */
export function* imageBlobs(image: BenchImage): Generator<ImageBlob> {
  const layers = [];
  const diffIds = [];
  for (const entries of image.layers()) {
    const tar = buildTar(entries);
    diffIds.push(digestOf(tar));
    const layer = blobOf(gzipSync(tar, { level: 6 }));
    layers.push(descriptorOf("application/vnd.oci.image.layer.v1.tar+gzip", layer));
    yield layer;
  }
  const config = blobOf(
    json({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: { Cmd: ["/bin/true"] },
      rootfs: { type: "layers", diff_ids: diffIds },
    }),
  );
  yield config;
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptorOf("application/vnd.oci.image.config.v1+json", config),
    layers,
  };
  yield { ...blobOf(json(manifest)), manifestType };
}

function entry(path: string, bytes: number): TarEntry {
  const random = randomBytes(Math.floor(bytes * 0.45));
  const repeated = Buffer.alloc(bytes - random.length, "what compresses well, as text does. ");
  return { type: "file", path, mode: 0o644, content: Buffer.concat([random, repeated]) };
}

function blobOf(bytes: Buffer): ImageBlob {
  return { digest: digestOf(bytes), bytes };
}

function descriptorOf(mediaType: string, { digest, bytes }: ImageBlob): object {
  return { mediaType, digest, size: bytes.length };
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
