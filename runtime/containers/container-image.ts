import { isFrozen } from "../cgroups/container-cgroup.ts";
import type { ContainerSpec } from "../container-spec.ts";
import { type ConfigFields, withVariables } from "../images/image-changes.ts";
import type { Image } from "../images/image-store.ts";
import type { CommitOptions } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { cgroupPathOf, pathsOf } from "./container-context.ts";
import type { Containers } from "./containers.ts";
import { requireImage } from "./create-container.ts";
import { type PackedRoot, packRoot } from "./pack-root.ts";

type Parts = { readonly context: ContainerContext; readonly containers: Containers };

/**
 * The root of a container as a tar archive, without what is mounted in it. With `pause` nothing changes meanwhile; else
 * what changes may be there in either form.
 */
export async function* exportContainer(
  parts: Parts,
  id: string,
  options: { readonly pause: boolean; readonly abort: AbortSignal },
): AsyncGenerator<Buffer> {
  const { context } = parts;
  const { spec } = context.inventory.require(id);
  const { pause, abort } = options;
  const archive = packRoot(context, rootOf(context, spec), { changesOnly: false, abort });
  const thaw = pause ? freeze(parts, id) : undefined;
  try {
    yield* archive;
  } catch (cause) {
    abort.throwIfAborted();
    throw new Error(`cannot export ${spec.name}`, { cause });
  } finally {
    thaw?.();
  }
}

/** An image out of the container's image and what was changed in its root since. */
export async function commitContainer(
  parts: Parts,
  id: string,
  options: CommitOptions,
): Promise<Image> {
  const { context } = parts;
  const { spec } = context.inventory.require(id);
  const { pause, abort, ...more } = options;
  const layer = packRoot(context, rootOf(context, spec), { changesOnly: true, abort });
  const image = requireImage(context, spec);
  return context.images.commit(image.digest, {
    ...more,
    abort,
    layer: pause ? whileFrozen(parts, id, layer) : layer,
    config: configOf(spec, image),
    createdBy: [...(spec.entrypoint ?? []), ...(spec.command ?? [])].join(" ") || "berth commit",
  });
}

async function* whileFrozen(
  parts: Parts,
  id: string,
  layer: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const thaw = freeze(parts, id);
  try {
    yield* layer;
  } finally {
    thaw();
  }
}

/** Holds every process of the container until the function that it returns is called, unless they are held already. */
function freeze({ context, containers }: Parts, id: string): () => void {
  const path = cgroupPathOf(context, id);
  if (!containers.isRunning(id) || isFrozen(context.cgroups, path)) return () => {};
  containers.freeze(id, true);
  return () => {
    if (containers.isRunning(id)) containers.freeze(id, false);
  };
}

function rootOf(context: ContainerContext, spec: ContainerSpec): PackedRoot {
  const { layerDirs } = requireImage(context, spec);
  return { layerDirs, upper: pathsOf(context, spec.id).upper };
}

/** What the container was told to run, in the words of an image configuration. */
function configOf(spec: ContainerSpec, image: Image): ConfigFields {
  const { entrypoint, command, environment, user, workingDir, stopSignal } = spec;
  const variables = Object.entries(environment);
  return {
    // Another entrypoint makes the image's command void.
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint, Cmd: command ?? [] }),
    ...(entrypoint === undefined && command !== undefined ? { Cmd: command } : {}),
    ...(variables.length === 0 ? {} : { Env: withVariables(image.config.env, variables) }),
    ...(user === undefined ? {} : { User: user }),
    ...(workingDir === undefined ? {} : { WorkingDir: workingDir }),
    ...(stopSignal === undefined ? {} : { StopSignal: stopSignal }),
  };
}
