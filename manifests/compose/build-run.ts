import type { LogBounds, RestartPolicy, Service, ServiceDeploy } from "../desired-state.ts";
import { agreed } from "./agreed.ts";
import type { Conflict } from "./build-options.ts";
import { present } from "./present.ts";
import type { ServiceModel } from "./service-model.ts";

/** How many containers; `global` means one on every host. */
export function replicasOf(model: ServiceModel, conflict: Conflict): number {
  const wished = agreed(model, "scale", conflict);
  const isGlobal = model.deploy?.mode === "global";
  if (isGlobal && wished !== undefined && wished > 1)
    conflict("deploy", `mode: global is one container on a host, not ${wished}: keep one of them`);
  const replicas = wished ?? 1;
  const most = model.deploy?.placement?.max_replicas_per_node;
  if (most && replicas > most)
    conflict(
      "deploy",
      `${replicas} replicas on one host are more than max_replicas_per_node: ${most}`,
    );
  if (model.container_name !== undefined && replicas > 1)
    conflict("container_name", `${replicas} replicas cannot have one name: remove it`);
  return replicas;
}

/** `restart`, else what `deploy.restart_policy` says in swarm's words. */
export function restartOf(model: ServiceModel, conflict: Conflict): RestartPolicy {
  const policy = model.deploy?.restart_policy;
  if (policy === undefined) return model.restart ?? { condition: "no" };
  const { condition } = model.restart ?? swarmRestart[policy.condition];
  const swarmCondition = (each: string) => (each === "unless-stopped" ? "always" : each);
  if (swarmCondition(condition) !== swarmCondition(swarmRestart[policy.condition].condition))
    conflict("restart", `it contradicts condition: ${policy.condition} of deploy.restart_policy`);
  return {
    condition,
    ...present("attemptsMax", model.restart?.attemptsMax ?? (policy.max_attempts || undefined)),
    ...present("delayMs", policy.delay),
    ...present("windowMs", policy.window || undefined),
  };
}

const swarmRestart = {
  none: { condition: "no" },
  no: { condition: "no" },
  "on-failure": { condition: "on-failure" },
  any: { condition: "always" },
  always: { condition: "always" },
  "unless-stopped": { condition: "unless-stopped" },
} as const;

type RunFields = Pick<Service, "containerName" | "platform" | "pullPolicy" | "log" | "deploy">;

/** Names, image and log of a service; only what is written is there. */
export function runOf(model: ServiceModel): RunFields {
  return {
    ...present("containerName", model.container_name),
    ...present("platform", model.platform || undefined),
    ...present("pullPolicy", model.pull_policy === "missing" ? undefined : model.pull_policy),
    ...present("log", nonEmpty(logOf(model))),
    ...present("deploy", nonEmpty(deployOf(model))),
  };
}

function logOf(model: ServiceModel): LogBounds {
  const options = model.logging?.options;
  return {
    ...present("fileBytesMax", options?.["max-size"]),
    ...present("filesMax", options?.["max-file"]),
  };
}

function deployOf(model: ServiceModel): ServiceDeploy {
  const deploy = model.deploy;
  const labels = [...(deploy?.labels ?? [])].map(([key, value]) => [key, value ?? ""] as const);
  return {
    ...present("labels", labels.length === 0 ? undefined : Object.fromEntries(labels)),
    ...present("update", deploy?.update_config),
    ...present("rollback", deploy?.rollback_config),
    ...present("constraints", deploy?.placement?.constraints),
  };
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value;
}
