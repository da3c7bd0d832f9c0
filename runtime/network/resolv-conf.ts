import { readFileSync } from "node:fs";

/** Where systemd-resolved keeps the servers behind its stub (systemd-resolved.service(8)). */
const behindStub = "/run/systemd/resolve/resolv.conf";
const hostFile = "/etc/resolv.conf";

/** Public resolvers for a host that names none but its own loopback: Quad9 and Cloudflare. */
export const fallbackServers: readonly string[] = ["9.9.9.9", "1.1.1.1"];

/**
 * The text of a container's /etc/resolv.conf: the host's, without name servers on the host's loopback, which a
 * container cannot reach. Where only such are named, the servers behind systemd-resolved's stub are used, and where
 * there are none of those either, `fallbackServers`.
 */
export function resolvConf(read: (path: string) => string | undefined = readHostFile): string {
  const own = filterResolvConf(read(hostFile) ?? "");
  if (own.hasServers) return own.text;
  const behind = filterResolvConf(read(behindStub) ?? "");
  if (behind.hasServers) return behind.text;
  return `${fallbackServers.map((server) => `nameserver ${server}\n`).join("")}${own.text}`;
}

/** A container's own servers, search list and options over the host's; undefined when it names none of them. */
export function ownResolvConf(
  dns:
    | {
        readonly servers?: readonly string[];
        readonly search?: readonly string[];
        readonly options?: readonly string[];
      }
    | undefined,
  host: () => string = resolvConf,
): string | undefined {
  const { servers = [], search = [], options = [] } = dns ?? {};
  if (servers.length + search.length + options.length === 0) return undefined;
  const inherited = host()
    .split("\n")
    .filter(
      (line) =>
        (servers.length === 0 && line.startsWith("nameserver")) ||
        (search.length === 0 && line.startsWith("search")) ||
        (options.length === 0 && line.startsWith("options")),
    );
  return [
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length === 0 ? [] : [`search ${search.join(" ")}`]),
    ...(options.length === 0 ? [] : [`options ${options.join(" ")}`]),
    ...inherited,
    "",
  ].join("\n");
}

/** Drops comments and loopback servers (resolv.conf(5)); `search` and `options` stay. */
function filterResolvConf(text: string): {
  readonly text: string;
  readonly hasServers: boolean;
} {
  const lines = text
    .split("\n")
    .map((line) => line.replace(/[#;].*$/, "").trim())
    .filter((line) => line !== "" && !isUnreachable(line));
  const hasServers = lines.some((line) => line.startsWith("nameserver"));
  return { text: lines.map((line) => `${line}\n`).join(""), hasServers };
}

/** Containers have no IPv6 beyond their own loopback. */
function isUnreachable(line: string): boolean {
  const server = /^nameserver\s+(\S+)/.exec(line)?.[1];
  return server !== undefined && (server.startsWith("127.") || server.includes(":"));
}

function readHostFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
