import { randomBytes } from "node:crypto";
import type { PullProgress } from "../../runtime/images/image-store.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import {
  type BuiltImage,
  buildImage,
  describe,
  digestOf,
  fileLayer,
  json,
  ociIndex,
  ociManifest,
} from "./image-builder.ts";
import { type StoreBench, soon, withStore } from "./store-harness.ts";
import { type TestRegistry, withRegistry } from "./test-registry.ts";

const big = randomBytes(300_000);

type Misdeed = {
  readonly title: string;
  readonly message: RegExp;
  readonly image?: BuiltImage;
  prepare(registry: TestRegistry, image: BuiltImage): void;
};

const layerOf = (image: BuiltImage): string => image.layerDigests[0] ?? "";

const misdeeds: readonly Misdeed[] = [
  {
    title: "a layer of other content than its digest",
    message: /cannot pull .* because layer sha256:.* has the digest sha256:/,
    image: buildImage([fileLayer("a", big, "none")]),
    prepare: (registry, image) => {
      const bytes = Buffer.from(image.blobs.get(layerOf(image)) ?? "");
      bytes[1000] = (bytes[1000] ?? 0) ^ 1;
      registry.addBlob(layerOf(image), bytes);
    },
  },
  {
    title: "a layer that is longer than announced",
    message: /is longer than the \d+ bytes that were announced/,
    prepare: (registry, image) => {
      const bytes = image.blobs.get(layerOf(image)) ?? Buffer.alloc(0);
      registry.addBlob(layerOf(image), Buffer.concat([bytes, Buffer.alloc(10)]));
    },
  },
  {
    title: "a layer that never ends",
    message: /is longer than the \d+ bytes that were announced/,
    prepare: (registry, image) => {
      registry.intercept = (request, response) => {
        if (!request.url?.endsWith(layerOf(image))) return false;
        response.writeHead(200);
        const more = (): void => {
          while (!response.destroyed && response.write(big));
        };
        response.on("drain", more);
        more();
        return true;
      };
    },
  },
  {
    title: "a layer that always ends too early",
    message: /cannot be reached \(the blob ended after 10 of \d+ bytes\)/,
    prepare: (registry, image) => {
      registry.intercept = (request, response) => {
        if (!request.url?.endsWith(layerOf(image))) return false;
        const bytes = image.blobs.get(layerOf(image)) ?? Buffer.alloc(0);
        response.writeHead(200).write(bytes.subarray(0, 10));
        response.end();
        return true;
      };
    },
  },
  {
    title: "a layer that is not what its configuration says",
    message: /unpacks to the DiffID sha256:.*, its image says sha256:/,
    image: buildImage([{ ...fileLayer("a", big), diffId: digestOf(Buffer.from("other")) }]),
    prepare: () => {},
  },
  {
    title: "a layer that is no archive",
    message: /layer sha256:.* cannot be unpacked/,
    image: buildImage([{ entries: [] }]),
    prepare: (registry) => {
      const junk = randomBytes(4096);
      const config = json({
        architecture: process.arch === "x64" ? "amd64" : process.arch,
        os: "linux",
        rootfs: { type: "layers", diff_ids: [digestOf(junk)] },
      });
      const manifest = json({
        schemaVersion: 2,
        mediaType: ociManifest,
        config: describe("application/vnd.oci.image.config.v1+json", config),
        layers: [describe("application/vnd.oci.image.layer.v1.tar", junk)],
      });
      for (const blob of [config, junk]) registry.addBlob(digestOf(blob), blob);
      for (const name of ["1", digestOf(manifest)]) {
        registry.addManifest(`app/${name}`, { bytes: manifest, mediaType: ociManifest });
      }
    },
  },
  {
    title: "a manifest that is an index too",
    message: /a manifest and an index at once \(CVE-2021-41190\)/,
    prepare: (registry, image) => {
      const both = json({ ...JSON.parse(image.manifest.toString()), manifests: [] });
      for (const name of ["1", digestOf(both)]) {
        registry.addManifest(`app/${name}`, { bytes: both, mediaType: ociManifest });
      }
    },
  },
  {
    title: "a manifest that is announced as an index",
    message: /was announced as .*index.* and calls itself .*manifest/,
    prepare: (registry, image) => {
      for (const name of ["1", image.digest]) {
        registry.addManifest(`app/${name}`, { bytes: image.manifest, mediaType: ociIndex });
      }
    },
  },
  {
    title: "a manifest of other content than its digest",
    message: /sent a manifest whose digest is sha256:.*, not sha256:/,
    prepare: (registry, image) => {
      const other = { bytes: Buffer.from(`${image.manifest} `), mediaType: ociManifest };
      registry.addManifest(`app/${image.digest}`, other);
    },
  },
  {
    title: "a manifest without a type",
    message: /has the media type application\/json|no media type/,
    prepare: (registry, image) => {
      const { mediaType: _, ...rest } = JSON.parse(image.manifest.toString());
      const bytes = json(rest);
      for (const name of ["1", digestOf(bytes)]) registry.addManifest(`app/${name}`, { bytes });
    },
  },
  {
    title: "a manifest of more than 4 MiB",
    message: /sends more than the 4194304 bytes/,
    prepare: (registry, image) => {
      const bytes = Buffer.concat([image.manifest, Buffer.alloc(5 << 20, 0x20)]);
      registry.addManifest("app/1", { bytes, mediaType: ociManifest });
    },
  },
  {
    title: "10,000 layers",
    message: /the manifest is malformed at layers/,
    prepare: (registry, image) => {
      const document = JSON.parse(image.manifest.toString());
      const bytes = json({ ...document, layers: Array(10_000).fill(document.layers[0]) });
      for (const name of ["1", digestOf(bytes)]) {
        registry.addManifest(`app/${name}`, { bytes, mediaType: ociManifest });
      }
    },
  },
  {
    title: "an image of another architecture",
    message: /it is built for linux\/mips, this host runs linux\//,
    image: buildImage([fileLayer("a", "1")], { architecture: "mips" }),
    prepare: () => {},
  },
  {
    title: "a redirect to itself for ever",
    message: /redirects more than 5 times/,
    prepare: (registry) => {
      registry.intercept = (request, response) => {
        if (!request.url?.includes("/manifests/")) return false;
        response.writeHead(307, { location: request.url }).end();
        return true;
      };
    },
  },
  {
    title: "a redirect to plain HTTP elsewhere",
    message: /redirects to plain HTTP at 192\.0\.2\.1/,
    prepare: (registry) => {
      registry.intercept = (request, response) => {
        if (!request.url?.includes("/blobs/")) return false;
        response.writeHead(307, { location: "http://192.0.2.1/blob" }).end();
        return true;
      };
    },
  },
];

