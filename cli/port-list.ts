import type { PsEntry } from "../agent/control/control.ts";

type Port = PsEntry["ports"][number];
type Span = { readonly first: Port; last: Port };

/** Published ports as `docker ps` writes them: neighbours are one range, `0.0.0.0:9000-9002->9000-9002/tcp`. */
export function describePorts(ports: readonly Port[]): string {
  const spans: Span[] = [];
  for (const port of ports) {
    const span = spans.at(-1);
    if (span !== undefined && isNext(span.last, port)) span.last = port;
    else spans.push({ first: port, last: port });
  }
  return spans.map(describeSpan).join(", ");
}

function isNext(before: Port, port: Port): boolean {
  return (
    before.hostIp === port.hostIp &&
    before.protocol === port.protocol &&
    before.hostPort + 1 === port.hostPort &&
    before.containerPort + 1 === port.containerPort
  );
}

function describeSpan({ first, last }: Span): string {
  const host = first.hostIp.includes(":") ? `[${first.hostIp}]` : first.hostIp;
  const hostPorts = describeRange(first.hostPort, last.hostPort);
  const containerPorts = describeRange(first.containerPort, last.containerPort);
  return `${host}:${hostPorts}->${containerPorts}/${first.protocol}`;
}

function describeRange(first: number, last: number): string {
  return first === last ? `${first}` : `${first}-${last}`;
}
