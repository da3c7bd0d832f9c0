import type { HistoryEntry, Image, ImageRemoval } from "../../runtime/images/image-store.ts";
import { findImage, requireImage } from "../images/find-image.ts";
import { removalEvent } from "../images/image-events.ts";
import { neededImages, serviceNaming } from "../images/needed-images.ts";
import { describeError } from "../log.ts";
import { StepError } from "../plan/step-error.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";
import type { ImageControl, ImageReport, PruneReport } from "./image-control.ts";
import { createRegistryControl } from "./registry-control.ts";

/** The image verbs of a running agent. */
export function createImageControl(context: ControlContext): ImageControl {
  return {
    ...createRegistryControl(context),
    images: () => listImages(context),
    pull: (reference, options) => pullByHand(context, reference, options),
    load: (path, options) => loadByHand(context, path, options),
    importImage: async (path, options) =>
      arrived(context, await context.core.runtime.images.importRoot(path, options), "imported"),
    commitContainer: async (name, options) => {
      const { id } = resolveContainer(await context.core.view.observe(), name);
      const image = await context.core.runtime.commitContainer(id, options);
      return arrived(context, image, "committed");
    },
    exportContainer: (name, options) => exportByName(context, name, options),
    saveImages: (names, options) =>
      context.core.runtime.images.save(wholeNames(context, names), options),
    saveLayout: (names, options) =>
      context.core.runtime.images.saveLayout(wholeNames(context, names), options),
    tagImage: (name, reference) => tagByHand(context, name, reference),
    removeImage: (name) => removeByHand(context, name),
    pruneImages: (options) => pruneByHand(context, options),
    imageHistory: (name) => imageHistory(context, name),
  };
}

/** For `inspect`: an image with its layers, configuration, labels and sizes; undefined when none has that name. */
export async function inspectImage({ core }: ControlContext, name: string): Promise<unknown> {
  const { images } = core.runtime;
  const found = findImage(images, name);
  const details = found === undefined ? undefined : await images.describe(found.digest);
  if (details === undefined) return undefined;
  const {
    os,
    architecture,
    variant,
    pulledAtMs,
    usedAtMs,
    layerDirs,
    layerDigests: _,
    ...rest
  } = details;
  const neededBy = (await neededImages(core))();
  return {
    kind: "image",
    ...rest,
    platform: [os, architecture, variant].filter(Boolean).join("/"),
    layers: rest.layers.map((layer, index) => ({ ...layer, path: layerDirs[index] })),
    pulledAt: new Date(pulledAtMs).toISOString(),
    usedAt: new Date(usedAtMs).toISOString(),
    neededBy: neededBy.get(details.digest) ?? null,
  };
}

async function listImages({ core }: ControlContext): Promise<ImageReport[]> {
  const actual = await core.view.observe();
  const inUse = new Set(actual.containers.map(({ status }) => status.spec.image.digest));
  return core.runtime.images.list().map((image) => imageReport(image, inUse));
}

type Arrival = Pick<ControlContext, "core" | "loop">;

/** An app may have waited for it. */
function arrived(
  { core, loop }: Arrival,
  image: Image,
  how: string,
  target = image.references[0] ?? image.digest,
): ImageReport {
  const message = `${target} is here`;
  core.events.record({
    kind: `image.${how}`,
    target,
    message,
    fields: { digest: image.digest },
  });
  core.puller.forgetFailures();
  loop.trigger("image arrived");
  return imageReport(image, new Set());
}

async function* exportByName(
  { core }: ControlContext,
  name: string,
  options: Parameters<ImageControl["exportContainer"]>[1],
): AsyncGenerator<Uint8Array> {
  const { id } = resolveContainer(await core.view.observe(), name);
  yield* core.runtime.exportContainer(id, options);
}

