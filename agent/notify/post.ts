export type Post = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly abort: AbortSignal;
};

/** Sends one request. What it says when it fails holds neither path nor query of the URL: they may be secrets. */
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
  if (!answer.ok) throw new Error(`cannot tell ${host}: it answered ${answer.status}`);
}
