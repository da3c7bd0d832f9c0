import type { Admit, Refusal, Service, ServiceMount } from "../../manifests/desired-state.ts";
import { hostPlatform } from "../../runtime/images/platform.ts";
import { type ImageReference, parseReference } from "../../runtime/images/reference.ts";
import { trustRule } from "../../runtime/trust/trust-policy.ts";
import { admitsBind } from "./admit-bind.ts";
import type { Policy } from "./policy.ts";

/** What of a service the policy does not allow, each with the line of the policy that would. */
export function admitService(
  policy: Policy,
  own: { /** Ports that the agent itself listens on. */ readonly ports: readonly number[] },
): Admit {
  return (service) => [
    ...securityRefusals(policy, service),
    ...namespaceRefusals(policy, service),
    ...deviceRefusals(policy, service),
    ...service.mounts.flatMap((mount, index) => mountRefusals(policy, mount, index)),
    ...portRefusals(policy, service, own.ports),
    ...platformRefusals(service),
    ...imageRefusals(policy, service),
  ];
}

function refusal(path: Refusal["path"], what: string, line: string): Refusal {
  return {
    path,
    message: `the policy of this host does not allow ${what}: \`${line}\` in its policy would`,
  };
}

/** Signatures are looked at when an image is pulled; what is rejected by name can be told at once. */
function imageRefusals({ trust }: Policy, { image }: Service): readonly Refusal[] {
  const reference = readReference(image);
  if (reference === undefined) return [];
  const { prefix, rule } = trustRule(trust, reference);
  if (rule !== "reject") return [];
  const name = `${reference.registry}/${reference.repository}`;
  const message =
    prefix === ""
      ? `the policy of this host rejects images by default: \`trust.prefixes: {${name}: accept}\` in its policy would allow this one`
      : `the policy of this host rejects images from ${prefix}: see \`trust.prefixes\` in its policy`;
  return [{ path: ["image"], message }];
}

/** Undefined for what is no reference: the pull tells what is wrong with it. */
function readReference(text: string): ImageReference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

function securityRefusals(policy: Policy, { options }: Service): readonly Refusal[] {
  const security = options?.security ?? {};
  const refusals: Refusal[] = [];
  if (security.privileged === true && !policy.privileged) {
    refusals.push(refusal(["privileged"], "privileged containers", "privileged: true"));
  }
  for (const [index, name] of (security.capabilitiesAdded ?? []).entries()) {
    const plain = name.replace(/^CAP_/, "");
    if (policy.capabilities.includes("ALL") || policy.capabilities.includes(plain)) continue;
    const line = `capabilities: [${[...policy.capabilities, plain].join(", ")}]`;
    refusals.push(refusal(["cap_add", index], `the capability ${plain}`, line));
  }
  const optionsAt = ["security_opt"];
  const { seccomp } = security;
  if (seccomp === "unconfined" && !policy.seccompUnconfined) {
    refusals.push(refusal(optionsAt, "seccomp=unconfined", "seccompUnconfined: true"));
  }
  if (seccomp !== undefined && seccomp !== "unconfined" && !policy.seccompProfiles) {
    refusals.push(refusal(optionsAt, "a seccomp profile of one's own", "seccompProfiles: true"));
  }
  if (security.systemPathsShown === true && !policy.systemPathsUnconfined) {
    refusals.push(refusal(optionsAt, "systempaths=unconfined", "systemPathsUnconfined: true"));
  }
  const labels = [security.apparmor, ...(security.selinuxLabels ?? [])];
  const changing = labels.find(
    (label) => label !== undefined && !/^(unconfined|disable)$/.test(label),
  );
  if (changing !== undefined && !policy.securityLabels) {
    refusals.push(refusal(optionsAt, `the security label ${changing}`, "securityLabels: true"));
  }
  if (security.noNewPrivileges === false && !policy.newPrivileges) {
    refusals.push(refusal(optionsAt, "no-new-privileges:false", "newPrivileges: true"));
  }
  const score = options?.oomScoreAdj;
  if (score !== undefined && score < policy.oomScoreAdjMin) {
    refusals.push(
      refusal(["oom_score_adj"], `an oom_score_adj of ${score}`, `oomScoreAdjMin: ${score}`),
    );
  }
  return refusals;
}

