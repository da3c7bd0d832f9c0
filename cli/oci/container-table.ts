import { execFileSync } from "node:child_process";
import type { ContainerView } from "../../runtime/oci/observe.ts";
import { formatTable } from "./columns.ts";

/** One line for each container, under a heading. */
export function containerTable(containers: readonly ContainerView[]): string {
  return formatTable([
    ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"],
    ...containers.map((one) => [
      one.id,
      `${one.pid ?? 0}`,
      one.status,
      one.bundle,
      one.created,
      one.owner,
    ]),
  ]);
}

/** What ps(1) says of these processes; `options` are its own, `-ef` where there are none. */
export function processTable(pids: readonly number[], options: readonly string[]): string {
  const words = options.length === 0 ? ["-ef"] : [...options];
  const [heading = "", ...lines] = execFileSync("ps", words, { encoding: "utf8" }).split("\n");
  const column = heading.trim().split(/\s+/).indexOf("PID");
  if (column < 0) throw new Error("cannot tell the processes apart: ps shows no column PID");
  const wanted = new Set(pids.map(String));
  const own = lines.filter((line) => wanted.has(line.trim().split(/\s+/)[column] ?? ""));
  return `${[heading, ...own].join("\n")}\n`;
}
