import { setCommitStatus } from "./commit-status.ts";
import type { Notification } from "./notification.ts";
import type { NotificationTarget, TargetOf } from "./notify-config.ts";
import { post } from "./post.ts";
import { readSecret } from "./read-secret.ts";
import { sendMail } from "./send-mail.ts";

type Sender<Kind extends NotificationTarget["kind"]> = (
  target: TargetOf<Kind>,
  notification: Notification,
  abort: AbortSignal,
) => Promise<void>;

const timeLimitMs = 15_000;
const json = { "content-type": "application/json" };

/** Tells one target, within 15 s. Rejects with what would help an operator, and no secret in it. */
export async function send(
  target: NotificationTarget,
  notification: Notification,
  abort: AbortSignal,
): Promise<void> {
  const signal = AbortSignal.any([abort, AbortSignal.timeout(timeLimitMs)]);
  // The map has a sender of its own type for each kind.
  const sender = senders[target.kind] as Sender<NotificationTarget["kind"]>;
  await sender(target, notification, signal);
}

const senders: { readonly [Kind in NotificationTarget["kind"]]: Sender<Kind> } = {
  webhook: async ({ url, urlFile, headers, tokenFile, template }, notification, abort) => {
    const to = url ?? (await readSecret(urlFile ?? ""));
    const token =
      tokenFile === undefined ? {} : { authorization: `Bearer ${await readSecret(tokenFile)}` };
    const body =
      template === undefined ? JSON.stringify(notification) : fill(template, notification);
    await post({ url: to, headers: { ...json, ...headers, ...token }, body, abort });
  },
  slack: async ({ urlFile }, { title, message }, abort) => {
    const body = JSON.stringify({ text: slackText(`*${title}*\n${message}`) });
    await post({ url: await readSecret(urlFile), headers: json, body, abort });
  },
  ntfy: async ({ url, tokenFile }, { occasion, title, message }, abort) => {
    const isBad = occasion !== "started" && occasion !== "healthy";
    const token =
      tokenFile === undefined ? {} : { authorization: `Bearer ${await readSecret(tokenFile)}` };
    const headers = { title: encodeHeader(title), priority: isBad ? "high" : "default", ...token };
    await post({ url, headers, body: message, abort });
  },
  smtp: sendMail,
  "commit-status": setCommitStatus,
};

/** `{{title}}` and the other fields, as they stand inside a JSON string. */
function fill(template: string, notification: Notification): string {
  const fields: Readonly<Record<string, string | null>> = notification;
  return template.replaceAll(/\{\{(\w+)\}\}/g, (whole, name: string) =>
    Object.hasOwn(fields, name) ? JSON.stringify(fields[name] ?? "").slice(1, -1) : whole,
  );
}

function slackText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** RFC 2047, which ntfy reads in its headers; plain where it can be. */
function encodeHeader(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  return `=?UTF-8?B?${Buffer.from(text).toString("base64")}?=`;
}
