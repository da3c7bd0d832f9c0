import { existsSync, readFileSync } from "node:fs";
import type { Security } from "../container-spec.ts";
import type { LabelPlan } from "./start-plan.ts";

/** Where the kernel and the host's policy say what there is; other places in tests. */
export type LabelHost = {
  /** Y where AppArmor is on. */
  readonly apparmorEnabled: string;
  /** A line `NAME (MODE)` for each profile that is loaded. */
  readonly apparmorProfiles: string;
  /** There where SELinux is on. */
  readonly selinuxEnforce: string;
  /** `process = "USER:ROLE:TYPE:LEVEL"`: what the host's policy has for containers. */
  readonly selinuxContexts: readonly string[];
};

const thisHost: LabelHost = {
  apparmorEnabled: "/sys/module/apparmor/parameters/enabled",
  apparmorProfiles: "/sys/kernel/security/apparmor/profiles",
  selinuxEnforce: "/sys/fs/selinux/enforce",
  selinuxContexts: ["targeted", "default", "mls", "minimum"].map(
    (name) => `/etc/selinux/${name}/contexts/lxc_contexts`,
  ),
};

/**
 * `apparmor` and `label` of `security_opt`. Undefined where nothing is asked for, which leaves a container as confined as
 * the agent. Throws where the host has no such module, or has not loaded what is named: a label that is not applied would
 * be a promise that is not kept.
 */
export function planLabel(security: Security, host = thisHost): LabelPlan | undefined {
  const { apparmor, selinuxLabels = [] } = security;
  const profile = apparmor === "unconfined" ? undefined : apparmor;
  const labels = selinuxLabels.includes("disable") ? [] : selinuxLabels;
  if (profile !== undefined && labels.length > 0) {
    throw new Error("cannot confine by AppArmor and SELinux at once: leave one of them out");
  }
  if (profile !== undefined) return apparmorLabel(profile, host);
  return labels.length === 0 ? undefined : selinuxLabel(labels, host);
}

/** True where the host has AppArmor, and it is on. */
export function hasApparmor(host = thisHost): boolean {
  return readText(host.apparmorEnabled)?.trim() === "Y";
}

export function hasSelinux(host = thisHost): boolean {
  return existsSync(host.selinuxEnforce);
}

function apparmorLabel(profile: string, host: LabelHost): LabelPlan {
  const asked = `cannot confine by the AppArmor profile ${JSON.stringify(profile)}`;
  if (!hasApparmor(host)) {
    throw new Error(`${asked} because this host has no AppArmor: leave it out`);
  }
  // Names of profiles hold spaces and slashes, but nothing that ends a line.
  if (profile === "" || /\p{Cc}/u.test(profile)) {
    throw new Error(`${asked} because that is no name: one that is loaded is expected`);
  }
  const loaded = readText(host.apparmorProfiles);
  const names = loaded?.split("\n").map((line) => line.replace(/ \([a-z]+\)$/, ""));
  if (names !== undefined && !names.includes(profile)) {
    throw new Error(
      `${asked} because it is not loaded: load it with 'apparmor_parser FILE', and at each boot from /etc/apparmor.d`,
    );
  }
  return { module: "apparmor", text: `exec ${profile}` };
}

const parts = ["user", "role", "type", "level"] as const;

/** The host's context for containers, with the parts that are asked for in place of its own. */
function selinuxLabel(labels: readonly string[], host: LabelHost): LabelPlan {
  const asked = `cannot set the SELinux label ${labels.join(", ")}`;
  if (!hasSelinux(host)) throw new Error(`${asked} because this host has no SELinux: leave it out`);
  const context = host.selinuxContexts
    .map((path) => /^process\s*=\s*"([^"\n]+)"/m.exec(readText(path) ?? "")?.[1])
    .find((found) => found !== undefined);
  if (context === undefined) {
    throw new Error(
      `${asked} because the host's policy has no context for containers: install container-selinux`,
    );
  }
  const [user = "", role = "", type = "", ...level] = context.split(":");
  const chosen = new Map<string, string>([
    ["user", user],
    ["role", role],
    ["type", type],
    ["level", level.join(":")],
  ]);
  for (const label of labels) {
    const [, part = "", value = ""] = /^([a-z]+):([A-Za-z0-9_.:,-]+)$/.exec(label) ?? [];
    if (!chosen.has(part)) {
      throw new Error(
        `${asked} because ${JSON.stringify(label)} is none: user:, role:, type: or level: with a value, or disable is expected`,
      );
    }
    chosen.set(part, value);
  }
  const text = parts.map((part) => chosen.get(part) ?? "").filter((value) => value !== "");
  return { module: "selinux", text: text.join(":") };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
