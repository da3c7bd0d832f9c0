import { z } from "zod";
import { defaultCapabilities } from "../../runtime/plan/capabilities.ts";
import { Trust } from "./trust.ts";

const AbsolutePath = z
  .string()
  .regex(/^\/(?!.*(?:\/\.{1,2}(?:\/|$)|\/\/))/, "an absolute path without . and .. is expected");

const hostNamespaces = ["user", "pid", "ipc", "uts", "cgroup", "network"] as const;

/** What a manifest may ask this host for. Every field has the default of a host without a policy. */
export const Policy = z.strictObject({
  privileged: z.boolean().default(false),
  hostNamespaces: z.array(z.enum(hostNamespaces)).default([]),
  /** Names without CAP_; ALL for every one. */
  capabilities: z
    .array(z.string().regex(/^[A-Z_]+$/, "a capability such as NET_ADMIN is expected"))
    .default([...defaultCapabilities]),
  /** A directory allows everything below it. */
  bindMounts: z
    .array(z.strictObject({ path: AbsolutePath, readOnly: z.boolean().default(false) }))
    .default([
      { path: "/srv", readOnly: false },
      { path: "/mnt", readOnly: false },
      { path: "/media", readOnly: false },
      { path: "/opt", readOnly: false },
      { path: "/data", readOnly: false },
      { path: "/home", readOnly: false },
      { path: "/etc/localtime", readOnly: true },
      { path: "/etc/timezone", readOnly: true },
    ]),
  sharedMounts: z.boolean().default(false),
  /** Paths of device nodes or directories of them; ALL for every device, and for device_cgroup_rules. */
  devices: z.array(z.union([AbsolutePath, z.literal("ALL")])).default([]),
  ports: z
    .strictObject({
      min: z.int().min(1).max(65_535).default(1),
      max: z.int().min(1).max(65_535).default(65_535),
      /** Never published, whatever the range says; the agent's own port is always among them. */
      reserved: z.array(z.int().min(1).max(65_535)).default([]),
    })
    .default({ min: 1, max: 65_535, reserved: [] }),
  /** Whether containers reach 169.254.0.0/16, the clouds' metadata services among it. Of the host, whatever a manifest says. */
  metadataAddress: z.boolean().default(false),
  /** Which images may be pulled, by the names of their repositories. */
  trust: Trust.default({ default: "accept", prefixes: {} }),
  seccompUnconfined: z.boolean().default(false),
  seccompProfiles: z.boolean().default(false),
  systemPathsUnconfined: z.boolean().default(false),
  /** Whether a user who is not root may gain rights by set-user-id programs where a manifest says so. */
  newPrivileges: z.boolean().default(true),
  /** Whether a manifest may name an AppArmor profile or parts of an SELinux label of the host. */
  securityLabels: z.boolean().default(false),
  /** The lowest oom_score_adj. */
  oomScoreAdjMin: z.int().min(-1000).max(1000).default(0),
});
export type Policy = z.infer<typeof Policy>;

/** What holds on a host without a policy of its own. */
export const defaultPolicy: Policy = Policy.parse({});
