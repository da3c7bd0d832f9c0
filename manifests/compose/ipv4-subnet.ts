import { isIPv4 } from "node:net";

export type Subnet = { readonly base: number; readonly prefixLength: number };

/** `172.28.0.0/16`; undefined for what is not an IPv4 subnet with room for a gateway and a container. */
export function parseSubnet(text: string): Subnet | undefined {
  const [address = "", prefix = "", ...rest] = text.split("/");
  const prefixLength = /^[0-9]{1,2}$/.test(prefix) ? Number(prefix) : -1;
  if (rest.length > 0 || !isIPv4(address) || prefixLength < 8 || prefixLength > 30)
    return undefined;
  const number = addressNumber(address);
  return { base: number - (number % 2 ** (32 - prefixLength)), prefixLength };
}

/** True when the address lies in the subnet, both as text; false when one of them is none. */
export function containsAddress(subnet: string, address: string): boolean {
  const parsed = parseSubnet(subnet);
  if (parsed === undefined || !isIPv4(address)) return false;
  const distance = addressNumber(address) - parsed.base;
  return distance >= 0 && distance < 2 ** (32 - parsed.prefixLength);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

function addressNumber(address: string): number {
  return address.split(".").reduce((number, part) => number * 256 + Number(part), 0);
}
