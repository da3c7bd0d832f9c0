import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { Policy } from "../../agent/policy/policy.ts";
import { parseDigest } from "../../runtime/images/digest.ts";
import { noRegistrySettings } from "../../runtime/registry/registry-settings.ts";
import { checkSimpleSigning } from "../../runtime/trust/simple-signing.ts";
import { type TrustPolicy, trustRule } from "../../runtime/trust/trust-policy.ts";
import { readTrustedKey } from "../../runtime/trust/trusted-key.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { pushByHand, registryTest, withDockerRegistry } from "./docker-registry.ts";
import { buildImage, fileLayer, json, ociIndex } from "./image-builder.ts";
import {
  addObject,
  bundleArtifact,
  createSigner,
  messageBundle,
  referrersIndex,
  referrersTag,
  signatureTag,
  simpleSignature,
  statementBundle,
} from "./signatures.ts";
import { type StoreBench, soon, withStore } from "./store-harness.ts";
import { type TestRegistry, withRegistry } from "./test-registry.ts";

const image = buildImage([fileLayer("a", "1")]);
const signer = createSigner();
const stranger = createSigner();

type Bench = StoreBench & {
  readonly registry: TestRegistry;
  /** The signed repository's full name. */
  readonly name: string;
  pull(): Promise<unknown>;
};

/** A store that wants `team/app` of the registry signed by `keys`. */
function withTrust(
  work: (bench: Bench) => Promise<void>,
  keys: readonly string[] = [signer.publicPem],
): Promise<void> {
  return withRegistry((registry) => {
    const name = `${registry.host}/team/app`;
    registry.add("team/app", "1", image);
    const policy: TrustPolicy = { default: "accept", prefixes: { [name]: { keys } } };
    return withStore(
      (bench) =>
        work({
          ...bench,
          registry,
          name,
          pull: () => bench.store.pull(`${name}:1`, { abort: soon() }),
        }),
      undefined,
      noRegistrySettings,
      () => policy,
    );
  });
}

const layerRequests = ({ requests }: TestRegistry): string[] =>
  requests.filter((line) => image.layerDigests.some((digest) => line.includes(digest)));

for (const kind of ["ecdsa", "rsa", "ed25519"] as const) {
  kernelTest(`an image with cosign's signature by a trusted ${kind} key is pulled`, (t) => {
    const own = createSigner(kind);
    return withTrust(
      async ({ registry, name, pull }) => {
        const signature = simpleSignature([stranger, own], {
          digest: image.digest,
          reference: name,
        });
        addObject(registry, "team/app", [signatureTag(image.digest)], signature);
        t.like(await pull(), { digest: image.digest });
        // What was found good is not asked for again.
        registry.requests.length = 0;
        await pull();
        t.false(registry.requests.some((line) => line.includes(".sig")));
      },
      [createSigner().publicPem, own.publicPem],
    );
  });
}

for (const [form, bundle] of [
  ["a statement", statementBundle(signer, image.digest)],
  ["a signature over the manifest", messageBundle(signer, image.manifest)],
] as const) {
  kernelTest(`a bundle with ${form} is found by the referrers API`, (t) =>
    withTrust(async ({ registry, pull }) => {
      const artifact = bundleArtifact(bundle, image.manifest);
      addObject(registry, "team/app", [artifact.digest], artifact);
      registry.intercept = (request, response) => {
        const url = new URL(request.url ?? "", "http://x");
        if (url.pathname !== `/v2/team/app/referrers/${image.digest}`) return false;
        t.is(url.searchParams.get("artifactType"), "application/vnd.dev.sigstore.bundle.v0.3+json");
        response.writeHead(200, { "content-type": ociIndex });
        response.end(referrersIndex([artifact]));
        return true;
      };
      t.like(await pull(), { digest: image.digest });
    }),
  );
}

registryTest("signatures of both forms are found in Debian's registry", (t) =>
  withStore(async ({ root }) => {
    await withDockerRegistry(root, async (host) => {
      const bundled = buildImage([fileLayer("b", "2")]);
      await pushByHand(host, { repository: "team/app", tag: "1" }, image);
      await pushByHand(host, { repository: "team/app", tag: "2" }, bundled);
      await pushByHand(
        host,
        { repository: "team/app", tag: "3" },
        buildImage([fileLayer("c", "3")]),
      );
      const name = `${host}/team/app`;
      const signature = simpleSignature([signer], { digest: image.digest, reference: `${name}:1` });
      await pushByHand(
        host,
        { repository: "team/app", tag: signatureTag(image.digest) },
        signature,
      );
      const artifact = bundleArtifact(statementBundle(signer, bundled.digest), bundled.manifest);
      await pushByHand(host, { repository: "team/app", tag: "artifact" }, artifact);
      const index = {
        manifest: referrersIndex([artifact]),
        mediaType: ociIndex,
        blobs: new Map<string, Buffer>(),
      };
      const tag = referrersTag(bundled.digest);
      await pushByHand(host, { repository: "team/app", tag }, index);
      const keyFile = join(root, "cosign.pub");
      writeFileSync(keyFile, signer.publicPem);
      await withStore(
        async ({ store, content }) => {
          t.like(await store.pull(`${name}:1`, { abort: soon() }), { digest: image.digest });
          t.like(await store.pull(`${name}:2`, { abort: soon() }), { digest: bundled.digest });
          const before = content();
          await t.throwsAsync(store.pull(`${name}:3`, { abort: soon() }), {
            message:
              /wants it signed and sha256:\w+ has no signature there: sign .*team\/app@sha256/,
          });
          t.deepEqual(content(), before);
        },
        undefined,
        noRegistrySettings,
        () => ({ default: "reject", prefixes: { [host]: { keys: [keyFile] } } }),
      );
    });
  }),
);

