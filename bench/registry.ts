import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ImageBlob } from "./images.ts";

export const registryProgram = "/usr/bin/docker-registry";
const host = "127.0.0.1:22998";

/** Debian's registry on loopback, with a directory of its own. */
export class BenchRegistry {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(dir: string): Promise<BenchRegistry> {
    mkdirSync(dir, { recursive: true });
    const configuration = {
      version: "0.1",
      storage: { filesystem: { rootdirectory: join(dir, "registry") } },
      http: { addr: host },
      log: { level: "error", accesslog: { disabled: true } },
    };
    const file = join(dir, "registry.yml");
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(configuration));
    const registry = new BenchRegistry(
      spawn(registryProgram, ["serve", file], { stdio: "ignore" }),
    );
    for (let tries = 0; tries < 100; tries += 1) {
      const answers = await fetch(`http://${host}/v2/`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (answers) return registry;
      await sleep(50);
    }
    await registry.stop();
    throw new Error(`${registryProgram} does not answer at ${host}`);
  }

  reference(repository: string, tag: string): string {
    return `${host}/${repository}:${tag}`;
  }

  /** Pushes blobs one after the other as they are made (distribution-spec 1.1, "Pushing Blobs"), the manifest last. */
  async push(repository: string, tag: string, blobs: Iterable<ImageBlob>): Promise<void> {
    const base = `http://${host}/v2/${repository}`;
    for (const { digest, bytes, manifestType } of blobs) {
      if (manifestType !== undefined) {
        await this.#send("PUT", `${base}/manifests/${tag}`, bytes, manifestType);
        continue;
      }
      const begun = await this.#send("POST", `${base}/blobs/uploads/`);
      const location = new URL(begun.headers.get("location") ?? "", `http://${host}`);
      location.searchParams.set("digest", digest);
      await this.#send("PUT", location.href, bytes, "application/octet-stream");
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const end = new Promise((resolve) => {
      this.#child.once("exit", resolve);
    });
    this.#child.kill("SIGTERM");
    await end;
  }

  async #send(method: string, url: string, bytes?: Buffer, type?: string): Promise<Response> {
    const answer = await fetch(url, {
      method,
      ...(bytes === undefined ? {} : { body: new Uint8Array(bytes) }),
      ...(type === undefined ? {} : { headers: { "content-type": type } }),
    });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`${method} ${url} is answered with ${answer.status}`);
    return answer;
  }
}
