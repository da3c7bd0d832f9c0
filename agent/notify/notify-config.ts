import { z } from "zod";

/** What can be told, by the event that tells it. */
export const occasions = {
  started: "rollout.started",
  healthy: "rollout.healthy",
  failed: "rollout.failed",
  "rolled-back": "rollout.rolled-back",
  refused: "revision.refused",
} as const;
export type Occasion = keyof typeof occasions;

const names = Object.keys(occasions) as [Occasion, ...Occasion[]]; // an object's keys are its type's
const On = z.array(z.enum(names)).min(1);
const bad: Occasion[] = ["failed", "rolled-back", "refused"];
const AbsolutePath = z.string().regex(/^\/[^\0]+$/, "expected an absolute path");
const HttpUrl = z.url({ protocol: /^https?$/, error: "expected an http or https URL" });
const Line = z.string().regex(/^[^\p{Cc}]+$/u, "expected one line");
const Header = z.string().regex(/^[A-Za-z0-9-]+$/, "expected the name of a header");

const Webhook = z.strictObject({
  kind: z.literal("webhook"),
  url: HttpUrl.optional(),
  /** Where the URL itself is a secret. */
  urlFile: AbsolutePath.optional(),
  headers: z.record(Header, Line).default({}),
  tokenFile: AbsolutePath.optional(),
  template: z.string().max(65_536).optional(),
  on: On.default(bad),
});
const Slack = z.strictObject({
  kind: z.literal("slack"),
  urlFile: AbsolutePath,
  on: On.default(bad),
});
const Ntfy = z.strictObject({
  kind: z.literal("ntfy"),
  url: HttpUrl,
  tokenFile: AbsolutePath.optional(),
  on: On.default(bad),
});
const Smtp = z.strictObject({
  kind: z.literal("smtp"),
  server: z.string().regex(/^[A-Za-z0-9.-]+$/, "expected a host name"),
  port: z.number().int().min(1).max(65_535).default(587),
  security: z.enum(["tls", "starttls", "none"]).default("starttls"),
  username: Line.optional(),
  passwordFile: AbsolutePath.optional(),
  from: Line,
  to: z.array(Line).min(1).max(32),
  on: On.default(bad),
});
const CommitStatus = z.strictObject({
  kind: z.literal("commit-status"),
  forge: z.enum(["github", "gitlab", "gitea"]),
  /** For example `https://api.github.com`, `https://gitlab.example/api/v4`, `https://gitea.example/api/v1`. */
  api: HttpUrl,
  repository: z.string().regex(/^[\w.-]+(\/[\w.-]+)+$/, "expected owner/name"),
  tokenFile: AbsolutePath,
  on: On.default(names),
});

/** One place that is told. */
export const NotificationTarget = z
  .discriminatedUnion("kind", [Webhook, Slack, Ntfy, Smtp, CommitStatus])
  .refine(
    (target) =>
      target.kind !== "webhook" || (target.url === undefined) !== (target.urlFile === undefined),
    "expected either url or urlFile",
  );
export type NotificationTarget = z.infer<typeof NotificationTarget>;
export type TargetOf<Kind extends NotificationTarget["kind"]> = Extract<
  NotificationTarget,
  { kind: Kind }
>;
