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
  const dir = `${root.libDir}/containers/${id}`;
  const runDir = `${root.runDir}/containers/${id.slice(0, 16)}`;
  return {
    dir,
    specFile: `${dir}/spec.json`,
    upper: `${dir}/rootfs/upper`,
    work: `${dir}/rootfs/work`,
    etc: `${dir}/etc`,
    log: `${dir}/container.log`,
    runDir,
    socket: `${runDir}/ctl.sock`,
    exitFile: `${runDir}/exit.json`,
  };
}
