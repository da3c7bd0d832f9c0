import { lineOfError, openLineStream } from "./line-stream.ts";
import type { Call } from "./route.ts";

/** Lines `{progress}` as they come, then the result or `{error, kind}`. */
export async function streamTransfer(
  { response, abort }: Pick<Call, "response" | "abort">,
  transfer: (onProgress: (progress: unknown) => void) => Promise<unknown>,
): Promise<void> {
  const send = openLineStream(response, abort);
  // At most one progress line is under way: what comes meanwhile is superseded by the newest.
  let sending: Promise<void> | undefined;
  const onProgress = (progress: unknown): void => {
    if (sending !== undefined) return;
    sending = send({ progress }).finally(() => {
      sending = undefined;
    });
  };
  const last = await transfer(onProgress).catch((error: unknown) => lineOfError(error));
  await sending;
  await send(last);
  response.end();
}
