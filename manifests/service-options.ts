/** What a service may use up, and what it asks for beyond the defaults. */

export type ServiceResources = {
  readonly memoryBytesMax?: number;
  readonly memoryReservationBytes?: number;
  readonly cpus?: number;
  /** -1: no limit. */
  readonly pidsMax?: number;
  /** Memory and swap together; -1: no limit on swap. */
  readonly memorySwapBytesMax?: number;
  readonly memorySwappiness?: number;
  readonly cpuShares?: number;
  readonly cpuPeriodUs?: number;
  /** -1: no limit. */
  readonly cpuQuotaUs?: number;
  readonly cpuset?: string;
  readonly blockIo?: BlockIo;
};

/** A block device of the host, and bytes or operations per second, or a weight. */
export type DeviceRate = { readonly path: string; readonly rate: number };

export type BlockIo = {
  readonly weight?: number;
  readonly weightDevice?: readonly DeviceRate[];
  readonly readBytes?: readonly DeviceRate[];
  readonly writeBytes?: readonly DeviceRate[];
  readonly readOperations?: readonly DeviceRate[];
  readonly writeOperations?: readonly DeviceRate[];
};

export type ServiceSecurity = {
  readonly privileged?: boolean;
  readonly capabilitiesAdded?: readonly string[];
  readonly capabilitiesDropped?: readonly string[];
  /** `unconfined`, or a profile's JSON text. */
  readonly seccomp?: string;
  readonly noNewPrivileges?: boolean;
  readonly systemPathsShown?: boolean;
  readonly apparmor?: string;
  readonly selinuxLabels?: readonly string[];
};

/** The host's namespace, or that of the first replica of a service of the same app. */
export type NamespaceWish = "host" | { readonly service: string };

export type ServiceNamespaces = {
  readonly user?: "host";
  readonly pid?: NamespaceWish;
  readonly ipc?: NamespaceWish;
  readonly uts?: "host";
  readonly cgroup?: "host";
  readonly network?: NamespaceWish | "none";
};

/** What a service asks for beyond the defaults. */
export type ServiceOptions = {
  readonly security?: ServiceSecurity;
  readonly namespaces?: ServiceNamespaces;
  readonly devices?: readonly {
    readonly source: string;
    readonly target: string;
    readonly permissions: string;
  }[];
  readonly deviceRules?: readonly string[];
  readonly sysctls?: Readonly<Record<string, string>>;
  /** -1: no limit. */
  readonly ulimits?: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
  readonly shmBytes?: number;
  readonly groups?: readonly string[];
  readonly oomScoreAdj?: number;
  readonly domainname?: string;
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[];
  readonly dns?: {
    readonly servers?: readonly string[];
    readonly search?: readonly string[];
    readonly options?: readonly string[];
  };
  readonly annotations?: Readonly<Record<string, string>>;
};

/** Shares of 1, while a rollout is watched. */
export type ServiceBounds = {
  /** Of the periods of its CPU limit, those in which it was throttled. */
  readonly cpuThrottledMax?: number;
  /** Of the time, that in which some process of a container waited (PSI, "some"). */
  readonly cpuPressureMax?: number;
  readonly memoryPressureMax?: number;
  readonly ioPressureMax?: number;
  /** Of the memory that the revision before used, what is used beyond it. */
  readonly memoryGrowthMax?: number;
  /** Of the healthchecks and probes, those that fail beyond the share that failed of the revision before. */
  readonly failedChecksMax?: number;
};
