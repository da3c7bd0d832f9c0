import { BlockList, isIP } from "node:net";
import { ImageError } from "../images/image-error.ts";
import type { ProxySettings } from "./registry-settings.ts";

/**
 * The proxy settings of an environment: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or their lower-case forms. They hold for
 * others too, who may know more kinds of proxies: what cannot be used here is told when it would be.
 */
export function readProxyEnvironment(environment: NodeJS.ProcessEnv): ProxySettings {
  const read = (name: string): string | undefined =>
    environment[name] || environment[name.toLowerCase()] || undefined;
  const http = read("HTTP_PROXY");
  const https = read("HTTPS_PROXY");
  return {
    ...(http === undefined ? {} : { http }),
    ...(https === undefined ? {} : { https }),
    noProxy: splitNoProxy(read("NO_PROXY") ?? ""),
  };
}

/** `host:port` is `http://host:port`. Undefined for what is no address of an HTTP proxy. */
export function normalProxy(text: string): string | undefined {
  const withScheme = text.includes("://") ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  const isUsable = url !== undefined && /^https?:$/.test(url.protocol) && isDecodable(url);
  return isUsable ? withScheme : undefined;
}

function isDecodable({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

export function splitNoProxy(text: string): readonly string[] {
  return text
    .split(/[\s,]+/)
    .map((entry) => entry.toLowerCase())
    .filter((entry) => entry !== "");
}

/**
 * The proxy for a URL, undefined to go there directly. Loopback is never asked through a proxy. The rules are those of
 * Go's httpproxy, which Docker, containerd and podman follow: a name stands for itself and all below it, a leading dot
 * for what is below only. Throws when the proxy that is set cannot be used.
 */
export function chooseProxy(url: URL, settings: ProxySettings): string | undefined {
  const proxy = url.protocol === "https:" ? settings.https : settings.http;
  if (proxy === undefined) return undefined;
  const host = url.hostname
    .replace(/^\[|\]$/g, "")
    .toLowerCase()
    .replace(/\.$/, "");
  if (host === "localhost" || isInNetwork(host, loopback)) return undefined;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  if (settings.noProxy.some((entry) => isExempt(entry, host, port))) return undefined;
  const usable = normalProxy(proxy);
  if (usable !== undefined) return usable;
  // A password in it is not repeated.
  throw new ImageError({
    because: `the proxy for ${url.protocol}// is not the address of an HTTP proxy`,
    fix: "set `proxy` in the agent's config file, or HTTP_PROXY and HTTPS_PROXY, to http://[user:password@]host:port",
    kind: "stalled",
  });
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

function isExempt(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const network = parseNetwork(entry);
  if (network !== undefined) return isInNetwork(host, network);
  const found = /^(?:\[([0-9a-f:.]+)\]|([^:]*))(?::(\d+))?$/.exec(entry);
  // An IPv6 address may stand without brackets when it has no port.
  const name = found?.[1] ?? found?.[2] ?? entry;
  if (found?.[3] !== undefined && found[3] !== port) return false;
  if (isIP(name) !== 0) return isSameAddress(name, host);
  const suffix = name.replace(/^\*(?=\.)/, "");
  if (suffix === "") return false;
  return suffix.startsWith(".")
    ? host.endsWith(suffix)
    : host === suffix || host.endsWith(`.${suffix}`);
}

function parseNetwork(entry: string): BlockList | undefined {
  const [address = "", prefix, ...more] = entry.split("/");
  const version = isIP(address);
  if (prefix === undefined || more.length > 0 || version === 0) return undefined;
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > (version === 4 ? 32 : 128)) return undefined;
  const network = new BlockList();
  network.addSubnet(address, Number(prefix), familyOf(version));
  return network;
}

function isSameAddress(one: string, other: string): boolean {
  const list = new BlockList();
  list.addAddress(one, familyOf(isIP(one)));
  return isInNetwork(other, list);
}

/** Names are not resolved: only a host that is written as an address is in a network. */
function isInNetwork(host: string, network: BlockList): boolean {
  const version = isIP(host);
  return version !== 0 && network.check(host, familyOf(version));
}

function familyOf(version: number): "ipv4" | "ipv6" {
  return version === 6 ? "ipv6" : "ipv4";
}
