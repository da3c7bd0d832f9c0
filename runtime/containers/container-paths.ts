import { join } from "node:path";

/** Where the parts of a container lie. UNIX socket paths end at 107 bytes, so the run side uses a short id. */
export type ContainerPaths = {
  readonly dir: string;
  readonly specFile: string;
  readonly upper: string;
  readonly work: string;
  /** hosts, resolv.conf and hostname, mounted over the image's. */
  readonly etc: string;
  readonly log: string;
  readonly runDir: string;
  readonly socket: string;
  readonly exitFile: string;
};

export function containerPaths(
  root: { readonly libDir: string; readonly runDir: string },
  id: string,
): ContainerPaths {
  const dir = join(root.libDir, "containers", id);
  const runDir = join(root.runDir, "containers", id.slice(0, 16));
  return {
    dir,
    specFile: join(dir, "spec.json"),
    upper: join(dir, "rootfs", "upper"),
    work: join(dir, "rootfs", "work"),
    etc: join(dir, "etc"),
    log: join(dir, "container.log"),
    runDir,
    socket: join(runDir, "ctl.sock"),
    exitFile: join(runDir, "exit.json"),
  };
}
