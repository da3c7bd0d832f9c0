import type { Image, ImageStore } from "../../runtime/images/image-store.ts";
import { NotFoundError } from "../control/not-found-error.ts";

/** By name, digest, or a prefix of the digest's hex part that no other image has. */
export function findImage(images: ImageStore, name: string): Image | undefined {
  const found = images.find(name);
  if (found !== undefined) return found;
  if (!/^(sha256:)?[0-9a-f]{6,64}$/.test(name)) return undefined;
  const prefix = `sha256:${name.replace(/^sha256:/, "")}`;
  const matches = images.list().filter(({ digest }) => digest.startsWith(prefix));
  return matches.length === 1 ? matches[0] : undefined;
}

/** Throws an error that says where the images are listed. */
export function requireImage(images: ImageStore, name: string): Image {
  const image = findImage(images, name);
  if (image !== undefined) return image;
  throw new NotFoundError(
    `cannot find an image ${name} because none here has that name: "berth images" lists them, "berth pull" fetches one`,
  );
}
