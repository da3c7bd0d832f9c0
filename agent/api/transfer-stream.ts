import type { TransferStep } from "../images/transfer-meter.ts";
import { lineOfError, openLineStream } from "./line-stream.ts";
import type { Call } from "./route.ts";

/** Lines `{progress}` as they come, then the result or `{error, kind}`. */
export async function streamTransfer(
  { response, abort }: Pick<Call, "response" | "abort">,
  transfer: (onProgress: (progress: TransferStep) => void) => Promise<unknown>,
): Promise<void> {
  const send = openLineStream(response, abort);
  // A reader that is slower than the transfer gets the newest of each layer.
  const waiting = new Map<string, TransferStep>();
  let sending: Promise<void> | undefined;
  const sendAll = async (): Promise<void> => {
    for (const [layer, progress] of waiting) {
      waiting.delete(layer);
      await send({ progress });
    }
    sending = undefined;
  };
  const onProgress = (progress: TransferStep): void => {
    waiting.set(progress.layer ?? "", progress);
    sending ??= sendAll();
  };
  const last = await transfer(onProgress).catch((error: unknown) => lineOfError(error));
  await sending;
  await send(last);
  response.end();
}
