import { type CgroupHost, controllerDir } from "./cgroup-host.ts";

/** One file of a cgroup and what is written to it. */
export type CgroupWrite = {
  readonly path: string;
  readonly value: string;
  /** The kernel may lack the file (swap accounting off) without the limit being lost. */
  readonly optional: boolean;
  /** Field of the container's resources, for messages. */
  readonly field: string;
  /** The file does not read back what was written to it. */
  readonly writeOnly?: boolean;
};

export function write(
  directory: string,
  file: string,
  value: string | number,
  field: string,
): CgroupWrite {
  return { path: `${directory}/${file}`, value: `${value}`, optional: false, field };
}

/** The cgroup's directory in the hierarchy that has the controller. Throws where the host has none. */
export function required(host: CgroupHost, controller: string, path: string): string {
  const directory = controllerDir(host, controller, path);
  if (directory === undefined) {
    throw new Error(
      `cannot limit ${controller} because this host has no ${controller} controller: enable it in the kernel (cgroup_enable=${controller}), or remove the limit`,
    );
  }
  return directory;
}
