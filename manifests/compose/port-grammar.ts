type PortRange = { readonly first: number; readonly last: number };
export type PortRequest = {
  readonly hostIp: string;
  readonly published: string;
  readonly target: string;
  readonly protocol: string;
};

/** `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, an IPv6 address in brackets. */
export function parsePort(text: string): PortRequest | undefined {
  const parts =
    /^(?:(?:(?<ip>\[[^\]]*\]|[^:[\]]*):)?(?<published>[^:]*):)?(?<target>[^:/]+)(?:\/(?<protocol>[^/]*))?$/.exec(
      text,
    )?.groups;
  if (parts === undefined) return undefined;
  return {
    hostIp: (parts.ip ?? "").replace(/^\[(.*)\]$/, "$1"),
    published: parts.published ?? "",
    target: parts.target ?? "",
    protocol: parts.protocol ?? "tcp",
  };
}

/** `8080` or `8000-8010`; undefined for what is no range of ports. */
export function parseRange(text: string): PortRange | undefined {
  const parts = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text);
  if (parts === null) return undefined;
  const first = Number(parts[1]);
  const last = Number(parts[2] ?? parts[1]);
  return first >= 1 && last <= 65_535 && first <= last ? { first, last } : undefined;
}
