import type { Image } from "../runtime/images/image-store.ts";
import type { Control, ImageReport } from "./control.ts";
import type { ControlContext } from "./control-context.ts";

export async function listImages({ core }: ControlContext): Promise<ImageReport[]> {
  const actual = await core.view.observe();
  const inUse = new Set(actual.containers.map(({ status }) => status.spec.image.digest));
  return core.runtime.images.list().map((image) => imageReport(image, inUse));
}

export async function pullByHand(
  { core, loop }: ControlContext,
  reference: string,
  options: Parameters<Control["pull"]>[1],
): Promise<ImageReport> {
  const image = await core.runtime.images.pull(reference, options);
  noteArrival({ core, loop }, image, "image.pulled");
  return imageReport(image, new Set());
}

export async function loadByHand(
  { core, loop }: ControlContext,
  path: string,
  options: Parameters<Control["load"]>[1],
): Promise<ImageReport[]> {
  const images = await core.runtime.images.load(path, options);
  for (const image of images) noteArrival({ core, loop }, image, "image.loaded");
  return images.map((image) => imageReport(image, new Set()));
}

/** An app may have waited for it. */
function noteArrival(
  { core, loop }: Pick<ControlContext, "core" | "loop">,
  image: Image,
  kind: string,
): void {
  const target = image.references[0] ?? image.digest;
  const message = `${target} is here`;
  core.events.record({ kind, target, message, fields: { digest: image.digest } });
  core.puller.forgetFailures();
  loop.trigger("image arrived");
}

function imageReport(image: Image, inUse: ReadonlySet<string>): ImageReport {
  const { digest, references, sizeBytes, pulledAtMs } = image;
  const pulledAt = new Date(pulledAtMs).toISOString();
  return { digest, references, sizeBytes, pulledAt, inUse: inUse.has(digest) };
}