async function pullByHand(
  { core, loop }: ControlContext,
  reference: string,
  options: Parameters<ImageControl["pull"]>[1],
): Promise<ImageReport> {
  const { clock, meters, events, runtime } = core;
  const startedAtMs = clock.now();
  try {
    const image = await runtime.images.pull(reference, options);
    meters.pull("pulled", clock.now() - startedAtMs);
    return arrived({ core, loop }, image, "pulled", reference);
  } catch (error) {
    if (!options.abort.aborted) {
      meters.pull("failed", clock.now() - startedAtMs);
      const message = describeError(error);
      events.record({ kind: "image.pull-failed", target: reference, message });
    }
    throw error;
  }
}

async function loadByHand(
  { core, loop }: ControlContext,
  path: string,
  options: Parameters<ImageControl["load"]>[1],
): Promise<ImageReport[]> {
  const images = await core.runtime.images.load(path, options);
  return images.map((image) => arrived({ core, loop }, image, "loaded"));
}

async function tagByHand(
  { core, loop }: ControlContext,
  name: string,
  reference: string,
): Promise<ImageReport> {
  const { images } = core.runtime;
  const { digest } = requireImage(images, name);
  images.tag(digest, reference);
  return arrived({ core, loop }, requireImage(images, digest), "tagged");
}

/** A name stays as it was given, a prefix becomes the whole digest. */
function wholeNames({ core }: ControlContext, names: readonly string[]): readonly string[] {
  const { images } = core.runtime;
  return names.map((name) => {
    const { digest } = requireImage(images, name);
    return images.find(name) === undefined ? digest : name;
  });
}

async function removeByHand({ core }: ControlContext, name: string): Promise<ImageRemoval> {
  const { images } = core.runtime;
  const image = requireImage(images, name);
  // A name is taken as it was given, a prefix stands for the whole digest.
  const target = images.find(name) === undefined ? image.digest : name;
  const needed = new Map(
    // What went before is kept from collection only: an operator may give it up.
    [...(await neededImages(core))()].filter(([, by]) => !by.startsWith("the revision before")),
  );
  const by = needed.get(image.digest);
  const isLast = target === image.digest || image.references.length < 2;
  if (by !== undefined && isLast) {
    throw new StepError(
      "stalled",
      `cannot remove image ${name} because ${by} needs it: stop and remove that first, or take it out of git`,
    );
  }
  const service = target === image.digest ? undefined : serviceNaming(core, target);
  if (service !== undefined) {
    throw new StepError(
      "stalled",
      `cannot take the name ${name} from its image because the service ${service} has it in git: change that first`,
    );
  }
  const removal = await images.remove(target, new Set(needed.keys()));
  if (removal.isRemoved) core.events.record(removalEvent(removal));
  return removal;
}

async function pruneByHand(
  { core }: ControlContext,
  options: Parameters<ImageControl["pruneImages"]>[0],
): Promise<PruneReport> {
  const { all, olderThanMs, dryRun } = options;
  const needed = await neededImages(core);
  const unusedSince =
    olderThanMs === undefined ? {} : { unusedSinceMs: core.clock.now() - olderThanMs };
  const { images, bytes } = await core.runtime.images.collectGarbage(
    () => new Set(needed().keys()),
    { dangling: !all, dryRun, ...unusedSince },
  );
  if (!dryRun) for (const removal of images) core.events.record(removalEvent(removal));
  return {
    images: images.map(({ digest, references, bytes }) => ({ digest, references, bytes })),
    bytes,
    dryRun,
  };
}

async function imageHistory(
  { core }: ControlContext,
  name: string,
): Promise<readonly HistoryEntry[]> {
  const { images } = core.runtime;
  const details = await images.describe(requireImage(images, name).digest);
  return details?.history ?? [];
}

function imageReport(image: Image, inUse: ReadonlySet<string>): ImageReport {
  const { digest, references, sizeBytes, pulledAtMs } = image;
  const pulledAt = new Date(pulledAtMs).toISOString();
  return { digest, references, sizeBytes, pulledAt, inUse: inUse.has(digest) };
}
