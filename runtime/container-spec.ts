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
    }
  | {
      readonly type: "bind";
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      /** Make a missing source directory (Compose short form); otherwise a missing source is an error. */
      readonly createHostPath: boolean;
    }
  | {
      readonly type: "tmpfs";
      readonly target: string;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly readOnly: boolean;
    };

export type Resources = {
  readonly memoryBytesMax?: number;
  readonly memoryReservationBytes?: number;
  /** CPUs' worth of time, for example 0.5. */
  readonly cpus?: number;
  readonly pidsMax?: number;
};

/** A network the container joins; the first one is where its default route goes. */
export type NetworkAttachment = {
  readonly network: string;
  /** Further names under which others on this network find the container. */
  readonly aliases: readonly string[];
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
