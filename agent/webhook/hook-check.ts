import { createHash, createHmac, type Hmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** Judges one delivery while its body comes by; nothing of the body is kept. */
export type HookCheck = {
  /** Who signs in this way: `github`, `gitea` (Forgejo too), `gitlab` or `standard`. */
  readonly sender: string;
  take(chunk: Buffer): void;
  /** To be asked once, when the body is complete. */
  verdict(): HookVerdict;
};

export type HookVerdict =
  /** `mark` stands for this delivery: the same one again has the same. Undefined: it cannot be told. */
  { readonly ok: true; readonly mark: string | undefined } | { readonly ok: false };

type Candidate = { readonly mac: Hmac; readonly expected: readonly Buffer[] };

/** Deliveries whose signed time is further away are refused (Standard Webhooks, "Webhook timestamp"). */
const windowSeconds = 300;
const signaturesMax = 16;

/**
 * How the delivery proves that it comes from who has one of the secrets: GitHub's `X-Hub-Signature-256`, Gitea's and
 * Forgejo's `X-Gitea-Signature`, Standard Webhooks' `webhook-signature`, GitLab's `X-Gitlab-Token`. Undefined when it
 * does not even try, or when its time is too far from `nowMs`.
 */
export function createHookCheck(
  headers: IncomingHttpHeaders,
  secrets: readonly string[],
  nowMs: number,
): HookCheck | undefined {
  const header = (name: string) => {
    const value = headers[name];
    return typeof value === "string" ? value : undefined;
  };
  const github = header("x-hub-signature-256");
  const gitea = header("x-gitea-signature") ?? header("x-forgejo-signature");
  if (gitea !== undefined) return signed("gitea", hexCandidates(secrets, gitea));
  if (github !== undefined) {
    return signed("github", hexCandidates(secrets, github.replace(/^sha256=/, "")));
  }
  const [id, time, list] = ["id", "timestamp", "signature"].map((name) =>
    header(`webhook-${name}`),
  );
  if (id !== undefined && time !== undefined && list !== undefined) {
    if (!/^\d{1,12}$/.test(time) || Math.abs(nowMs / 1000 - Number(time)) > windowSeconds) return;
    return signed("standard", standardCandidates(secrets, { id, time, list }));
  }
  const token = header("x-gitlab-token");
  // The first of them stays the same when GitLab tries again; older versions have the others, or none.
  const delivery =
    header("idempotency-key") ?? header("x-gitlab-webhook-uuid") ?? header("x-gitlab-event-uuid");
  return token === undefined ? undefined : bearer(secrets, { token, delivery });
}

function signed(sender: string, candidates: readonly Candidate[]): HookCheck {
  return {
    sender,
    take(chunk) {
      for (const { mac } of candidates) mac.update(chunk);
    },
    verdict() {
      let mark: string | undefined;
      // All are compared, so that time tells nothing about which one came close.
      for (const { mac, expected } of candidates) {
        const found = mac.digest();
        for (const signature of expected) {
          if (signature.length === found.length && timingSafeEqual(signature, found)) {
            mark = found.toString("hex");
          }
        }
      }
      return mark === undefined ? { ok: false } : { ok: true, mark };
    },
  };
}

function hexCandidates(secrets: readonly string[], signature: string): Candidate[] {
  const isHex = /^[0-9a-f]{64}$/i.test(signature);
  const expected = isHex ? [Buffer.from(signature, "hex")] : [];
  return secrets.map((secret) => ({ mac: createHmac("sha256", secret), expected }));
}

/** `v1,BASE64 v1,BASE64`, over `id.timestamp.body`, with a key that is base64 after `whsec_`. */
function standardCandidates(
  secrets: readonly string[],
  { id, time, list }: { readonly id: string; readonly time: string; readonly list: string },
): Candidate[] {
  const expected = list
    .split(" ", signaturesMax)
    .filter((entry) => entry.startsWith("v1,"))
    .map((entry) => Buffer.from(entry.slice(3), "base64"));
  return secrets.map((secret) => {
    const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : secret;
    return { mac: createHmac("sha256", key).update(`${id}.${time}.`), expected };
  });
}

/** Digests have one length, so that the comparison tells nothing about the token's. Nothing of the delivery is signed. */
function bearer(
  secrets: readonly string[],
  { token, delivery }: { readonly token: string; readonly delivery: string | undefined },
): HookCheck {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  const found = digest(token);
  const matches = secrets.filter((secret) => timingSafeEqual(digest(secret), found));
  const content = createHash("sha256").update(`gitlab\0${delivery}\0`);
  return {
    sender: "gitlab",
    take: (chunk) => void content.update(chunk),
    verdict() {
      if (matches.length === 0) return { ok: false };
      return { ok: true, mark: delivery === undefined ? undefined : content.digest("hex") };
    },
  };
}
