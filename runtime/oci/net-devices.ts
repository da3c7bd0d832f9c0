import { helperPath } from "../helper/helper-path.ts";
import { Launcher, type ProcessIdentity } from "../helper/launcher.ts";
import { isAlive } from "../helper/process-identity.ts";
import { findLentLinks, type LentLink } from "../network/lent-links.ts";
import { returnLinks } from "../program/lend-links.ts";
import type { OciConfig } from "./oci-config.ts";
import { planNamespaces } from "./oci-namespaces.ts";

/**
 * `linux.netDevices`: which links of the host go into the container, under which names. Changes nothing; throws naming
 * the one that cannot.
 */
export async function planNetDevices(config: OciConfig): Promise<readonly LentLink[]> {
  const wanted = Object.entries(config.linux.netDevices ?? {}).map(([hostName, device]) => ({
    hostName,
    name: device?.name == null || device.name === "" ? hostName : device.name,
  }));
  if (wanted.length === 0) return [];
  if (planNamespaces(config).network.kind === "host") {
    throw new Error(
      "cannot use linux.netDevices because the network namespace is the host's: linux.namespaces with a network namespace is expected",
    );
  }
  const names = new Set<string>();
  for (const { hostName, name } of wanted) {
    refuseName(hostName, hostName, /^[^\s/:%]{1,15}$/);
    refuseName(hostName, name, /^[^\s/:%]*(%d)?[^\s/:%]*$/);
    if (!name.includes("%d") && names.has(name)) {
      throw new Error(
        `cannot use linux.netDevices ${hostName} because another device is named ${name}, too: names of their own are expected`,
      );
    }
    names.add(name);
  }
  const links = await findOnHost(wanted);
  return wanted.map(({ hostName }, at) => {
    const link = links[at];
    if (link !== undefined) return link;
    throw new Error(
      `cannot use linux.netDevices ${hostName} because the host has no network device of that name`,
    );
  });
}

/**
 * Brings links back from a container that runs and is given up: with its end the kernel would remove virtual ones.
 * `warn` is told of each that cannot come. Routes that an operator has added are lost.
 */
export async function returnNetDevices(
  links: readonly LentLink[],
  process: ProcessIdentity,
  warn: (text: string) => void,
): Promise<void> {
  if (links.length === 0 || !isAlive(process)) return;
  const launcher = new Launcher({ helperPath, log: silent });
  try {
    for (const program of returnLinks(links, process.pid)) {
      await launcher.run(program).catch((error: unknown) => {
        warn(error instanceof Error ? error.message : String(error));
      });
    }
  } finally {
    await launcher.close();
  }
}

/** As the kernel's dev_valid_name. */
function refuseName(hostName: string, name: string, grammar: RegExp): void {
  const isName = grammar.test(name) && Buffer.byteLength(name) <= 15;
  if (isName && name !== "" && name !== "." && name !== ".." && name !== "lo") return;
  throw new Error(
    `cannot use linux.netDevices ${hostName} because ${name === "" ? "its name is empty" : `no device can be named ${name}`}: up to 15 bytes without spaces, slashes and colons are expected`,
  );
}

async function findOnHost(
  wanted: readonly { readonly hostName: string; readonly name: string }[],
): Promise<readonly (LentLink | undefined)[]> {
  const launcher = new Launcher({ helperPath, log: silent });
  try {
    return await findLentLinks((request) => launcher.netlink(request), wanted);
  } finally {
    await launcher.close();
  }
}

/** What fails is thrown. */
const silent = { debug() {}, info() {}, warn() {}, error() {} };
