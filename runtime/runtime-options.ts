import type { DatabaseSync } from "node:sqlite";
import type { ImageMeters } from "./images/image-store.ts";
import type { RegistrySettings } from "./registry/registry-settings.ts";
import type { Log } from "./runtime.ts";
import type { TrustPolicy } from "./trust/trust-policy.ts";

/** What an instance is opened with. */
export type RuntimeOptions = {
  /** Durable directory: images, layers, volumes, container logs. */
  readonly libDir: string;
  /** Directory on a tmpfs: sockets, exit records. */
  readonly runDir: string;
  /** `[a-z][a-z0-9-]{0,30}`: names the bridges, the nft table and the cgroup parent. */
  readonly instance: string;
  /** `lib/state.db`: leases, images, volumes. The runtime makes its own tables, prefixed `runtime_`. */
  readonly state: DatabaseSync;
  /** `run/live.db`: the inventory of kernel objects and the intents to change them. */
  readonly live: DatabaseSync;
  readonly log: Log;
  /** Pool that new networks take their /24 from, for example `10.210.0.0/16`. */
  readonly addressPool: string;
  /** How registries are spoken to; undefined: by HTTPS, without proxies, and to loopback over plain HTTP too. */
  readonly registries?: RegistrySettings;
  /** Which images may be pulled, as it is now; undefined: all. */
  readonly imageTrust?: () => TrustPolicy;
  readonly imageMeters?: ImageMeters;
  /**
   * Asked for every path of the host that a container mounts, links resolved, right before it is mounted; the labels are
   * the container's. Undefined: every path is granted.
   */
  readonly admitBind?: (mount: {
    readonly source: string;
    readonly readOnly: boolean;
    readonly labels: Readonly<Record<string, string>>;
  }) => boolean;
  /**
   * Whether containers reach 169.254.0.0/16, where clouds serve a host's credentials; name servers there are always
   * reached. Asked again in every round. Undefined: they do not.
   */
  readonly metadataAddress?: () => boolean;
  /** The helper that containers are started with; undefined: the one that `make` builds. */
  readonly helperPath?: string;
  /** What secret mounts hold; the runtime keeps it for the moment of a start. Undefined: there are none. */
  readonly secretContent?: (secret: string) => Promise<Uint8Array>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
};
