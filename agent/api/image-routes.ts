/** Routes about images. */
import type { z } from "zod";
import * as requests from "./image-requests.ts";
import { answer, bytes, type Call, parse, type Route } from "./route.ts";
import { streamTransfer } from "./transfer-stream.ts";

export const imageRoutes: readonly (readonly [string, Route])[] = [
  ["GET /v1/images", answer(requests.Nothing, ({ control }) => control.images())],
  [
    "GET /v1/image-history",
    answer(requests.ImageQuery, ({ control }, { name }) => control.imageHistory(name)),
  ],
  ["POST /v1/pull", pull],
  ["POST /v1/load", answer(requests.LoadBody, load)],
  [
    "POST /v1/import",
    answer(requests.ImportBody, ({ control, abort }, { path, ...made }) =>
      control.importImage(path, { ...given(made), abort }),
    ),
  ],
  [
    "POST /v1/commit",
    answer(requests.CommitBody, ({ control, abort }, { name, ...made }) =>
      control.commitContainer(name, { ...given(made), abort }),
    ),
  ],
  [
    "POST /v1/export",
    bytes(requests.ExportBody, ({ control, abort }, { name, pause }) =>
      control.exportContainer(name, { pause, abort }),
    ),
  ],
  [
    "POST /v1/save",
    bytes(requests.SaveBody, ({ control, abort }, { names, format }) =>
      control.saveImages(names, { format, abort }),
    ),
  ],
  [
    "POST /v1/save-layout",
    answer(requests.SaveLayoutBody, ({ control, abort }, { names, path }) =>
      control.saveLayout(names, { path, abort }),
    ),
  ],
  [
    "POST /v1/tag",
    answer(requests.TagBody, ({ control }, { name, reference }) =>
      control.tagImage(name, reference),
    ),
  ],
  [
    "POST /v1/rmi",
    answer(requests.ImageQuery, ({ control }, { name }) => control.removeImage(name)),
  ],
  [
    "POST /v1/prune",
    answer(requests.PruneBody, ({ control }, { all, olderThanMs, dryRun }) =>
      control.pruneImages({ all, dryRun, ...(olderThanMs === undefined ? {} : { olderThanMs }) }),
    ),
  ],
];

/** The fields that were given: the types beyond know absent ones, and none that are undefined. */
function given<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]: Exclude<Fields[Key], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  // The fields of the parameter, without those that are undefined.
  return Object.fromEntries(entries) as { [Key in keyof Fields]: Exclude<Fields[Key], undefined> };
}

function load(
  { control, abort }: Call,
  { path, reference }: z.output<typeof requests.LoadBody>,
): Promise<unknown> {
  return control.load(path, reference === undefined ? { abort } : { reference, abort });
}

async function pull(call: Call, input: unknown): Promise<void> {
  const { reference } = parse(requests.PullBody, input);
  await streamTransfer(call, async (onProgress) => ({
    image: await call.control.pull(reference, { abort: call.abort, onProgress }),
  }));
}
