import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { Agent, request } from "undici";
import { freePort } from "../builders/free-port.ts";
import { kernelTest, serialKernelTest } from "../kernel/kernel-test.ts";
import type { BuiltImage } from "./image-builder.ts";

const program = "/usr/bin/docker-registry";

/** A test that needs Debian's registry. */
export const registryTest = existsSync(program) ? kernelTest : skipped;
export const serialRegistryTest = existsSync(program) ? serialKernelTest : skipped;

function skipped(title: string): void {
  if (process.env.MUST_WORK === "1") test(title, (t) => t.fail(`needs ${program}`));
  else test.skip(`${title} (needs ${program})`, () => {});
}

/** Sections of its configuration file, added to a plain registry. */
export type RegistryOptions = {
  readonly auth?: object;
  readonly proxy?: object;
  /** Of `http`. */
  readonly tls?: object;
};

/** Runs the registry on a free loopback port while `work` lasts. */
export async function withDockerRegistry(
  root: string,
  work: (host: string) => Promise<void>,
  options: RegistryOptions = {},
): Promise<void> {
  const host = `127.0.0.1:${await freePort()}`;
  const place = mkdtempSync(join(root, "registry-"));
  const { tls, ...sections } = options;
  const configuration = {
    version: "0.1",
    storage: { filesystem: { rootdirectory: join(place, "data") }, delete: { enabled: true } },
    http: { addr: host, ...(tls === undefined ? {} : { tls }) },
    log: { level: "error", accesslog: { disabled: true } },
    ...sections,
  };
  // JSON is YAML.
  writeFileSync(join(place, "registry.yml"), JSON.stringify(configuration));
  const child = spawn(program, ["serve", join(place, "registry.yml")], { stdio: "ignore" });
  try {
    await answering(`${tls === undefined ? "http" : "https"}://${host}/v2/`, child);
    await work(host);
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.kill("SIGKILL")) await ended;
  }
}

/** Any answer will do: a registry that wants a client certificate closes the connection. */
async function answering(url: string, child: ChildProcess): Promise<void> {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  try {
    for (let attempt = 0; attempt < 400 && child.exitCode === null; attempt += 1) {
      try {
        const answer = await request(url, { dispatcher });
        await answer.body.dump();
        return;
      } catch (error) {
        const code = error instanceof Error && "code" in error ? error.code : undefined;
        if (code !== "ECONNREFUSED") return;
      }
      await sleep(50);
    }
    throw new Error(`docker-registry does not answer on ${url}`);
  } finally {
    await dispatcher.close();
  }
}

/** Puts an image there without the client under test. */
export async function pushByHand(
  host: string,
  name: { readonly repository: string; readonly tag: string },
  image: Pick<BuiltImage, "blobs" | "manifest" | "mediaType">,
): Promise<void> {
  const base = `http://${host}/v2/${name.repository}`;
  for (const [digest, bytes] of image.blobs) {
    const begun = await request(`${base}/blobs/uploads/`, { method: "POST" });
    await begun.body.dump();
    const upload = new URL(String(begun.headers.location), base);
    upload.searchParams.set("digest", digest);
    await put(upload, bytes, "application/octet-stream");
  }
  await put(new URL(`${base}/manifests/${name.tag}`), image.manifest, image.mediaType);
}

async function put(url: URL, body: Buffer, contentType: string): Promise<void> {
  const headers = { "content-type": contentType };
  const answer = await request(url, { method: "PUT", headers, body });
  const text = await answer.body.text();
  if (answer.statusCode !== 201) throw new Error(`PUT ${url}: ${answer.statusCode} ${text}`);
}