for (const misdeed of misdeeds) {
  kernelTest(`${misdeed.title} fails the pull and leaves nothing`, (t) =>
    withRegistry((registry) =>
      withStore(async ({ store, content }: StoreBench) => {
        const image = misdeed.image ?? buildImage([fileLayer("a", big)]);
        registry.add("app", "1", image);
        misdeed.prepare(registry, image);
        const error = await t.throwsAsync(store.pull(`${registry.host}/app:1`, { abort: soon() }), {
          name: "ImageError",
        });
        t.regex(error?.message ?? "", misdeed.message);
        t.true(error?.message.startsWith(`cannot pull ${registry.host}/app:1 because `));
        t.deepEqual(store.list(), []);
        await store.collectGarbage(() => new Set());
        t.deepEqual(content(), { blobs: [], layers: [], incoming: [] });
      }),
    ),
  );
}

kernelTest(
  "an image that is not there is named with the registry, and its answer is made safe",
  (t) =>
    withRegistry((registry) =>
      withStore(async ({ store }) => {
        const error = await t.throwsAsync(store.pull(`${registry.host}/none:7`, { abort: soon() }));
        t.regex(
          error?.message ?? "",
          /has no tag 7 of none: it answered 404 \(manifest unknown \[31m\)/,
        );
        t.regex(error?.message ?? "", /check the name and the tag/);
      }),
    ),
);

kernelTest("a registry that is down is named with what to check", (t) =>
  withStore(async ({ store }) => {
    let host = "";
    await withRegistry(async (registry) => {
      host = registry.host;
    });
    const error = await t.throwsAsync(store.pull(`${host}/app:1`, { abort: soon() }));
    t.regex(error?.message ?? "", /cannot be reached \(nothing listens there, ECONNREFUSED\)/);
    t.regex(error?.message ?? "", new RegExp(host));
  }),
);

kernelTest("a broken download is resumed where it broke", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      const image = buildImage([fileLayer("a", big)]);
      registry.add("app", "1", image);
      const ranges: (string | undefined)[] = [];
      registry.intercept = (request, response) => {
        if (!request.url?.endsWith(layerOf(image))) return false;
        ranges.push(request.headers.range);
        if (ranges.length > 1) return false;
        const bytes = image.blobs.get(layerOf(image)) ?? Buffer.alloc(0);
        response.writeHead(200, { "content-length": bytes.length });
        response.write(bytes.subarray(0, 100_000), () => response.destroy());
        return true;
      };
      await store.pull(`${registry.host}/app:1`, { abort: soon() });
      t.is(ranges.length, 2);
      t.regex(ranges[1] ?? "", /^bytes=\d+-$/);
    }),
  ),
);

