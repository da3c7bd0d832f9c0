import type { ActualContainer, ActualState } from "../observe.ts";
import { NotFoundError } from "./not-found-error.ts";

const namesShownMax = 20;

/**
 * The one container that NAME means: its name, `app/service` where only one replica runs, or an id prefix of at
 * least two digits. Throws an error that says what there is.
 */
export function resolveContainer(actual: ActualState, name: string): ActualContainer {
  const found = findContainers(actual, name);
  const [only, ...more] = found;
  if (only !== undefined && more.length === 0) return only;
  if (only !== undefined) {
    throw new Error(
      `cannot tell which container ${name} means because ${found.length} match: ${list(found)}; give one of these names`,
    );
  }
  const all = actual.containers;
  const there = all.length === 0 ? "there are no containers" : `there are ${list(all)}`;
  throw new NotFoundError(`cannot find a container ${name}: ${there}`);
}

/** Every container that NAME could mean. */
export function findContainers(actual: ActualState, name: string): readonly ActualContainer[] {
  const { containers } = actual;
  const exact = containers.filter((container) => container.name === name || container.id === name);
  if (exact.length > 0) return exact;
  const [app, service, ...rest] = name.split("/");
  if (service !== undefined && rest.length === 0) {
    const replicas = containers.filter(
      (container) => container.app === app && container.service === service,
    );
    const running = replicas.filter(({ status }) => status.state === "running");
    return running.length === 1 ? running : replicas;
  }
  if (!/^[0-9a-f]{2,64}$/.test(name)) return [];
  return containers.filter(({ id }) => id.startsWith(name));
}

function list(containers: readonly ActualContainer[]): string {
  const names = containers.map(({ name }) => name).sort();
  const shown = names.slice(0, namesShownMax).join(", ");
  return names.length > namesShownMax ? `${shown} and ${names.length - namesShownMax} more` : shown;
}
