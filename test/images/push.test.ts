import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { request } from "undici";
import { parseReference } from "../../runtime/images/reference.ts";
import { type PushSource, pushContent } from "../../runtime/registry/push-content.ts";
import { createRegistries } from "../../runtime/registry/registries.ts";
import { RegistryClient } from "../../runtime/registry/registry-client.ts";
import { noRegistrySettings } from "../../runtime/registry/registry-settings.ts";
import { createAuthority } from "./certificates.ts";
import {
  pushByHand,
  registryTest,
  serialRegistryTest,
  withDockerRegistry,
} from "./docker-registry.ts";
import {
  architecture,
  type BuiltImage,
  buildImage,
  describe,
  digestOf,
  fileLayer,
  json,
  ociIndex,
  ociManifest,
} from "./image-builder.ts";
import { silent, soon, withStore } from "./store-harness.ts";
import { type TestRegistry, withRegistry } from "./test-registry.ts";
import { withTokenServer } from "./token-server.ts";

const run = promisify(execFile);
const skopeo = async (...args: string[]): Promise<string> =>
  (await run("skopeo", ["--insecure-policy", ...args], { timeout: 120_000 })).stdout;

const newClient = (): RegistryClient =>
  new RegistryClient({ settings: noRegistrySettings, now: () => Date.now(), log: silent });

const image = buildImage([
  fileLayer("one", "1", "gzip"),
  fileLayer("two", randomBytes(300_000), "zstd"),
]);

