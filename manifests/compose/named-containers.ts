import type { Report } from "../diagnostics.ts";
import { formatPath, locate, type MappingNode } from "../yaml/node.ts";
import type { ServiceModel } from "./service-model.ts";

type Services = ReadonlyMap<string, ServiceModel | undefined>;

/**
 * `network_mode: container:NAME` is the network of the service that gives its container that name. A container that is
 * none of the app's is reported.
 */
export function resolveContainers(services: Services, root: MappingNode, report: Report): Services {
  const owners = new Map(
    [...services].flatMap(([name, model]) =>
      model?.container_name === undefined ? [] : [[model.container_name, name] as const],
    ),
  );
  const resolve = ([name, model]: readonly [string, ServiceModel | undefined]) => {
    const container = /^container:(.+)$/.exec(model?.network_mode ?? "")?.[1];
    if (model === undefined || container === undefined) return [name, model] as const;
    const owner = owners.get(container);
    const { network_mode: _, ...rest } = model;
    if (owner !== undefined) return [name, { ...rest, network_mode: `service:${owner}` }] as const;
    const path = ["services", name, "network_mode"];
    report.error(
      locate(root, path),
      `not supported by berth: ${formatPath(path)}: the container ${container} is none of this app's: put its service here and write service:NAME`,
    );
    return [name, rest] as const;
  };
  return new Map([...services].map(resolve));
}
