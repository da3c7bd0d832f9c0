import type { FileChange } from "../../runtime/runtime.ts";

export type VolumeReport = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly path: string;
  readonly createdAt: string;
  /** Names of the containers that mount it. */
  readonly usedBy: readonly string[];
};

export type NetworkReport = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly bridge: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly internal: boolean;
  /** Address of each container, by its name. */
  readonly containers: Readonly<Record<string, string>>;
};

/** Files, volumes and networks of containers: part of `Control`. */
export type ResourceControl = {
  /** What a container, running or not, has changed of its image. */
  diff(name: string): Promise<readonly FileChange[]>;
  volumes(): Promise<readonly VolumeReport[]>;
  /** With its data. Throws while a container mounts it, and for a name that is none. */
  removeVolume(name: string): Promise<void>;
  networks(): Promise<readonly NetworkReport[]>;
};