/** A built image as what is pushed. */
function sourceOf(built: BuiltImage, more: Partial<PushSource> = {}): PushSource {
  return {
    manifest: () => Promise.reject(new Error("it is no index")),
    async *open({ digest }, start) {
      const bytes = built.blobs.get(digest) ?? Buffer.alloc(0);
      for (let at = start; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
    },
    mountFrom: [],
    ...more,
  };
}

function push(
  client: RegistryClient,
  target: string,
  more: { built?: BuiltImage; source?: Partial<PushSource>; monolithicBytesMax?: number } = {},
): Promise<string[]> {
  const { built = image, source, monolithicBytesMax } = more;
  const phases: string[] = [];
  return pushContent(client, {
    source: sourceOf(built, source),
    root: { bytes: built.manifest, digest: digestOfManifest(built), contentType: built.mediaType },
    target: parseReference(target),
    abort: soon(),
    ...(monolithicBytesMax === undefined ? {} : { monolithicBytesMax }),
    onProgress: ({ phase }) => {
      if (phase !== "upload") phases.push(phase);
    },
  }).then(() => phases.toSorted());
}

function digestOfManifest(built: BuiltImage) {
  const { digest } = parseReference(`x@${built.digest}`);
  if (digest === undefined) throw new Error("a built image has a digest");
  return digest;
}

registryTest(
  "what is pushed skopeo pulls with the same digest, and what skopeo pushes is pulled",
  (t) =>
    withStore(async ({ root, store }) => {
      await withDockerRegistry(root, async (host) => {
        await pushByHand(host, { repository: "team/app", tag: "1" }, image);
        await store.pull(`${host}/team/app:1`, { abort: soon() });
        store.tag(`${host}/team/app:1`, "local/app:1");
        const progress: string[] = [];
        const pushed = await store.push("local/app:1", `${host}/other/app:2`, {
          abort: soon(),
          onProgress: ({ phase }) => progress.push(phase),
        });
        t.is(pushed.digest, image.digest);
        // The registry has the layers under the image's other name.
        t.is(progress.filter((phase) => phase === "mounted").length, 3);
        const layout = join(root, "layout");
        await skopeo(
          "copy",
          "--src-tls-verify=false",
          `docker://${host}/other/app:2`,
          `oci:${layout}:x`,
        );
        const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
        t.is(index.manifests[0].digest, image.digest);
        await skopeo(
          "copy",
          "--dest-tls-verify=false",
          `oci:${layout}:x`,
          `docker://${host}/back/app:3`,
        );
        const back = await store.pull(`${host}/back/app:3`, { abort: soon() });
        t.is(back.digest, image.digest);
        t.deepEqual(await store.registries.tags(`${host}/other/app`, soon()), ["2"]);
      });
    }),
);

registryTest("a blob travels whole or in chunks, and not again when it is there", (t) =>
  withStore(async ({ root }) => {
    await withDockerRegistry(root, async (host) => {
      const big = buildImage([fileLayer("big", randomBytes(20_000_000), "none")]);
      const client = newClient();
      t.deepEqual(await push(client, `${host}/whole:1`, { built: big }), ["done", "done"]);
      t.deepEqual(await push(client, `${host}/whole:2`, { built: big }), ["present", "present"]);
      const inChunks = { built: big, monolithicBytesMax: 0 };
      t.deepEqual(await push(client, `${host}/chunks:1`, inChunks), ["done", "done"]);
      for (const name of ["whole", "chunks"]) {
        const answer = await request(`http://${host}/v2/${name}/blobs/${big.layerDigests[0]}`);
        const bytes = Buffer.from(await answer.body.arrayBuffer());
        t.is(digestOf(bytes), big.layerDigests[0] ?? "");
      }
      const mounted = { built: big, source: { mountFrom: ["nothing", "whole"] } };
      t.deepEqual(await push(client, `${host}/mounted:1`, mounted), ["mounted", "mounted"]);
    });
  }),
);

registryTest("an index is copied with all of its images, or as the image of this host", (t) =>
  withStore(async ({ root, store }) => {
    await withDockerRegistry(root, async (host) => {
      const foreign = buildImage([fileLayer("a", "2")], { architecture: "mips" });
      await pushByHand(host, { repository: "from", tag: "own" }, image);
      await pushByHand(host, { repository: "from", tag: "foreign" }, foreign);
      const manifest = json({
        schemaVersion: 2,
        mediaType: ociIndex,
        manifests: [
          {
            ...describe(ociManifest, foreign.manifest),
            platform: { os: "linux", architecture: "mips" },
          },
          { ...describe(ociManifest, image.manifest), platform: { os: "linux", architecture } },
        ],
      });
      const index = { manifest, mediaType: ociIndex, blobs: new Map<string, Buffer>() };
      await pushByHand(host, { repository: "from", tag: "1" }, index);
      const { registries } = store;
      const options = { all: true, abort: soon() };
      t.is(await registries.copy(`${host}/from:1`, `${host}/to:1`, options), digestOf(manifest));
      const layout = join(root, "all");
      await skopeo(
        "copy",
        "--all",
        "--src-tls-verify=false",
        `docker://${host}/to:1`,
        `oci:${layout}:x`,
      );
      t.true(existsSync(join(layout, "blobs/sha256", digestOf(manifest).slice(7))));
      const own = await registries.copy(`${host}/from:1`, `${host}/to:own`, {
        ...options,
        all: false,
      });
      t.is(own, image.digest);
      t.deepEqual((await registries.tags(`${host}/to`, soon())).toSorted(), ["1", "own"]);
    });
  }),
);

registryTest(
  "a manifest is deleted by its digest, and a tag alone only where the registry can",
  (t) =>
    withStore(async ({ root, store }) => {
      await withDockerRegistry(root, async (host) => {
        for (const tag of ["1", "2"]) await pushByHand(host, { repository: "app", tag }, image);
        const { registries } = store;
        await t.throwsAsync(registries.delete(`${host}/app:1`, soon()), {
          message: /deletes no single tags: name the digest/,
        });
        t.deepEqual((await registries.tags(`${host}/app`, soon())).toSorted(), ["1", "2"]);
        const byDigest = `${host}/app@${image.digest}`;
        t.is(await registries.delete(byDigest, soon()), byDigest);
        await t.throwsAsync(store.resolve(`${host}/app:1`, soon()), { message: /has no tag 1/ });
        await t.throwsAsync(registries.delete(byDigest, soon()), { message: /has no sha256/ });
        await t.throwsAsync(registries.delete(`${host}/app`, soon()), {
          message: /names neither a tag nor a digest/,
        });
        await t.throwsAsync(registries.tags(`${host}/app:1`, soon()), {
          message: /a repository has neither tag nor digest/,
        });
        await t.throwsAsync(registries.tags(`${host}/none`, soon()), { message: /has no none/ });
      });
    }),
);

serialRegistryTest(
  "a push asks for a token that allows it, and a mount for both repositories",
  async (t) => {
    const root = mkdtempSync(join(tmpdir(), "bt-push-"));
    process.env.DOCKER_CONFIG = root;
    const account = { user: "robot", password: "secret" };
    try {
      await withTokenServer(createAuthority(root), account, ({ auth, asked }) =>
        withDockerRegistry(
          root,
          async (host) => {
            const client = newClient();
            await t.throwsAsync(push(client, `${host}/one:1`), { message: /denies access/ });
            const login = { username: account.user, password: account.password };
            await createRegistries(client).logIn(host, login, soon());
            await push(client, `${host}/one:1`);
            asked.length = 0;
            const phases = await push(client, `${host}/two:1`, { source: { mountFrom: ["one"] } });
            t.deepEqual(phases, ["mounted", "mounted", "mounted"]);
            t.deepEqual(asked.map(({ scopes }) => scopes).toSorted(), [
              ["repository:two:pull,push"],
              ["repository:two:pull,push", "repository:one:pull"],
            ]);
          },
          { auth },
        ),
      );
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
);

/** Makes the test registry take uploads, as `behave` says; what arrived is found by digest. */
function takeUploads(
  registry: TestRegistry,
  behave: (order: {
    method: string;
    path: string;
    arrived: Map<string, Buffer[]>;
  }) => number | string | undefined,
): { readonly stored: Map<string, Buffer>; readonly seen: string[] } {
  const arrived = new Map<string, Buffer[]>();
  const stored = new Map<string, Buffer>();
  const seen: string[] = [];
  let uploads = 0;
  registry.intercept = (incoming, response) => {
    const url = new URL(incoming.url ?? "", `http://${registry.host}`);
    const method = incoming.method ?? "";
    const path = url.pathname;
    const isWrite = ["POST", "PUT", "PATCH"].includes(method) || path.includes("/uploads/");
    if (!isWrite) return false;
    seen.push(`${method} ${path.includes("/uploads/") ? "upload" : path}`);
    const behaviour = behave({ method, path, arrived });
    if (behaviour === "cut") {
      incoming.once("data", () => response.destroy());
      return true;
    }
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      if (typeof behaviour === "number") return void response.writeHead(behaviour).end();
      const body = Buffer.concat(chunks);
      if (method === "POST") {
        uploads += 1;
        arrived.set(`/v2/uploads/${uploads}`, []);
        return void response.writeHead(202, { location: `/v2/uploads/${uploads}` }).end();
      }
      if (path.includes("/manifests/")) return void response.writeHead(201).end();
      const parts = arrived.get(path) ?? [];
      if (body.length > 0) parts.push(body);
      const whole = Buffer.concat(parts);
      if (method === "GET") {
        const range = `0-${whole.length - 1}`;
        return void response.writeHead(204, { location: path, range }).end();
      }
      if (method === "PATCH") return void response.writeHead(202, { location: path }).end();
      stored.set(createHash("sha256").update(whole).digest("hex"), whole);
      response.writeHead(201).end();
    });
    return true;
  };
  return { stored, seen };
}

const hexOfLayer = (image.layerDigests[1] ?? "").slice(7);

test("a proxy that takes no large bodies gets chunks, and a registry without chunks the whole", (t) =>
  withRegistry(async (registry) => {
    const limited = takeUploads(registry, ({ method, path }) =>
      method === "PUT" &&
      path.includes("/uploads/") &&
      limited.seen.filter((line) => line === "PATCH upload").length === 0
        ? 413
        : undefined,
    );
    await push(newClient(), `${registry.host}/app:1`);
    t.true(limited.stored.has(hexOfLayer));
    t.true(limited.seen.includes("PATCH upload"));
    const whole = takeUploads(registry, ({ method }) => (method === "PATCH" ? 416 : undefined));
    await push(newClient(), `${registry.host}/app:1`, { monolithicBytesMax: 0 });
    t.true(whole.stored.has(hexOfLayer));
    const neither = takeUploads(registry, ({ method, path }) => {
      if (method === "PATCH") return 405;
      return method === "PUT" && path.includes("/uploads/") ? 413 : undefined;
    });
    await t.throwsAsync(push(newClient(), `${registry.host}/app:1`), {
      message: /takes sha256:\w+ neither whole nor in chunks/,
    });
    t.false(neither.seen.some((line) => line.includes("/manifests/")));
  }));

test("an upload that is cut off is tried again", (t) =>
  withRegistry(async (registry) => {
    let cuts = 0;
    const taken = takeUploads(registry, ({ method, path }) => {
      if (method !== "PUT" || !path.includes("/uploads/") || cuts > 0) return undefined;
      cuts += 1;
      return "cut";
    });
    await push(newClient(), `${registry.host}/app:1`);
    t.is(cuts, 1);
    t.true(taken.stored.has(hexOfLayer));
    t.is(taken.seen.at(-1), "PUT /v2/app/manifests/1");
  }));

test("an upload to another host gets no credentials", (t) =>
  withRegistry((storage) =>
    withRegistry(async (registry) => {
      const place = mkdtempSync(join(tmpdir(), "bt-push-"));
      process.env.DOCKER_CONFIG = place;
      const auth = Buffer.from("user:secret").toString("base64");
      writeFileSync(
        join(place, "config.json"),
        JSON.stringify({ auths: { [registry.host]: { auth } } }),
      );
      const seen: (string | undefined)[] = [];
      storage.intercept = (incoming, response) => {
        seen.push(incoming.headers.authorization);
        incoming.resume().on("end", () => response.writeHead(201).end());
        return true;
      };
      registry.intercept = (incoming, response) => {
        if (incoming.headers.authorization === undefined) {
          response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
        } else if (incoming.method === "POST") {
          response.writeHead(202, { location: `http://${storage.host}/upload` }).end();
        } else if (incoming.method === "PUT") {
          incoming.resume().on("end", () => response.writeHead(201).end());
        } else return false;
        return true;
      };
      await push(newClient(), `${registry.host}/app:1`).finally(() =>
        rmSync(place, { recursive: true, force: true }),
      );
      t.deepEqual([...new Set(seen)], [undefined]);
    }),
  ));
