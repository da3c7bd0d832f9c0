import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildTar, type TarEntry } from "../test/builders/tar.ts";
import { AgentProcess } from "./agent-process.ts";
import { type BenchImage, imageBlobs, largeEntries } from "./images.ts";
import { type Measurement, summarize } from "./measure.ts";
import { makeOwnDisk } from "./own-disk.ts";

const runs = 3;

/** 288 MiB of files in six layers. */
const image: BenchImage = {
  name: "load",
  what: "load",
  *layers() {
    for (let layer = 0; layer < 6; layer += 1) yield largeEntries(`l${layer}`);
  },
};

type LocalForm = {
  readonly what: string;
  readonly verb: readonly string[];
  /** A new archive of content that nobody has seen. */
  archive(): Buffer;
};

const forms: readonly LocalForm[] = [
  { what: "load of an oci-archive, 288 MiB in 6 gzip layers", verb: ["load"], archive: ociArchive },
  {
    what: "load of a gzip docker-archive, 288 MiB in 6 plain layers",
    verb: ["load"],
    archive: () => gzipSync(dockerArchive(), { level: 6 }),
  },
  {
    what: "import of a gzip root file system, 288 MiB",
    verb: ["import"],
    archive: () => gzipSync(buildTar([...image.layers()].flat()), { level: 6 }),
  },
];

/** The local forms of images: time, and the longest delay of the agent's event loop meanwhile. */
export async function measureLoads(dir: string): Promise<Measurement[]> {
  const disk = await makeOwnDisk(dir);
  const agent = new AgentProcess(join(dir, "berth"), 22_997);
  try {
    await agent.start({ watchesDelay: true });
    const found: Measurement[] = [];
    for (const form of forms) found.push(...(await measureForm(agent, join(dir, "archive"), form)));
    return found;
  } finally {
    await agent.down();
    await disk.remove();
  }
}

/** The first round is not counted. */
async function measureForm(
  agent: AgentProcess,
  path: string,
  { what, verb, archive }: LocalForm,
): Promise<Measurement[]> {
  const took: number[] = [];
  const delays: number[] = [];
  const cpu: number[] = [];
  for (let round = 0; round <= runs; round += 1) {
    writeFileSync(path, archive());
    await agent.longestDelayMs();
    const cpuMs = agent.cpuMs();
    const begin = performance.now();
    await agent.berth([...verb, path]);
    took.push(performance.now() - begin);
    cpu.push(agent.cpuMs() - cpuMs);
    delays.push(await agent.longestDelayMs());
  }
  return [
    summarize(what, "berth", "ms", took.slice(1)),
    summarize(`${what}: longest delay of its event loop`, "berth", "ms", delays.slice(1)),
    summarize(`${what}: CPU time of the agent`, "berth", "ms", cpu.slice(1)),
  ];
}

function ociArchive(): Buffer {
  const files: TarEntry[] = [file("oci-layout", json({ imageLayoutVersion: "1.0.0" }))];
  const manifests = [];
  for (const { digest, bytes, manifestType } of imageBlobs(image)) {
    files.push(file(`blobs/sha256/${digest.slice("sha256:".length)}`, bytes));
    if (manifestType !== undefined) {
      manifests.push({ mediaType: manifestType, digest, size: bytes.length });
    }
  }
  return buildTar([file("index.json", json({ schemaVersion: 2, manifests })), ...files]);
}

/** As `docker save` wrote it before version 25: plain layers, and a manifest that names them by their paths. */
function dockerArchive(): Buffer {
  const files: TarEntry[] = [];
  const diffIds: string[] = [];
  for (const entries of image.layers()) {
    const tar = buildTar(entries);
    const hex = createHash("sha256").update(tar).digest("hex");
    diffIds.push(`sha256:${hex}`);
    files.push(file(`${hex}.tar`, tar));
  }
  const config = json({
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: { Cmd: ["/bin/true"] },
    rootfs: { type: "layers", diff_ids: diffIds },
  });
  const layers = files.map(({ path }) => path);
  const manifest = json([{ Config: "config.json", RepoTags: ["load:bench"], Layers: layers }]);
  return buildTar([...files, file("config.json", config), file("manifest.json", manifest)]);
}

function file(path: string, content: Buffer): TarEntry {
  return { type: "file", path, content };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
