export type NetworkSpec = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly internal: boolean;
  readonly ipam?: NetworkIpam;
};

/** What a network's addresses shall be; IPv4. */
export type NetworkIpam = {
  /** `172.28.0.0/16`; undefined: a free /24 of the instance's pool. */
  readonly subnet?: string;
  /** The bridge's own address; undefined: the first of the subnet. */
  readonly gateway?: string;
  /** Containers that ask for no address get one from this part of the subnet. */
  readonly range?: string;
  /** Only whoever asks for one of these gets it. */
  readonly reserved?: readonly string[];
};

export type NetworkStatus = NetworkSpec & {
  readonly bridge: string;
  readonly subnet: string;
  readonly gateway: string;
};
