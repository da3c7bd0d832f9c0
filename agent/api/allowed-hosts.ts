import { isIP } from "node:net";

/**
 * Tells whether a request may name this host (RFC 9110 section 7.2; 421 is the answer otherwise). A page on the web
 * can point its own name at a loopback or private address and so have a browser read what is served there (DNS
 * rebinding); the Host header still carries the page's name. Addresses cannot be pointed elsewhere, and `localhost`
 * is nobody's. A request without the header (HTTP/1.0) comes from no browser.
 */
export function createHostCheck(names: readonly string[]): (header: string | undefined) => boolean {
  const allowed = new Set(["localhost", ...names.map(bareName)]);
  allowed.delete("");
  return (header) => {
    if (header === undefined) return true;
    const literal = /^\[([0-9a-f:.]+)\](?::\d*)?$/i.exec(header)?.[1];
    if (literal !== undefined) return isIP(literal) === 6;
    const name = bareName(header.replace(/:\d*$/, ""));
    return isIP(name) === 4 || allowed.has(name) || name.endsWith(".localhost");
  };
}

function bareName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
