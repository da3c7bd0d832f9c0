import test from "ava";
import { chainIds, digestOf, parseDigest } from "../../runtime/images/digest.ts";
import { parseImageConfig } from "../../runtime/images/image-config.ts";
import { printable } from "../../runtime/images/image-error.ts";
import { parseManifestDocument } from "../../runtime/images/manifest-document.ts";
import { choosePlatform, hostPlatform } from "../../runtime/images/platform.ts";
import { buildImage, describe, fileLayer, json, ociIndex, ociManifest } from "./image-builder.ts";

const image = buildImage([fileLayer("a", "1")]);
const manifest = JSON.parse(image.manifest.toString());

test("a manifest is what it says, or what announced it when it says nothing", (t) => {
  t.is(parseManifestDocument(image.manifest).kind, "manifest");
  const { mediaType: _, ...silent } = manifest;
  t.is(parseManifestDocument(json(silent), `${ociManifest}; charset=utf-8`).kind, "manifest");
  t.is(parseManifestDocument(json(silent)).mediaType, ociManifest);
  const silentIndex = json({
    schemaVersion: 2,
    manifests: [describe(ociManifest, image.manifest)],
  });
  t.is(parseManifestDocument(silentIndex).mediaType, ociIndex);
  t.throws(() => parseManifestDocument(json(silent), "application/json"), {
    message: /media type/,
  });
  t.throws(() => parseManifestDocument(image.manifest, ociIndex), { message: /was announced as/ });
});

test("fields that nobody knows yet are passed over", (t) => {
  const bytes = json({ ...manifest, subject: { x: 1 }, future: true });
  t.is(parseManifestDocument(bytes).kind, "manifest");
});

const refused: readonly (readonly [string, Buffer, RegExp])[] = [
  ["no JSON", Buffer.from("{"), /is not JSON/],
  ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22]), /is not JSON/],
  ["a list", Buffer.from("[]"), /not a JSON object/],
  ["null", Buffer.from("null"), /not a JSON object/],
  ["a manifest with manifests", json({ ...manifest, manifests: [] }), /CVE-2021-41190/],
  ["an index with layers", json({ mediaType: ociIndex, manifests: [], layers: [] }), /CVE-2021/],
  ["an artifact", withConfigType("application/vnd.cncf.helm.config.v1+json"), /not a container/],
  ["a bad digest", json({ ...manifest, layers: [{ ...manifest.layers[0], digest: "x" }] }), /at l/],
  ["a negative size", json({ ...manifest, layers: [{ ...manifest.layers[0], size: -1 }] }), /at l/],
  ["Docker's schema 1", json({ schemaVersion: 1, fsLayers: [] }), /no media type/],
];

for (const [what, bytes, message] of refused) {
  test(`${what} is refused as a manifest`, (t) => {
    t.throws(() => parseManifestDocument(bytes), { name: "ImageError", message });
  });
}

test("a configuration with nulls is read as an empty one", (t) => {
  const bytes = json({
    architecture: "amd64",
    os: "linux",
    config: { Env: null, Cmd: null, Labels: null, ExposedPorts: { "80/tcp": {} } },
    rootfs: { type: "layers", diff_ids: [] },
  });
  const { config } = parseImageConfig(bytes);
  t.deepEqual(config.env, []);
  t.deepEqual(config.labels, {});
  t.deepEqual(config.exposedPorts, ["80/tcp"]);
});

test("an image's healthcheck is read in milliseconds, and zeros are what is not set", (t) => {
  const read = (Healthcheck: object) =>
    parseImageConfig(
      json({
        architecture: "amd64",
        os: "linux",
        config: { Healthcheck },
        rootfs: { type: "layers", diff_ids: [] },
      }),
    ).config.healthcheck;
  const times = { Interval: 30e9, Timeout: 0, StartPeriod: 1e9, StartInterval: 1, Retries: 5 };
  const test = ["CMD-SHELL", "wget -q localhost"];
  t.deepEqual(read({ Test: test, ...times }), {
    test,
    intervalMs: 30_000,
    startPeriodMs: 1_000,
    startIntervalMs: 1,
    retries: 5,
  });
  t.deepEqual(read({ Test: ["NONE"] }), { test: ["NONE"] });
  t.is(read({ Interval: 30e9 }), undefined);
  t.throws(() => read({ Test: ["CMD", "x"], Interval: "30s" }), { name: "ImageError" });
});

test("a label called __proto__ changes no object", (t) => {
  const text = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    config: { Labels: {} },
    rootfs: { type: "layers", diff_ids: [] },
  }).replace('"Labels":{}', '"Labels":{"__proto__":"x","a":"b"}');
  const { config } = parseImageConfig(Buffer.from(text));
  t.is(Object.getPrototypeOf(config.labels), Object.prototype);
  t.is(config.labels.a, "b");
});

test("chain ids follow the image specification", (t) => {
  const [a, b] = ["a", "b"].map((text) => digestOf(text));
  if (a === undefined || b === undefined) throw new Error("two digests are expected");
  t.deepEqual(chainIds([a, b]), [a, digestOf(`${a} ${b}`)]);
  t.deepEqual(chainIds([]), []);
});

test("a digest is lowercase sha256 and nothing else", (t) => {
  for (const text of ["", "sha256:", `SHA256:${"a".repeat(64)}`, `sha256:${"a".repeat(63)}/`]) {
    t.throws(() => parseDigest(text), { name: "ImageError" });
  }
});

test("the nearest variant of the platform is chosen", (t) => {
  const host = hostPlatform("arm");
  t.is(choosePlatform(["v5", "v6", "v7", "v8"].map(entry), host).platform?.variant, "v7");
  t.is(choosePlatform(["v5", "v6"].map(entry), host).platform?.variant, "v6");
  t.throws(() => choosePlatform([entry("v8")], host), { message: /only for linux\/arm\/v8/ });
});

test("text of others is made one safe line", (t) => {
  t.is(printable("a\u001b[2J\n\u202eb\u0000"), "a [2J b");
  t.is(printable("x".repeat(1000)).length, 301);
});

function entry(variant: string) {
  const platform = { os: "linux", architecture: "arm", variant };
  return { mediaType: ociManifest, digest: digestOf(variant), size: 1, platform };
}

function withConfigType(mediaType: string): Buffer {
  return json({ ...manifest, config: { ...manifest.config, mediaType } });
}