kernelTest("server errors are tried again, and a rate limit waits as long as it asks", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      const image = buildImage([fileLayer("a", "1")]);
      registry.add("app", "1", image);
      const failures = [503, 429, 502];
      const times: number[] = [];
      registry.intercept = (request, response) => {
        if (!request.url?.endsWith(layerOf(image))) return false;
        times.push(performance.now());
        const status = failures.shift();
        if (status === undefined) return false;
        response.writeHead(status, status === 429 ? { "retry-after": "1" } : {}).end();
        return true;
      };
      await store.pull(`${registry.host}/app:1`, { abort: soon() });
      t.is(times.length, 4);
      t.true((times[2] ?? 0) - (times[1] ?? 0) >= 990);
    }),
  ),
);

kernelTest("a pause that a registry asks for is told and kept by every request to it", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      const image = buildImage([fileLayer("a", "1"), fileLayer("b", "2"), fileLayer("c", "3")]);
      registry.add("app", "1", image);
      let limitedAtMs = 0;
      let firstAfterMs = 0;
      registry.intercept = (request, response) => {
        if (request.url?.includes("/blobs/") !== true) return false;
        if (limitedAtMs === 0) {
          limitedAtMs = performance.now();
          response.writeHead(429, { "retry-after": "2" }).end();
          return true;
        }
        // Requests that were on their way already are none that came in spite of it.
        if (firstAfterMs === 0 && request.url.endsWith(image.configDigest)) {
          firstAfterMs = performance.now();
        }
        return false;
      };
      const waits: PullProgress[] = [];
      await store.pull(`${registry.host}/app:1`, {
        abort: soon(),
        onProgress: (progress) => {
          if (progress.phase === "wait") waits.push(progress);
        },
      });
      t.is(waits[0]?.waiting?.host, registry.host);
      t.true((waits[0]?.waiting?.untilMs ?? 0) > Date.now() - 60_000);
      t.true(firstAfterMs - limitedAtMs >= 1990);
    }),
  ),
);

kernelTest("a rate limit of an hour is told instead of waited for", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      registry.intercept = (request, response) => {
        if (request.url === "/v2/") return false;
        response.writeHead(429, { "retry-after": "3600" }).end();
        return true;
      };
      const error = await t.throwsAsync(store.pull(`${registry.host}/app:1`, { abort: soon() }));
      t.regex(error?.message ?? "", /limits the rate .*429.* try again after 2\d{3}-\d\d-\d\dT.*Z/);
    }),
  ),
);

kernelTest("a pull that is given up ends at once and leaves nothing", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store, content }) => {
      const image = buildImage([fileLayer("a", big)]);
      registry.add("app", "1", image);
      const giveUp = new AbortController();
      registry.intercept = (request, response) => {
        if (!request.url?.endsWith(layerOf(image))) return false;
        response.writeHead(200).write(image.blobs.get(layerOf(image))?.subarray(0, 1000));
        setTimeout(() => giveUp.abort(new Error("changed my mind")), 50);
        return true;
      };
      const pull = store.pull(`${registry.host}/app:1`, { abort: giveUp.signal });
      await t.throwsAsync(pull, { message: "changed my mind" });
      t.deepEqual(content().incoming, []);
      t.deepEqual(content().layers, []);
    }),
  ),
);