type Forgery = {
  readonly title: string;
  readonly message: RegExp;
  prepare(registry: TestRegistry, name: string): void;
};

const putSimple = (registry: TestRegistry, object: Parameters<typeof addObject>[3]): void =>
  addObject(registry, "team/app", [signatureTag(image.digest)], object);

const putBundle = (registry: TestRegistry, bundle: Buffer): void => {
  const artifact = bundleArtifact(bundle, image.manifest);
  addObject(registry, "team/app", [artifact.digest], artifact);
  registry.addManifest(`team/app/${referrersTag(image.digest)}`, {
    bytes: referrersIndex([artifact]),
    mediaType: ociIndex,
  });
};

const other = buildImage([fileLayer("a", "other")]);

const forgeries: readonly Forgery[] = [
  { title: "no signature", message: /has no signature there/, prepare: () => {} },
  {
    title: "a signature by another key",
    message: /1 found, by another key/,
    prepare: (registry, name) =>
      putSimple(registry, simpleSignature([stranger], { digest: image.digest, reference: name })),
  },
  {
    title: "the signature of another image",
    message: new RegExp(`1 found, for ${other.digest}`),
    prepare: (registry, name) =>
      putSimple(registry, simpleSignature([signer], { digest: other.digest, reference: name })),
  },
  {
    title: "a signature for another repository",
    message: /1 found, for .*team\/other/,
    prepare: (registry) =>
      putSimple(
        registry,
        simpleSignature([signer], {
          digest: image.digest,
          reference: `${registry.host}/team/other`,
        }),
      ),
  },
  {
    title: "a signature of another type",
    message: /1 found, of a form that is not known/,
    prepare: (registry, name) =>
      putSimple(
        registry,
        simpleSignature([signer], { digest: image.digest, reference: name, type: "atomic" }),
      ),
  },
  {
    title: "a bundle by another key",
    message: /1 found, by another key/,
    prepare: (registry) => putBundle(registry, statementBundle(stranger, image.digest)),
  },
  {
    title: "a bundle for another digest",
    message: /1 found, for another digest/,
    prepare: (registry) => putBundle(registry, statementBundle(signer, other.digest)),
  },
  {
    title: "a bundle over another manifest",
    message: /1 found, by another key/,
    prepare: (registry) => putBundle(registry, messageBundle(signer, other.manifest)),
  },
  {
    title: "only a statement of where it was built",
    message: /1 found, a statement of https:\/\/slsa\.dev\/provenance\/v1/,
    prepare: (registry) =>
      putBundle(registry, statementBundle(signer, image.digest, "https://slsa.dev/provenance/v1")),
  },
  {
    title: "a bundle that is none",
    message: /1 found, in a bundle that is not known/,
    prepare: (registry) => putBundle(registry, json({ mediaType: "x" })),
  },
  {
    title: "a hundred signatures by another key",
    message: /32 found, by another key/,
    prepare: (registry, name) =>
      putSimple(
        registry,
        simpleSignature(
          Array.from({ length: 100 }, () => stranger),
          { digest: image.digest, reference: name },
        ),
      ),
  },
];

for (const { title, message, prepare } of forgeries) {
  kernelTest(`an image with ${title} is refused before its layers are asked for`, (t) =>
    withTrust(async ({ registry, name, pull, store, content }) => {
      prepare(registry, name);
      const error = await t.throwsAsync(pull(), { name: "ImageError" });
      t.regex(error?.message ?? "", message);
      t.true(error?.message.startsWith(`cannot pull ${name}:1 because the policy of this host`));
      t.deepEqual(layerRequests(registry), []);
      t.deepEqual(store.list(), []);
      t.deepEqual(content(), { blobs: [], layers: [], incoming: [] });
    }),
  );
}

kernelTest("what is here by another name is still asked for its signature", (t) =>
  withTrust(async ({ registry, store, pull }) => {
    registry.add("free/app", "1", image);
    await store.pull(`${registry.host}/free/app:1`, { abort: soon() });
    await t.throwsAsync(pull(), { message: /has no signature there/ });
    t.is(store.list().length, 1);
  }),
);

