import { buildImage, fileLayer } from "./image-builder.ts";

const base = fileLayer("base", "shared");
export const kept = buildImage([base, fileLayer("own", "kept")]);
export const removed = buildImage([
  base,
  fileLayer("own", "removed"),
  fileLayer("more", "removed too"),
]);
export const tags = ["kept", "removed"] as const;
