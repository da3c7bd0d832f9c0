import { posix } from "node:path";

/** `/a/./b//c/` -> `/a/b/c` */
export function cleanPath(path: string): string {
  const clean = posix.normalize(path);
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean;
}
