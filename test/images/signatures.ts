import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { describe, digestOf, json, ociIndex, ociManifest } from "./image-builder.ts";
import type { TestRegistry } from "./test-registry.ts";

export type TestSigner = {
  readonly publicPem: string;
  sign(data: Buffer): Buffer;
};

/** A key pair as cosign makes and takes them. */
export function createSigner(kind: "ecdsa" | "rsa" | "ed25519" = "ecdsa"): TestSigner {
  const { publicKey, privateKey } = createPair(kind);
  return {
    publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    sign: (data) => sign(kind === "ed25519" ? null : "sha256", data, privateKey),
  };
}

function createPair(kind: "ecdsa" | "rsa" | "ed25519"): {
  publicKey: KeyObject;
  privateKey: KeyObject;
} {
  if (kind === "ecdsa") return generateKeyPairSync("ec", { namedCurve: "P-256" });
  return kind === "rsa"
    ? generateKeyPairSync("rsa", { modulusLength: 2048 })
    : generateKeyPairSync("ed25519");
}

/** cosign's signature object of the tag form, as blobs and a manifest to put under `sha256-….sig`. */
export function simpleSignature(
  signers: readonly TestSigner[],
  says: { readonly digest: string; readonly reference: string; readonly type?: string },
): SignatureObject {
  const payload = json({
    critical: {
      identity: { "docker-reference": says.reference },
      image: { "docker-manifest-digest": says.digest },
      type: says.type ?? "cosign container image signature",
    },
    optional: null,
  });
  const config = json({ architecture: "", os: "", rootfs: { type: "layers", diff_ids: [] } });
  const layers = signers.map((signer) => ({
    ...describe("application/vnd.dev.cosign.simplesigning.v1+json", payload),
    annotations: {
      "dev.cosignproject.cosign/signature": signer.sign(payload).toString("base64"),
    },
  }));
  const manifest = json({
    schemaVersion: 2,
    mediaType: ociManifest,
    config: describe("application/vnd.oci.image.config.v1+json", config),
    layers,
  });
  return signatureObject(manifest, [config, payload]);
}

export type SignatureObject = {
  readonly manifest: Buffer;
  readonly mediaType: string;
  readonly digest: string;
  readonly blobs: ReadonlyMap<string, Buffer>;
};

function signatureObject(manifest: Buffer, blobs: readonly Buffer[]): SignatureObject {
  return {
    manifest,
    mediaType: ociManifest,
    digest: digestOf(manifest),
    blobs: new Map(blobs.map((blob) => [digestOf(blob), blob] as const)),
  };
}

const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";

/** A bundle around a statement about a digest, as `cosign sign` 3 makes it with a key. */
export function statementBundle(
  signer: TestSigner,
  digest: string,
  predicateType = "https://sigstore.dev/cosign/sign/v1",
): Buffer {
  const sha256 = digest.replace("sha256:", "");
  const payload = json({
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ digest: { sha256 }, annotations: {} }],
    predicateType,
    predicate: {},
  });
  const payloadType = "application/vnd.in-toto+json";
  const signed = Buffer.concat([
    Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `),
    payload,
  ]);
  return json({
    mediaType: bundleType,
    verificationMaterial: { publicKey: { hint: "test" }, tlogEntries: [] },
    dsseEnvelope: {
      payload: payload.toString("base64"),
      payloadType,
      signatures: [{ sig: signer.sign(signed).toString("base64"), keyid: "" }],
    },
  });
}

/** A bundle with a signature over the manifest itself. */
export function messageBundle(signer: TestSigner, manifest: Buffer): Buffer {
  const digest = createHash("sha256").update(manifest).digest("base64");
  return json({
    mediaType: bundleType,
    verificationMaterial: { publicKey: { hint: "test" } },
    messageSignature: {
      messageDigest: { algorithm: "SHA2_256", digest },
      signature: signer.sign(manifest).toString("base64"),
    },
  });
}

/** The artifact that carries a bundle and refers to an image. */
export function bundleArtifact(bundle: Buffer, subject: Buffer): SignatureObject {
  const empty = Buffer.from("{}");
  const manifest = json({
    schemaVersion: 2,
    mediaType: ociManifest,
    artifactType: bundleType,
    config: describe("application/vnd.oci.empty.v1+json", empty),
    layers: [describe(bundleType, bundle)],
    subject: describe(ociManifest, subject),
  });
  return signatureObject(manifest, [empty, bundle]);
}

/** The index of referrers, for the API or for the tag that stands in for it. */
export function referrersIndex(artifacts: readonly SignatureObject[]): Buffer {
  return json({
    schemaVersion: 2,
    mediaType: ociIndex,
    manifests: artifacts.map(({ manifest }) => ({
      ...describe(ociManifest, manifest),
      artifactType: bundleType,
    })),
  });
}

export function addObject(
  registry: TestRegistry,
  repository: string,
  names: readonly string[],
  object: SignatureObject,
): void {
  for (const [digest, bytes] of object.blobs) registry.addBlob(digest, bytes);
  for (const name of names) {
    registry.addManifest(`${repository}/${name}`, {
      bytes: object.manifest,
      mediaType: object.mediaType,
    });
  }
}

export const signatureTag = (digest: string): string => `${digest.replace(":", "-")}.sig`;
export const referrersTag = (digest: string): string => digest.replace(":", "-");
