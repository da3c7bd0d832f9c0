import { readFile } from "node:fs/promises";
import type { SecureContext } from "node:tls";
import { ImageError } from "../images/image-error.ts";

/** How one host is spoken to: a registry, a mirror, a token service or a storage that registries redirect to. */
export type RegistryHostSettings = {
  /** Asked before the registry itself, in this order: `host[:port]` or `host[:port]/prefix`, the prefix of their repositories. */
  readonly mirrors?: readonly string[] | undefined;
  /** PEM file with the authorities that vouch for this host, instead of the public ones. */
  readonly caFile?: string | undefined;
  /** PEM files of the certificate (with its chain) and key that this host asks clients for. */
  readonly clientCertificate?: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** Plain HTTP may be spoken where HTTPS is not. */
  readonly plainHttp?: boolean | undefined;
  /** HTTPS with whatever certificate: whoever is in between can read credentials. */
  readonly skipTlsVerify?: boolean | undefined;
};

export type ProxySettings = {
  /** For `http://` and `https://` registries: `http://[user:password@]host:port`. */
  readonly http?: string;
  readonly https?: string;
  /** As in NO_PROXY: names, `.suffixes`, addresses, networks, each with an optional port; `*` for everything. */
  readonly noProxy: readonly string[];
};

export type RegistrySettings = {
  /** By `host` or `host:port`, as references name it. */
  readonly hosts: Readonly<Record<string, RegistryHostSettings>>;
  readonly proxy: ProxySettings;
};

export const noRegistrySettings: RegistrySettings = { hosts: {}, proxy: { noProxy: [] } };

/** What is set for a host; nothing is set for most. URLs leave the port of HTTPS out. */
export function hostSettings({ hosts }: RegistrySettings, host: string): RegistryHostSettings {
  const name = [host, `${host}:443`].find((key) => Object.hasOwn(hosts, key));
  return name === undefined ? {} : (hosts[name] ?? {});
}

const PEM_BYTES_MAX = 1024 * 1024;

/** The TLS context of a host with certificates of its own; undefined for one without. Reads the files. */
export async function readTlsContext(
  host: string,
  { caFile, clientCertificate }: RegistryHostSettings,
): Promise<SecureContext | undefined> {
  if (caFile === undefined && clientCertificate === undefined) return undefined;
  const [ca, cert, key] = await Promise.all([
    readPem(host, caFile),
    readPem(host, clientCertificate?.certFile),
    readPem(host, clientCertificate?.keyFile),
  ]);
  try {
    // Loaded here: most hosts name no certificates, and TLS takes memory.
    return process.getBuiltinModule("node:tls").createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
  } catch (error) {
    throw unusable(host, [caFile, clientCertificate?.certFile].filter(Boolean).join(", "), error);
  }
}

async function readPem(host: string, path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    const bytes = await readFile(path);
    if (bytes.length > PEM_BYTES_MAX) throw new Error("it is larger than 1 MiB");
    if (!bytes.includes("-----BEGIN ")) throw new Error("it holds no PEM");
    return bytes;
  } catch (error) {
    throw unusable(host, path, error);
  }
}

function unusable(host: string, path: string, cause: unknown): ImageError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ImageError({
    because: `the certificates for registry ${host} in ${path} cannot be used (${why})`,
    fix: "correct the files, or what `registries` in the agent's config file says of them",
    kind: "stalled",
    cause,
  });
}
