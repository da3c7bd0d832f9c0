import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { request } from "undici";
import { freePort } from "../builders/free-port.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { type BuiltImage, buildImage, fileLayer } from "./image-builder.ts";
import { soon, withStore } from "./store-harness.ts";

const program = "/usr/bin/docker-registry";
const registryTest = existsSync(program) ? kernelTest : skipped;

function skipped(title: string): void {
  if (process.env.MUST_WORK === "1") test(title, (t) => t.fail(`needs ${program}`));
  else test.skip(`${title} (needs ${program})`, () => {});
}

registryTest("images are pulled from Debian's registry by tag and by digest", (t) =>
  withStore(async ({ root, store, content }) => {
    const image = buildImage([
      fileLayer("one", "1", "gzip"),
      fileLayer("two", Buffer.alloc(3_000_000, "2"), "zstd"),
    ]);
    await withDockerRegistry(root, async (host) => {
      await push(host, { repository: "team/app", tag: "1" }, image);
      t.is(await store.resolve(`${host}/team/app:1`, soon()), image.digest);
      const pulled = await store.pull(`${host}/team/app:1`, { abort: soon() });
      t.is(pulled.digest, image.digest);
      t.is(readFileSync(join(pulled.layerDirs[0] ?? "", "one"), "utf8"), "1");
      t.is(readFileSync(join(pulled.layerDirs[1] ?? "", "two")).length, 3_000_000);
      await store.remove(`${host}/team/app:1`, new Set());
      t.deepEqual(content(), { blobs: [], layers: [], incoming: [] });
      const byDigest = `${host}/team/app@${image.digest}`;
      const again = await store.pull(byDigest, { abort: soon() });
      t.deepEqual(again.references, [byDigest]);
      await t.throwsAsync(store.pull(`${host}/team/app:2`, { abort: soon() }), {
        message: /has no tag 2 of team\/app: it answered 404 \(manifest unknown\)/,
      });
    });
  }),
);

async function withDockerRegistry(
  root: string,
  work: (host: string) => Promise<void>,
): Promise<void> {
  const host = `127.0.0.1:${await freePort()}`;
  const path = join(root, "registry.yml");
  const configuration = {
    version: "0.1",
    storage: { filesystem: { rootdirectory: join(root, "registry") } },
    http: { addr: host },
    log: { level: "error", accesslog: { disabled: true } },
  };
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(configuration));
  const child = spawn(program, ["serve", path], { stdio: "ignore" });
  try {
    await answering(host, child);
    await work(host);
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.kill("SIGKILL")) await ended;
  }
}

async function answering(host: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt += 1) {
    const answer = await request(`http://${host}/v2/`).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) return;
    await sleep(50);
  }
  throw new Error(`docker-registry does not answer on ${host}`);
}

async function push(
  host: string,
  name: { readonly repository: string; readonly tag: string },
  image: BuiltImage,
): Promise<void> {
  const base = `http://${host}/v2/${name.repository}`;
  for (const [digest, bytes] of image.blobs) {
    const begun = await request(`${base}/blobs/uploads/`, { method: "POST" });
    await begun.body.dump();
    const upload = new URL(String(begun.headers.location), base);
    upload.searchParams.set("digest", digest);
    const type = "application/octet-stream";
    await put(upload, bytes, type);
  }
  await put(new URL(`${base}/manifests/${name.tag}`), image.manifest, image.mediaType);
}

async function put(url: URL, body: Buffer, contentType: string): Promise<void> {
  const headers = { "content-type": contentType };
  const answer = await request(url, { method: "PUT", headers, body });
  const text = await answer.body.text();
  if (answer.statusCode !== 201) throw new Error(`PUT ${url}: ${answer.statusCode} ${text}`);
}
