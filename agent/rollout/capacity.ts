import type { App, Service } from "../../manifests/desired-state.ts";

export type CapacityHost = {
  /** Bytes of memory that the host has. */
  readonly memoryBytes: () => number;
  /** What is free, for others than root, where containers write. */
  readonly disk: () => Promise<{ readonly bytesFree: number; readonly filesFree: number }>;
};

/** Containers that cannot write a line of log do not start: what is left below it is for those that run. */
const bytesFreeMin = 16 * 1_048_576;
const filesFreeMin = 1_000;

/**
 * What this host has too little of for an app, found before anything changes: memory for all that the revision reserves
 * (`mem_reservation`), and room on the disk. Limits may promise more than there is, as they do for Docker.
 */
export async function capacityProblems(
  app: App,
  revision: readonly App[],
  host: CapacityHost,
): Promise<string[]> {
  const problems: string[] = [];
  const total = host.memoryBytes();
  const own = reservedBytes(app);
  const all = revision.reduce((sum, other) => sum + reservedBytes(other), 0);
  if (own > 0 && all > total) {
    problems.push(
      `cannot keep ${mebibytes(own)} of memory for ${app.name} because all apps reserve ${mebibytes(all)} ` +
        `and this host has ${mebibytes(total)}: lower a mem_reservation, or run an app elsewhere`,
    );
  }
  const { bytesFree, filesFree } = await host.disk();
  if (bytesFree < bytesFreeMin || filesFree < filesFreeMin) {
    problems.push(
      `cannot change ${app.name} because the disk has ${mebibytes(bytesFree)} and ${filesFree} files left: ` +
        `free some first, ${mebibytes(bytesFreeMin)} and ${filesFreeMin} files are needed`,
    );
  }
  return problems;
}

function reservedBytes({ services }: App): number {
  const of = ({ resources, replicas }: Service) =>
    (resources.memoryReservationBytes ?? 0) * replicas;
  return services.reduce((sum, service) => sum + of(service), 0);
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MiB`;
}
