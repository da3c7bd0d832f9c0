export type Post = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly abort: AbortSignal;
};

/** The place understood, and does not want it: it will not the next time either. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}

/** What says more of the request than of the moment or of a login (RFC 9110, section 15.5). */
const refusals: ReadonlySet<number> = new Set([400, 405, 409, 410, 413, 414, 415, 422]);

/** Sends one request. Rejects with a RefusedError when it is no use to send it again. What it says when it fails holds neither path nor query of the URL: they may be secrets. */
export async function post({ url, headers, body, abort }: Post): Promise<void> {
  const { host } = new URL(url);
  // A redirect could carry the token elsewhere.
  const answer = await fetch(url, {
    method: "POST",
    headers,
    body,
    redirect: "error",
    signal: abort,
  }).catch((error: unknown) => {
    if (abort.aborted) throw abort.reason;
    const { cause } = error as { cause?: { code?: string } }; // fetch says why in its cause
    throw new Error(
      `cannot reach ${host} (${cause?.code ?? "it redirects, or is no HTTP server"})`,
    );
  });
  await answer.body?.cancel();
  if (answer.ok) return;
  const why = `cannot tell ${host}: it answered ${answer.status}`;
  throw refusals.has(answer.status) ? new RefusedError(why) : new Error(why);
}
