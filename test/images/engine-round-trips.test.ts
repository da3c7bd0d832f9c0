import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { Image } from "../../runtime/images/image-store.ts";
import { missingPeer, openEngine } from "../security/engine-peers.ts";
import { pushByHand, serialRegistryTest, withDockerRegistry } from "./docker-registry.ts";
import { buildImage, fileLayer } from "./image-builder.ts";
import { type StoreBench, soon, withStore } from "./store-harness.ts";
import { foreign, indexDigest, loadIndex, own } from "./two-platforms.ts";

const image = buildImage([fileLayer("base", "b".repeat(5000)), fileLayer("srv/web", "1")], {
  config: { Cmd: ["/web"], Env: ["A=b"] },
});

for (const name of ["podman", "docker"] as const) {
  const title = `${name} pulls what is pushed here and loads what is saved here, and the other way round`;
  const reason = missingPeer(name);
  if (reason === undefined) serialRegistryTest(title, (t) => withEngine(t, name));
  else test.skip(`${title} (${reason})`, () => {});
}

async function withEngine(t: ExecutionContext, name: "podman" | "docker"): Promise<void> {
  await withStore(async (bench) => {
    const scratch = join(bench.root, "engine");
    mkdirSync(scratch);
    const engine = await openEngine(name, scratch);
    try {
      await withDockerRegistry(bench.root, async (host) => {
        const theirs = new TheirImages(name, engine.call);
        await ourPush(t, { bench, host, theirs });
        await theirPush(t, { bench, host, theirs });
        await archives(t, { bench, theirs });
        await indexes(t, { bench, host, theirs });
        if (name === "podman") await theirIndex(t, { bench, host, theirs });
      });
    } finally {
      await engine.close();
    }
  });
}

/** The verbs in which the two differ. */
class TheirImages {
  readonly #insecure: readonly string[];
  readonly call: (argv: readonly string[]) => Promise<string>;

  constructor(name: "podman" | "docker", call: TheirImages["call"]) {
    // Docker speaks plain HTTP to loopback by itself.
    this.#insecure = name === "podman" ? ["--tls-verify=false"] : [];
    this.call = call;
  }

  transfer(verb: "pull" | "push", reference: string): Promise<string> {
    return this.call([verb, ...this.#insecure, reference]);
  }

  async inspect(reference: string): Promise<{ id: string; digests: readonly string[] }> {
    const format = "{{.Id}} {{range .RepoDigests}}{{.}} {{end}}";
    const text = await this.call(["image", "inspect", "--format", format, reference]);
    const [id = "", ...digests] = text.trim().split(/\s+/);
    return { id: id.replace(/^sha256:/, ""), digests };
  }
}

type Parts = { readonly bench: StoreBench; readonly theirs: TheirImages };

async function ourPush(t: ExecutionContext, { bench, host, theirs }: Parts & { host: string }) {
  const { store } = bench;
  await pushByHand(host, { repository: "source", tag: "1" }, image);
  await store.pull(`${host}/source:1`, { abort: soon() });
  store.tag(`${host}/source:1`, "example.com/web:1");
  const pushed = await store.push("example.com/web:1", `${host}/ours:1`, { abort: soon() });
  t.is(pushed.digest, image.digest);
  await theirs.transfer("pull", `${host}/ours:1`);
  const { id, digests } = await theirs.inspect(`${host}/ours:1`);
  t.is(`sha256:${id}`, image.configDigest);
  t.true(digests.includes(`${host}/ours@${image.digest}`), digests.join(" "));
}

async function theirPush(t: ExecutionContext, { bench, host, theirs }: Parts & { host: string }) {
  const reference = `${host}/theirs:1`;
  await theirs.call(["tag", `${host}/ours:1`, reference]);
  await theirs.transfer("push", reference);
  const pulled = await bench.store.pull(reference, { abort: soon() });
  checkContent(t, pulled);
  await theirs.call(["rmi", reference]);
  await theirs.transfer("pull", reference);
  const { digests } = await theirs.inspect(reference);
  t.true(digests.includes(`${host}/theirs@${pulled.digest}`), digests.join(" "));
}

async function archives(t: ExecutionContext, { bench, theirs }: Parts): Promise<void> {
  const { root, store } = bench;
  const [ours, back] = [join(root, "ours.tar"), join(root, "back.tar")];
  store.tag("example.com/web:1", "example.com/saved:1");
  const chunks: Uint8Array[] = [];
  const options = { format: "docker-archive", abort: soon() } as const;
  for await (const chunk of store.save(["example.com/saved:1"], options)) chunks.push(chunk);
  writeFileSync(ours, Buffer.concat(chunks));
  await theirs.call(["load", "-i", ours]);
  t.is(`sha256:${(await theirs.inspect("example.com/saved:1")).id}`, image.configDigest);
  await theirs.call(["tag", "example.com/saved:1", "example.com/back:1"]);
  await theirs.call(["save", "-o", back, "example.com/back:1"]);
  const [loaded] = await store.load(back, { abort: soon() });
  if (loaded === undefined) throw new Error("nothing was loaded");
  t.deepEqual(loaded.references, ["example.com/back:1"]);
  checkContent(t, loaded);
  rmSync(back);
}

async function indexes(t: ExecutionContext, { bench, host, theirs }: Parts & { host: string }) {
  await loadIndex(bench, [own, foreign]);
  const target = `${host}/many:1`;
  const { digest } = await bench.store.push("example.com/many:1", target, { abort: soon() });
  t.is(digest, indexDigest);
  await theirs.transfer("pull", target);
  t.is(`sha256:${(await theirs.inspect(target)).id}`, own.configDigest);
}

/** Podman makes an index of the same two images and pushes it. */
async function theirIndex(t: ExecutionContext, { bench, host, theirs }: Parts & { host: string }) {
  await theirs.call(["manifest", "create", "listed"]);
  for (const { digest } of [own, foreign]) {
    const from = `docker://${host}/many@${digest}`;
    await theirs.call(["manifest", "add", "--tls-verify=false", "listed", from]);
  }
  const to = `docker://${host}/listed:1`;
  await theirs.call(["manifest", "push", "--all", "--tls-verify=false", "listed", to]);
  const pulled = await bench.store.pull(`${host}/listed:1`, { abort: soon() });
  t.is(pulled.digest, own.digest);
  t.not(await bench.store.resolve(`${host}/listed:1`, soon()), own.digest);
  // Of theirs the other platform is here too, from the archive before.
  const back = await bench.store.push(`${host}/listed:1`, `${host}/again:1`, { abort: soon() });
  t.is(back.digest, await bench.store.resolve(`${host}/listed:1`, soon()));
}

function checkContent(t: ExecutionContext, { layerDirs, config }: Image): void {
  t.deepEqual(config.command, ["/web"]);
  t.is(readFileSync(join(layerDirs[1] ?? "", "srv/web"), "utf8"), "1");
}
