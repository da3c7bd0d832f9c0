import type { ActualContainer } from "./observe.ts";

export type IndexedContainer = {
  readonly id: string;
  readonly name: string;
  readonly app: string;
  readonly service: string;
  readonly specDigest: string;
  readonly startedAtMs: number | undefined;
};

/** Which container an id belongs to, for exits and probes that must not wait for an observation. */
export type ContainerIndex = {
  find(id: string): IndexedContainer | undefined;
  /** Replaces everything by what was observed. */
  refresh(containers: readonly ActualContainer[]): void;
  put(container: IndexedContainer): void;
  started(id: string, startedAtMs: number): void;
  remove(id: string): void;
};

export function createContainerIndex(): ContainerIndex {
  const byId = new Map<string, IndexedContainer>();
  return {
    find: (id) => byId.get(id),
    refresh(containers) {
      const seen = new Set<string>();
      for (const { id, name, app, service, specDigest, status } of containers) {
        seen.add(id);
        byId.set(id, { id, name, app, service, specDigest, startedAtMs: status.startedAtMs });
      }
      for (const id of byId.keys()) if (!seen.has(id)) byId.delete(id);
    },
    put: (container) => void byId.set(container.id, container),
    started(id, startedAtMs) {
      const known = byId.get(id);
      if (known !== undefined) byId.set(id, { ...known, startedAtMs });
    },
    remove: (id) => void byId.delete(id),
  };
}
