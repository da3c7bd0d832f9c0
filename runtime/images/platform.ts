import { ImageError } from "./image-error.ts";
import type { Descriptor } from "./manifest-document.ts";

export type Platform = {
  readonly os: string;
  readonly architecture: string;
  /** Best first; the empty string stands for an image without a variant. */
  readonly variants: readonly string[];
};

const architectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  ppc64: "ppc64le",
};

const variants: Readonly<Record<string, readonly string[]>> = {
  amd64: ["", "v1"],
  arm64: ["v8", ""],
  arm: ["v7", "v6", "", "v5"],
};

/** The platform whose images run here, in Go's names as images carry them. */
export function hostPlatform(nodeArchitecture: string = process.arch): Platform {
  const architecture = architectures[nodeArchitecture] ?? nodeArchitecture;
  return { os: "linux", architecture, variants: variants[architecture] ?? [""] };
}

/** The entry of an index that runs here. An index with one entry and no platform is taken at its word. */
export function choosePlatform(entries: readonly Descriptor[], host: Platform): Descriptor {
  const ranked = entries
    .filter((entry) => entry.platform !== undefined && isRunnable(entry.platform, host))
    .map((entry) => ({ entry, rank: host.variants.indexOf(entry.platform?.variant ?? "") }))
    .sort((a, b) => a.rank - b.rank);
  const best = ranked[0]?.entry;
  if (best !== undefined) return best;
  const only = entries.length === 1 ? entries[0] : undefined;
  if (only !== undefined && only.platform === undefined) return only;
  throw new ImageError({
    because: `it has no image for ${host.os}/${host.architecture}, only for ${sayPlatforms(entries)}`,
    fix: "use a tag that is built for this machine's platform",
    kind: "stalled",
  });
}

export function isRunnable(
  platform: { readonly os: string; readonly architecture: string; readonly variant?: string },
  host: Platform,
): boolean {
  return (
    platform.os === host.os &&
    platform.architecture === host.architecture &&
    host.variants.includes(platform.variant ?? "")
  );
}

/** Each once, as `linux/arm64/v8`; what builders put beside the images is called attestations. */
export function listPlatforms(entries: readonly Descriptor[]): readonly string[] {
  const names = entries.map(({ platform }) => {
    if (platform === undefined) return "an unnamed platform";
    if (platform.os === "unknown") return "attestations";
    return [platform.os, platform.architecture, platform.variant].filter(Boolean).join("/");
  });
  return [...new Set(names)];
}

function sayPlatforms(entries: readonly Descriptor[]): string {
  const known = listPlatforms(entries).filter((name) => name !== "attestations");
  return known.length === 0 ? "none" : known.slice(0, 20).join(", ");
}
