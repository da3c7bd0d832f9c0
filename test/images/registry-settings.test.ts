import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { type Digest, digestOf, parseDigest } from "../../runtime/images/digest.ts";
import { parseReference } from "../../runtime/images/reference.ts";
import { RegistryClient } from "../../runtime/registry/registry-client.ts";
import type {
  ProxySettings,
  RegistryHostSettings,
} from "../../runtime/registry/registry-settings.ts";
import { freePort } from "../builders/free-port.ts";
import { createAuthority } from "./certificates.ts";
import { pushByHand, registryTest, withDockerRegistry } from "./docker-registry.ts";
import { withProxy } from "./http-proxy.ts";
import { buildImage, fileLayer } from "./image-builder.ts";
import { silent, soon, withStore } from "./store-harness.ts";
import { withRegistry } from "./test-registry.ts";

const image = buildImage([fileLayer("a", "1"), fileLayer("b", Buffer.alloc(200_000, "b"), "none")]);

function clientFor(
  hosts: Readonly<Record<string, RegistryHostSettings>>,
  proxy: ProxySettings = { noProxy: [] },
): RegistryClient {
  return new RegistryClient({ settings: { hosts, proxy }, now: () => Date.now(), log: silent });
}

async function withDirectory(work: (root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "bt-registries-"));
  try {
    await work(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const fetchDigest = async (client: RegistryClient, reference: string): Promise<Digest> =>
  (await client.manifest(parseReference(reference), { abort: soon() })).digest;

registryTest(
  "a registry of a private authority is spoken to with its caFile and not without",
  (t) =>
    withDirectory(async (root) => {
      const authority = createAuthority(root);
      const { certFile, keyFile } = authority.issue("127.0.0.1");
      await withDockerRegistry(
        root,
        async (host) => {
          const missing = { message: /has no tag 1 of team\/app/ };
          const known = clientFor({ [host]: { caFile: authority.caFile } });
          await t.throwsAsync(fetchDigest(known, `${host}/team/app:1`), missing);
          const careless = clientFor({ [host]: { skipTlsVerify: true } });
          await t.throwsAsync(fetchDigest(careless, `${host}/team/app:1`), missing);
          // Loopback falls back to plain HTTP, which this server answers with an error of its own.
          await t.throwsAsync(fetchDigest(clientFor({}), `${host}/team/app:1`), {
            message: /cannot be reached|answered 400/,
          });
          const wrong = clientFor({ [host]: { caFile: keyFile } });
          await t.throwsAsync(fetchDigest(wrong, `${host}/team/app:1`));
          const absent = clientFor({ [host]: { caFile: join(root, "none.pem") } });
          await t.throwsAsync(fetchDigest(absent, `${host}/team/app:1`));
        },
        { tls: { certificate: certFile, key: keyFile } },
      );
    }),
);

registryTest("a registry that asks for a client certificate gets the one that is set for it", (t) =>
  withDirectory(async (root) => {
    const authority = createAuthority(root);
    const { certFile, keyFile } = authority.issue("127.0.0.1");
    const clientCertificate = authority.issue("client");
    const { caFile } = authority;
    const tls = { certificate: certFile, key: keyFile, clientcas: [caFile] };
    await withDockerRegistry(
      root,
      async (host) => {
        const complete = clientFor({ [host]: { caFile, clientCertificate } });
        await t.throwsAsync(fetchDigest(complete, `${host}/app:1`), {
          message: /has no tag 1 of app/,
        });
        const without = clientFor({ [host]: { caFile } });
        await t.throwsAsync(fetchDigest(without, `${host}/app:1`), {
          message: /cannot be reached|answered 400/,
        });
      },
      { tls },
    );
  }),
);

registryTest("Debian's registry as a pull-through mirror serves what the registry has", (t) =>
  withStore(async ({ root }) => {
    await withDockerRegistry(root, async (upstream) => {
      await pushByHand(upstream, { repository: "team/app", tag: "1" }, image);
      const proxy = { remoteurl: `http://${upstream}` };
      await withDockerRegistry(
        root,
        async (mirror) => {
          // Nothing listens on the registry's own port: all of it comes through the mirror.
          const registry = `127.0.0.1:${await freePort()}`;
          await withStore(
            async ({ store }) => {
              const pulled = await store.pull(`${registry}/team/app:1`, { abort: soon() });
              t.is(pulled.digest, image.digest);
              t.deepEqual(pulled.references, [`${registry}/team/app:1`]);
            },
            undefined,
            { hosts: { [registry]: { mirrors: [mirror] } }, proxy: { noProxy: [] } },
          );
        },
        { proxy },
      );
    });
  }),
);

test("mirrors are asked in order with their prefix, and the registry when they cannot help", (t) =>
  withRegistry((empty) =>
    withRegistry(async (registry) => {
      registry.add("team/app", "1", image);
      const down = `127.0.0.1:${await freePort()}`;
      const client = clientFor({
        [registry.host]: { mirrors: [down, `${empty.host}/cache/of`] },
      });
      t.is(await fetchDigest(client, `${registry.host}/team/app:1`), parseDigest(image.digest));
      t.deepEqual(empty.requests, [
        `GET /v2/cache/of/team/app/manifests/1?ns=${encodeURIComponent(registry.host)}`,
      ]);
      t.deepEqual(registry.requests, ["GET /v2/team/app/manifests/1"]);
    }),
  ));

test("a layer that breaks off at a mirror goes on at the registry from where it was", (t) =>
  withRegistry((mirror) =>
    withRegistry(async (registry) => {
      registry.add("app", "1", image);
      const layer = image.layerDigests[1] ?? "";
      const bytes = image.blobs.get(layer) ?? Buffer.alloc(0);
      mirror.intercept = (request, response) => {
        if (!request.url?.includes("/blobs/")) return false;
        response.writeHead(200, { "content-length": bytes.length });
        response.write(bytes.subarray(0, 50_000), () => response.destroy());
        return true;
      };
      const ranges: (string | undefined)[] = [];
      registry.intercept = (request) => {
        if (request.url?.includes("/blobs/")) ranges.push(request.headers.range);
        return false;
      };
      const client = clientFor({ [registry.host]: { mirrors: [mirror.host] } });
      const reference = parseReference(`${registry.host}/app@${layer}`);
      if (reference.digest === undefined) throw new Error("the built layer has no digest");
      const blob = { digest: reference.digest, size: bytes.length };
      const chunks: Buffer[] = [];
      for await (const chunk of client.blob(reference, blob, { abort: soon() })) chunks.push(chunk);
      t.is(digestOf(Buffer.concat(chunks)), reference.digest);
      t.deepEqual(ranges, ["bytes=50000-"]);
    }),
  ));

registryTest("what a mirror changed is noticed and had from the registry", (t) =>
  withRegistry((mirror) =>
    withRegistry(async (registry) => {
      registry.add("app", "1", image);
      mirror.add("app", "1", image);
      const layer = image.layerDigests[1] ?? "";
      const changed = Buffer.from(image.blobs.get(layer) ?? "");
      changed[100_000] = 0;
      mirror.addBlob(layer, changed);
      await withStore(
        async ({ store }) => {
          const pulled = await store.pull(`${registry.host}/app:1`, { abort: soon() });
          t.is(pulled.digest, image.digest);
          t.true(registry.requests.some((line) => line.endsWith(layer)));
        },
        undefined,
        { hosts: { [registry.host]: { mirrors: [mirror.host] } }, proxy: { noProxy: [] } },
      );
    }),
  ),
);

test("a plain registry is asked through the proxy, with the proxy's password", (t) =>
  withProxy((proxy) =>
    withRegistry(async (registry) => {
      registry.add("app", "1", image);
      const port = registry.host.split(":")[1];
      const name = `registry.test:${port}`;
      const client = clientFor(
        { [name]: { plainHttp: true } },
        { http: `http://u:p%40ss@${proxy.address}`, noProxy: [] },
      );
      t.is(await fetchDigest(client, `${name}/app:1`), parseDigest(image.digest));
      t.is(proxy.asked.at(-1), `u:p@ss GET http://${name}/v2/app/manifests/1`);
      const exempt = clientFor(
        { [name]: { plainHttp: true } },
        { http: `http://${proxy.address}`, noProxy: [".test"] },
      );
      await t.throwsAsync(fetchDigest(exempt, `${name}/app:1`), { message: /cannot be reached/ });
    }),
  ));

registryTest("a registry on HTTPS is asked through a tunnel of the proxy and verified there", (t) =>
  withDirectory((root) =>
    withProxy(async (proxy) => {
      const authority = createAuthority(root);
      const { certFile, keyFile } = authority.issue("registry.test");
      await withDockerRegistry(
        root,
        async (host) => {
          const name = `registry.test:${host.split(":")[1]}`;
          const through = { https: `http://${proxy.address}`, noProxy: [] };
          const client = clientFor({ [name]: { caFile: authority.caFile } }, through);
          await t.throwsAsync(fetchDigest(client, `${name}/app:1`), {
            message: /has no tag 1 of app/,
          });
          t.is(proxy.asked[0], `CONNECT ${name}`);
          await t.throwsAsync(fetchDigest(clientFor({}, through), `${name}/app:1`), {
            message:
              /cannot be reached through the proxy 127\.0\.0\.1:\d+ \(its certificate is of an authority that is not known here/,
          });
        },
        { tls: { certificate: certFile, key: keyFile } },
      );
    }),
  ),
);

registryTest("a certificate file that cannot be used is named", (t) =>
  withDirectory(async (root) => {
    const bad = join(root, "bad.pem");
    writeFileSync(bad, "no certificate");
    const client = clientFor({ "registry.test": { caFile: bad } });
    await t.throwsAsync(fetchDigest(client, "registry.test/app:1"), {
      message:
        /certificates for registry registry\.test in .*bad\.pem cannot be used \(it holds no PEM\)/,
    });
  }),
);
