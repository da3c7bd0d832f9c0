import { arch, release } from "node:os";
import { compileSeccomp } from "./compile-seccomp.ts";
import { defaultSeccompProfile } from "./default-profile.ts";
import { parseSeccompProfile } from "./profile.ts";

/** The last filters that were compiled: most containers share one. */
const filters = new Map<string, Uint8Array>();
const filtersMax = 32;

/**
 * The filter of a profile (JSON text; undefined: the default one) on this host, for a container with these
 * capabilities. Throws on a profile that is malformed, and on an architecture without a number table.
 */
export function seccompFilter(
  profile: string | undefined,
  capabilities: readonly string[],
): Uint8Array {
  const key = `${capabilities.join(",")} ${profile ?? ""}`;
  const known = filters.get(key);
  if (known !== undefined) return known;
  const filter = compileSeccomp({
    profile: profile === undefined ? defaultSeccompProfile : parseSeccompProfile(profile),
    architecture: hostArchitecture(),
    capabilities,
    kernel: release(),
  });
  if (filters.size >= filtersMax) filters.clear();
  filters.set(key, filter);
  return filter;
}

function hostArchitecture(): "x86_64" | "aarch64" {
  const name = arch();
  if (name === "x64") return "x86_64";
  if (name === "arm64") return "aarch64";
  throw new Error(`cannot filter system calls on ${name}: x64 or arm64 is expected`);
}