kernelTest("a rejected repository is not asked at all", (t) =>
  withRegistry(async (registry) => {
    registry.add("app", "1", image);
    await withStore(
      async ({ store }) => {
        await t.throwsAsync(store.pull(`${registry.host}/app:1`, { abort: soon() }), {
          message: /rejects images by default: use an image that it accepts/,
        });
        t.deepEqual(registry.requests, []);
      },
      undefined,
      noRegistrySettings,
      () => ({ default: "reject", prefixes: {} }),
    );
  }),
);

kernelTest("images that were copied are trusted under the name that they were signed by", (t) =>
  withRegistry(async (registry) => {
    registry.add("copies/app", "1", image);
    const signature = simpleSignature([signer], {
      digest: image.digest,
      reference: "index.docker.io/team/app",
    });
    addObject(registry, "copies/app", [signatureTag(image.digest)], signature);
    const prefix = `${registry.host}/copies`;
    const rule = { keys: [signer.publicPem], signedAs: "docker.io/team" };
    await withStore(
      async ({ store }) => {
        t.like(await store.pull(`${prefix}/app:1`, { abort: soon() }), { digest: image.digest });
      },
      undefined,
      noRegistrySettings,
      () => ({ default: "reject", prefixes: { [prefix]: rule } }),
    );
  }),
);

kernelTest("a key that cannot be used refuses the pull and is named", (t) => {
  const curve = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey;
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
  const pem = (key: typeof curve): string => key.export({ type: "spki", format: "pem" }).toString();
  const cases = [
    ["/nowhere/cosign.pub", /\/nowhere\/cosign\.pub cannot be used as a trusted key .*ENOENT/],
    [pem(curve), /a key in the policy cannot be used .*P-256 is expected/],
    [pem(small), /it has 1024 bits/],
  ] as const;
  return cases.reduce(
    (before, [key, message]) =>
      before.then(() =>
        withTrust(
          async ({ pull }) => {
            await t.throwsAsync(pull(), { message });
          },
          [key],
        ),
      ),
    Promise.resolve(),
  );
});

test("the longest prefix wins, by whole components", (t) => {
  const policy: TrustPolicy = {
    default: "reject",
    prefixes: {
      "docker.io": "accept",
      "docker.io/library": "reject",
      "docker.io/library/nginx": "accept",
    },
  };
  const rule = (registry: string, repository: string) =>
    trustRule(policy, { registry, repository }).rule;
  t.is(rule("docker.io", "library/nginx"), "accept");
  t.is(rule("docker.io", "library/nginxx"), "reject");
  t.is(rule("docker.io", "team/app"), "accept");
  t.is(rule("docker.io.evil.example", "team/app"), "reject");
  t.is(rule("other.example", "__proto__"), "reject");
});

test("the policy takes rules and names what is wrong with one", (t) => {
  const parsed = Policy.parse({
    trust: { prefixes: { "registry.example:5000/team": { keys: ["/etc/berth/cosign.pub"] } } },
  });
  t.is(parsed.trust.default, "accept");
  const wrong: readonly object[] = [
    { default: "maybe" },
    { prefixes: { nginx: "accept" } },
    { prefixes: { "library/nginx": "accept" } },
    { prefixes: { "docker.io": { keys: [] } } },
    { prefixes: { "docker.io": { keys: ["cosign.pub"] } } },
    { prefixes: { "docker.io": { keys: ["/k"], extra: 1 } } },
  ];
  const noHost = Policy.safeParse({ trust: { prefixes: { nginx: "accept" } } });
  t.regex(
    noHost.error?.issues[0]?.message ?? "",
    /beginning of a full reference, such as docker\.io/,
  );
  for (const trust of wrong) t.false(Policy.safeParse({ trust }).success, JSON.stringify(trust));
});

test("a signature that cosign itself made holds, and for no other name", async (t) => {
  const key = await readTrustedKey(`-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEFNLqFhf4fiN6o/glAuYnq2jYUeL0
vRuLu/z39pmbVwS9ff5AYnlwaP9sxREajdLY9ynM6G1sy6AAmb7Z63TsLg==
-----END PUBLIC KEY-----`);
  const repository = "192.168.64.2:5000/cosign-signed-single-sample";
  const digest = parseDigest(
    "sha256:634a8f35b5f16dcf4aaa0822adc0b1964bb786fca12f6831de8ddc45e5986a00",
  );
  const payload = Buffer.from(
    `{"critical":{"identity":{"docker-reference":"${repository}"},"image":{"docker-manifest-digest":"${digest}"},"type":"cosign container image signature"},"optional":null}`,
  );
  const signature =
    "MEYCIQDmtamqYPjMg81nqeBhptrPls44aA/r7PwLmspINJY4MwIhANKRpqe2E9UCBtGFdPoz/8jAbaQm4uP4h+IpwKTE6ClR";
  const check = (name: string) =>
    checkSimpleSigning({ payload, signature }, [key], {
      digest,
      manifest: Buffer.alloc(0),
      repository: name,
    });
  t.is(check(repository), undefined);
  t.is(check("docker.io/library/other"), `for ${repository}`);
});
