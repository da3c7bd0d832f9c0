import { arch, release } from "node:os";
import { defaultCapabilities } from "../capabilities.ts";
import { compileSeccomp } from "./compile-seccomp.ts";
import { defaultSeccompProfile } from "./default-profile.ts";

let filter: Uint8Array | undefined;

/** The filter of a default container on this host, compiled once. Throws on an architecture without a number table. */
export function seccompFilter(): Uint8Array {
  filter ??= compileSeccomp({
    profile: defaultSeccompProfile,
    architecture: hostArchitecture(),
    capabilities: defaultCapabilities,
    kernel: release(),
  });
  return filter;
}

function hostArchitecture(): "x86_64" | "aarch64" {
  const name = arch();
  if (name === "x64") return "x86_64";
  if (name === "arm64") return "aarch64";
  throw new Error(`cannot filter system calls on ${name}: x64 or arm64 is expected`);
}
