/** The networks of a container that is run by hand. */
import { type ComposeValues, compact } from "../manifests/convert/conversion.ts";
import { CliError } from "./cli-error.ts";

type NetworkOptions = {
  readonly network?: readonly string[];
  readonly networkAlias?: readonly string[];
  readonly ip?: string;
};

/**
 * What `--network`, `--network-alias` and `--ip` say, as keys of the service and of the file. The first network is `default`,
 * the one that aliases and address are of. Throws a usage error where a mode of the host's or another's network stands
 * beside a network.
 */
export function runNetworks(given: NetworkOptions): {
  readonly service: ComposeValues;
  readonly file: ComposeValues;
} {
  const names = [...new Set(given.network ?? [])];
  const own = compact({ aliases: given.networkAlias, ipv4_address: given.ip });
  const mode = names.find(isMode);
  if (mode !== undefined && names.length > 1) {
    throw new CliError(
      2,
      `cannot join ${names.filter((name) => name !== mode).join(" and ")} with --network ${mode}, which is no network of its own: keep one of them`,
    );
  }
  const [first, ...further] = names;
  if (first === undefined || mode !== undefined) {
    const networks = Object.keys(own).length === 0 ? undefined : { default: own };
    return { service: compact({ network_mode: mode, networks }), file: {} };
  }
  const joined = { default: own, ...Object.fromEntries(further.map((name) => [name, {}])) };
  const external = (name: string) => ({ name, external: true });
  const described = further.map((name) => [name, external(name)] as const);
  return {
    service: { networks: joined },
    file: { networks: { default: external(first), ...Object.fromEntries(described) } },
  };
}

function isMode(network: string): boolean {
  return ["host", "none"].includes(network) || /^container:|^service:/.test(network);
}
