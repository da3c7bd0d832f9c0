import type { ImageRemoval } from "../../runtime/images/image-store.ts";
import type { NewEvent } from "../store/event-log.ts";

export function removalEvent({ digest, references, bytes }: ImageRemoval): NewEvent {
  const target = references[0] ?? digest;
  const message = `${target} was removed`;
  return { kind: "image.removed", target, message, fields: { digest, references, bytes } };
}