/** Images are those of the host's platform. */
function platformRefusals({ platform }: Service): readonly Refusal[] {
  if (platform === undefined) return [];
  const { architecture, os, variants } = hostPlatform();
  const plain = platform.replace("x86_64", "amd64").replace("aarch64", "arm64");
  const own = `${os}/${architecture}`;
  if ([os, architecture, own, ...variants.map((name) => `${own}/${name}`)].includes(plain))
    return [];
  const message = `this host runs ${os}/${architecture}: remove it, or run the service elsewhere`;
  return [{ path: ["platform"], message }];
}

const namespaceKeys = {
  user: "userns_mode",
  pid: "pid",
  ipc: "ipc",
  uts: "uts",
  cgroup: "cgroup",
  network: "network_mode",
} as const;

function namespaceRefusals(policy: Policy, { options }: Service): readonly Refusal[] {
  const namespaces = options?.namespaces ?? {};
  const kinds = Object.keys(namespaceKeys) as (keyof typeof namespaceKeys)[];
  return kinds
    .filter((kind) => namespaces[kind] === "host" && !policy.hostNamespaces.includes(kind))
    .map((kind) => {
      const line = `hostNamespaces: [${[...policy.hostNamespaces, kind].join(", ")}]`;
      return refusal([namespaceKeys[kind]], `the host's ${kind} namespace`, line);
    });
}

function deviceRefusals(policy: Policy, { options }: Service): readonly Refusal[] {
  if (policy.devices.includes("ALL")) return [];
  const allowed = (path: string) =>
    policy.devices.some((entry) => path === entry || path.startsWith(`${entry}/`));
  const isClean = (path: string) => !/(?:^|\/)\.{1,2}(?:\/|$)/.test(path);
  const refusals = (options?.devices ?? []).flatMap(({ source }, index) =>
    isClean(source) && allowed(source)
      ? []
      : [refusal(["devices", index], `the device ${source}`, `devices: [${source}]`)],
  );
  const rules = (options?.deviceRules ?? []).map((rule, index) =>
    refusal(["device_cgroup_rules", index], `the device rule "${rule}"`, "devices: [ALL]"),
  );
  return [...refusals, ...rules];
}

function mountRefusals(policy: Policy, mount: ServiceMount, index: number): readonly Refusal[] {
  if (mount.type !== "bind") return [];
  const refusals: Refusal[] = [];
  if (!admitsBind(policy, mount)) {
    const line = `bindMounts: [{path: ${mount.source}${mount.readOnly ? ", readOnly: true" : ""}}]`;
    const how = mount.readOnly ? "" : " with write access";
    refusals.push(refusal(["volumes", index], `a bind mount of ${mount.source}${how}`, line));
  }
  if (mount.propagation?.endsWith("shared") === true && !policy.sharedMounts) {
    refusals.push(refusal(["volumes", index], "shared mounts", "sharedMounts: true"));
  }
  return refusals;
}

function portRefusals(
  policy: Policy,
  { ports }: Service,
  own: readonly number[],
): readonly Refusal[] {
  const { min, max, reserved } = policy.ports;
  return ports.flatMap(({ hostPort, protocol }): Refusal[] => {
    if (protocol === "tcp" && own.includes(hostPort)) {
      const message = `port ${hostPort} is the agent's own: choose another one, or move the agent with \`listen\``;
      return [{ path: ["ports"], message }];
    }
    if (reserved.includes(hostPort)) {
      return [refusal(["ports"], `port ${hostPort}`, `ports.reserved without ${hostPort}`)];
    }
    if (hostPort >= min && hostPort <= max) return [];
    const line = hostPort < min ? `ports.min: ${hostPort}` : `ports.max: ${hostPort}`;
    return [refusal(["ports"], `port ${hostPort}`, line)];
  });
}
