import { isObject, type Json } from "./kinds.ts";

/** Keys of the networks, volumes, secrets and configs that printed services use. */
export function usedResources(
  services: Readonly<Record<string, Json>>,
): Readonly<Record<string, ReadonlySet<string>>> {
  const used = {
    configs: new Set<string>(),
    networks: new Set<string>(),
    secrets: new Set<string>(),
    volumes: new Set<string>(),
  };
  for (const service of Object.values(services)) {
    if (!isObject(service)) continue;
    for (const key of isObject(service.networks) ? Object.keys(service.networks) : [])
      used.networks.add(key);
    const build = isObject(service.build) ? service.build : {};
    addSources(service.volumes, used.volumes, (mount) => mount.type === "volume");
    addSources(service.secrets, used.secrets);
    addSources(build.secrets, used.secrets);
    addSources(service.configs, used.configs);
  }
  return used;
}

function addSources(
  list: Json | undefined,
  into: Set<string>,
  counts: (mount: { readonly [key: string]: Json }) => boolean = () => true,
): void {
  for (const mount of Array.isArray(list) ? list : []) {
    if (isObject(mount) && typeof mount.source === "string" && counts(mount))
      into.add(mount.source);
  }
}
