/** Names under which one address is found. */
export type HostNames = { readonly address: string; readonly names: readonly string[] };

/**
 * The text of a container's /etc/hosts (hosts(5)): loopback, its own names, then the lines of its peers in order. A
 * name that several replicas share stands on the line of each, so that resolvers return all of their addresses.
 */
export function hostsFile(options: {
  readonly hostname: string;
  readonly own: readonly HostNames[];
  /** Each made by `hostsLine`: hundreds of containers share them. */
  readonly peers: readonly string[];
}): string {
  const own = options.own.map(({ address, names }) =>
    hostsLine(address, [options.hostname, ...names]),
  );
  return `${[...loopback, ...own, ...options.peers].filter((text) => text !== "").join("\n")}\n`;
}

const loopback = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::0\tip6-localnet",
  "ff00::0\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

/** One line, empty without a name. What is not a name is left out: a space or a newline would make other names of it. */
export function hostsLine(address: string, names: readonly string[]): string {
  const usable = [...new Set(names)].filter((name) => /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name));
  return usable.length === 0 ? "" : `${address}\t${usable.join(" ")}`;
}
