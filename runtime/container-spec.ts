/** What a container of this runtime is. Nothing here knows an app, a service or a commit: those are labels. */

export type PortProtocol = "tcp" | "udp";

/** One published port. `hostIp` is `0.0.0.0` for every address of the host. */
export type PortBinding = {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: PortProtocol;
};

export type Mount =
  | {
      readonly type: "volume";
      readonly volume: string;
      readonly target: string;
      readonly readOnly: boolean;
      /** false: do not seed an empty volume from the image's content (Compose `volume.nocopy`). */
      readonly copy: boolean;
      /** Only what lies here below the volume's root; it must be there, and no link leads to it. */
      readonly subpath?: string;
    }
  | {
      readonly type: "bind";
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      /** Make a missing source directory (Compose short form); otherwise a missing source is an error. */
      readonly createHostPath: boolean;
      /** Which mounts made later below the source, or below the target, appear on the other side. */
      readonly propagation?: MountPropagation;
      /** Mounts below the source are taken along unless this is false. */
      readonly recursive?: boolean;
    }
  | {
      readonly type: "tmpfs";
      readonly target: string;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
      readonly readOnly: boolean;
      /** Programs in it may be executed. */
      readonly exec?: boolean;
    }
  | {
      /** A file or directory below `lib/trees` that never changes, read-only. */
      readonly type: "tree";
      /** 64 hex digits. */
      readonly tree: string;
      readonly target: string;
    }
  | {
      /** A file in memory. What it holds is asked for at every start, and kept nowhere else. */
      readonly type: "secret";
      /** What to ask for. Another content has another name. */
      readonly secret: string;
      readonly target: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

export type MountPropagation = "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared";

export type Resources = {
  readonly memoryBytesMax?: number;
  readonly memoryReservationBytes?: number;
  /** CPUs' worth of time, for example 0.5. */
  readonly cpus?: number;
  /** -1: no limit. Undefined: 2048, where the host can count processes. */
  readonly pidsMax?: number;
  /** Memory and swap together; -1: no limit on swap. Undefined: as much as the memory, so no swap. */
  readonly memorySwapBytesMax?: number;
  /** 0 to 100; v1 only. */
  readonly memorySwappiness?: number;
  /** 2 to 262144, as v1 counts; v2 gets the weight that stands for it. */
  readonly cpuShares?: number;
  readonly cpuPeriodUs?: number;
  /** -1: no limit. */
  readonly cpuQuotaUs?: number;
  /** Such as `0-2,4`. */
  readonly cpuset?: string;
  readonly blockIo?: BlockIo;
  /** Page size such as `2MB` -> bytes. */
  readonly hugePageBytesMax?: Readonly<Record<string, number>>;
};

/** A block device of the host by its path, and a rate in bytes or operations per second, or a weight. */
export type DeviceRate = { readonly path: string; readonly rate: number };

export type BlockIo = {
  /** 10 to 1000. */
  readonly weight?: number;
  readonly weightDevice?: readonly DeviceRate[];
  readonly readBytes?: readonly DeviceRate[];
  readonly writeBytes?: readonly DeviceRate[];
  readonly readOperations?: readonly DeviceRate[];
  readonly writeOperations?: readonly DeviceRate[];
};

/** What a container may do, beyond or below the default posture. */
export type Security = {
  /** Everything: the host's user ids and devices, all capabilities, no filter, nothing hidden. */
  readonly privileged?: boolean;
  /** Names of capabilities(7), or ALL; what is added wins. */
  readonly capabilitiesAdded?: readonly string[];
  readonly capabilitiesDropped?: readonly string[];
  /** `unconfined`, or the JSON text of a profile. */
  readonly seccomp?: string;
  /** Undefined: true exactly when the first process is not root. */
  readonly noNewPrivileges?: boolean;
  /** Nothing of /proc and /sys is hidden or read-only. */
  readonly systemPathsShown?: boolean;
  readonly apparmor?: string;
  readonly selinuxLabels?: readonly string[];
};

/** `private`: its own; `host`; or those of the container with this name, which must run when this one starts. */
export type NamespaceChoice = "private" | "host" | { readonly container: string };

/** What is not named is the container's own. Who joins another's namespaces also has its user ids. */
export type NamespaceChoices = {
  readonly user?: "private" | "host";
  readonly pid?: NamespaceChoice;
  readonly ipc?: NamespaceChoice;
  readonly uts?: "private" | "host";
  readonly cgroup?: "private" | "host";
  /** A container with another's or the host's network, or none, has no `networks`. */
  readonly network?: NamespaceChoice;
};

export type DeviceMapping = {
  /** A device node of the host, or a directory of them. */
  readonly source: string;
  readonly target: string;
  /** Letters of `rwm`. */
  readonly permissions: string;
};

/** -1: no limit. */
export type Ulimit = { readonly soft: number; readonly hard: number };

/** A network the container joins; the first one is where its default route goes. */
export type NetworkAttachment = {
  readonly network: string;
  /** Further names under which others on this network find the container. */
  readonly aliases: readonly string[];
  /** Undefined: any free one. */
  readonly ipv4Address?: string;
  /** Undefined: it follows from the address. */
  readonly macAddress?: string;
};

export type LogOptions = { readonly fileBytesMax: number; readonly filesMax: number };

/**
 * Everything that decides how a container runs. Undefined process fields are taken from the image's
 * configuration, as `docker run` does.
 */
export type ContainerSpec = {
  /** 64 lower-case hex digits. */
  readonly id: string;
  /** Unique in the instance: `app-service-1`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: { readonly reference: string; readonly digest: string };
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workingDir?: string;
  readonly hostname?: string;
  readonly mounts: readonly Mount[];
  readonly networks: readonly NetworkAttachment[];
  readonly ports: readonly PortBinding[];
  readonly resources: Resources;
  readonly readOnlyRoot: boolean;
  readonly stopSignal?: string;
  readonly init: boolean;
  readonly tty: boolean;
  readonly stdinOpen: boolean;
  readonly log: LogOptions;
  readonly security?: Security;
  readonly namespaces?: NamespaceChoices;
  readonly devices?: readonly DeviceMapping[];
  /** Lines of devices.allow, such as `c 188:* rwm`. */
  readonly deviceRules?: readonly string[];
  /** With dots, such as `net.core.somaxconn`. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Names of getrlimit(2) in lower case, such as `nofile`. */
  readonly ulimits?: Readonly<Record<string, Ulimit>>;
  readonly shmBytes?: number;
  /** Further groups of the first process, by id or by their name in the image. */
  readonly groups?: readonly string[];
  /** -1000 to 1000. */
  readonly oomScoreAdj?: number;
  readonly domainname?: string;
  /** Further lines of /etc/hosts; the address `host-gateway` is the host's on the container's network. */
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[];
  readonly dns?: {
    readonly servers?: readonly string[];
    readonly search?: readonly string[];
    readonly options?: readonly string[];
  };
  /** Kept and shown, never interpreted. */
  readonly annotations?: Readonly<Record<string, string>>;
};

export type ExecSpec = {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workingDir?: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly detach: boolean;
  readonly terminal?: { readonly rows: number; readonly columns: number };
};
