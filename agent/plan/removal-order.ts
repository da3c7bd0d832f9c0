import type { ContainerChange } from "./container-change.ts";

/** Pure. Whoever depends on a service that goes is stopped before it: keys of the steps, and of those that they need. */
export function removalOrder(
  changes: readonly ContainerChange[],
): { readonly key: string; readonly needed: string }[] {
  const going = changes.flatMap((change) => (change.kind === "remove" ? [change.actual] : []));
  return going.flatMap(({ app, service, name }) =>
    going
      .filter((other) => other.app === app && other.dependsOn.includes(service))
      .map((other) => ({ key: `stop-container ${name}`, needed: `stop-container ${other.name}` })),
  );
}
