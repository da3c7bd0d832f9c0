import { isIPv4 } from "node:net";

/** A range of addresses: `base` is the first one as a number. */
export type Subnet = { readonly base: number; readonly prefixLength: number };

export function parseAddress(text: string): number {
  if (!isIPv4(text)) throw new TypeError(`cannot read ${JSON.stringify(text)} as an IPv4 address`);
  return text.split(".").reduce((number, part) => number * 256 + Number(part), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

/** Reads `10.210.0.0/16`; bits beyond the prefix must be zero. */
export function parseSubnet(text: string): Subnet {
  const match = /^([0-9.]+)\/([0-9]{1,2})$/.exec(text);
  const base = parseAddress(match?.[1] ?? text);
  const prefixLength = Number(match?.[2] ?? Number.NaN);
  if (!(prefixLength >= 0 && prefixLength <= 32)) {
    throw new RangeError(
      `cannot read ${JSON.stringify(text)} as a subnet: a prefix of 0 to 32 is expected`,
    );
  }
  if (base % subnetSize(prefixLength) !== 0) {
    throw new RangeError(
      `cannot read ${JSON.stringify(text)} as a subnet: bits are set beyond its prefix`,
    );
  }
  return { base, prefixLength };
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.base)}/${subnet.prefixLength}`;
}

/** The subnet of this prefix that an address lies in. */
export function subnetOf(address: number, prefixLength: number): Subnet {
  return { base: address - (address % subnetSize(prefixLength)), prefixLength };
}

export function lastAddress(subnet: Subnet): number {
  return subnet.base + subnetSize(subnet.prefixLength) - 1;
}

export function overlaps(one: Subnet, other: Subnet): boolean {
  return one.base <= lastAddress(other) && other.base <= lastAddress(one);
}

export function subnetSize(prefixLength: number): number {
  return 2 ** (32 - prefixLength);
}

/** Network byte order. */
export function addressBytes(address: string): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(parseAddress(address));
  return bytes;
}

/** A locally administered MAC address that follows from the IPv4 one, so that neighbour caches never go stale. */
export function macOfAddress(address: string): string {
  return `02:be:${addressBytes(address)
    .toString("hex")
    .replace(/..(?!$)/g, "$&:")}`;
}

export function macBytes(mac: string): Buffer {
  const bytes = Buffer.from(mac.replaceAll(":", ""), "hex");
  if (bytes.length !== 6)
    throw new TypeError(`cannot read ${JSON.stringify(mac)} as a MAC address`);
  return bytes;
}
