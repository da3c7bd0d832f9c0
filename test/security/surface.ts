import { statSync } from "node:fs";

/** What `probe-surface` and `probe-kernel` printed: name -> value. */
export type Surface = ReadonlyMap<string, string>;

export function readSurface(text: string): Surface {
  const lines = text.split("\n").filter((line) => line.includes(" "));
  return new Map(
    lines.map((line) => {
      const at = line.indexOf(" ");
      return [line.slice(0, at), line.slice(at + 1).trim()];
    }),
  );
}

/** Values of the lines that begin with `prefix`, which is cut off the names. */
export function section(surface: Surface, prefix: string): Surface {
  return new Map(
    [...surface]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}

/** Every line in which `own` can do or see more than `peer`, as `name: own value, peer has value`. */
export function weakerLines(own: Surface, peer: Surface): readonly string[] {
  const weaker: string[] = [];
  const peerNodes = new Set(section(peer, "node.").values());
  for (const [name, value] of own) {
    const other = peer.get(name);
    const isWeaker = name.startsWith("node.")
      ? !peerNodes.has(value)
      : compareLine(name, value, other);
    if (isWeaker) weaker.push(`${name}: ${value}, the peer has ${other ?? "nothing"}`);
  }
  return weaker;
}

/** Whether an answer is that of a filter, of a missing right or of something that does not exist here. */
function isRefused(value: string): boolean {
  return refusals.has(value) || value.startsWith("signal-") || value.startsWith("signal ");
}

const refusals = new Set(["EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT", "EPROTONOSUPPORT"]);

function compareLine(name: string, own: string, peer: string | undefined): boolean {
  const [kind = ""] = name.split(".");
  if (kind === "writable") return peer === undefined;
  if (kind === "mount") return peer === undefined ? !own.includes("nosuid") : hasMore(own, peer);
  if (peer === undefined) return true;
  if (kind === "sees") return own === "visible" && peer === "hidden";
  if (kind === "status") return isWeakerStatus(name, own, peer);
  if (kind === "namespace") return isOfHost(name, own) && !isOfHost(name, peer);
  if (kind === "call") return !isRefused(own) && isRefused(peer);
  const order = orders[name];
  if (order !== undefined) return order(own) > order(peer);
  return own === "ok" && peer !== "ok";
}

/** More is weaker. */
const orders: Readonly<Record<string, (value: string) => number>> = {
  "ids.root": (value) => (value === "0" ? 1 : 0),
  "ids.count": Number,
  "limit.core": (value) => (value === "on" ? 1 : 0),
  "cgroup.path": (value) => (value === "host" ? 1 : 0),
};

/** A mount point of both: the restrictions of the peer that `own` lacks. `type:rw,nosuid`. */
function hasMore(own: string, peer: string): boolean {
  const restrictions = (value: string) => new Set((value.split(":")[1] ?? "").split(","));
  const missing = restrictions(peer).difference(restrictions(own));
  missing.delete("rw");
  return missing.size > 0;
}

function isWeakerStatus(name: string, own: string, peer: string): boolean {
  if (name.startsWith("status.Cap")) {
    return (BigInt(`0x${own}`) & ~BigInt(`0x${peer}`)) !== 0n;
  }
  if (name === "status.Groups") return own !== "-" && own !== peer;
  return Number(own) < Number(peer);
}

function isOfHost(name: string, inode: string): boolean {
  const host = statSync(`/proc/self/ns/${name.slice("namespace.".length)}`).ino;
  return inode === String(host);
}
