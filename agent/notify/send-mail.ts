import type { Notification } from "./notification.ts";
import type { TargetOf } from "./notify-config.ts";
import { RefusedError } from "./post.ts";
import { readSecret } from "./read-secret.ts";

type MailError = { readonly code?: string; readonly responseCode?: number };

/**
 * Hands a mail to a server (RFC 5321), over TLS unless the target says otherwise. Rejects with a RefusedError when it is no use to
 * hand it over again.
 */
export async function sendMail(
  target: TargetOf<"smtp">,
  { title, message, app, revision, time }: Notification,
  abort: AbortSignal,
): Promise<void> {
  const { server, port, security, username, passwordFile, from, to } = target;
  const pass = passwordFile === undefined ? undefined : await readSecret(passwordFile);
  const { createTransport } = await import("nodemailer");
  const transport = createTransport({
    host: server,
    port,
    secure: security === "tls",
    requireTLS: security === "starttls",
    ignoreTLS: security === "none",
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 10_000,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(username === undefined ? {} : { auth: { user: username, pass: pass ?? "" } }),
  });
  const end = () => transport.close();
  abort.addEventListener("abort", end, { once: true });
  try {
    const details = [`app: ${app ?? "-"}`, `revision: ${revision ?? "-"}`, `time: ${time}`];
    const text = `${message}\n\n${details.join("\n")}\n`;
    await transport
      .sendMail({ from, to: [...to], subject: title, text })
      .catch((error: MailError) => {
        // The server's words may repeat what it was told.
        const why = `cannot hand a mail to ${server} (${error.responseCode ?? error.code ?? "unknown error"})`;
        throw isRefusal(error) ? new RefusedError(why) : new Error(why);
      });
  } finally {
    abort.removeEventListener("abort", end);
    transport.close();
  }
}

/** 55x for a sender, all recipients or the mail itself: "permanent", of the mail system (RFC 5321, section 4.2.1), not of a login. */
function isRefusal({ code, responseCode = 0 }: MailError): boolean {
  return (code === "EENVELOPE" || code === "EMESSAGE") && Math.floor(responseCode / 10) === 55;
}
