import type { Path } from "../yaml/node.ts";
import { patternTable } from "./path-pattern.ts";

/**
 * How a key is merged that is not merged by its kind alone: `replace` always; `texts` where a key without a value
 * counts; `limit` only mapping over mapping; `logging` only with the same driver; `pools` element by element.
 */
export type MergeRule = "replace" | "texts" | "limit" | "logging" | "pools";

/** The rule for the value at a path; undefined where its kind decides. */
export const mergeRule: (path: Path) => MergeRule | undefined = patternTable<MergeRule>([
  ["services.*.command", "replace"],
  ["services.*.entrypoint", "replace"],
  ["services.*.healthcheck.test", "replace"],
  ["services.*.annotations.*", "texts"],
  ["services.*.build.additional_contexts.*", "texts"],
  ["services.*.build.args.*", "texts"],
  ["services.*.build.labels.*", "texts"],
  ["services.*.deploy.labels.*", "texts"],
  ["services.*.environment.*", "texts"],
  ["services.*.labels.*", "texts"],
  ["services.*.sysctls.*", "texts"],
  ["configs.*.labels.*", "texts"],
  ["networks.*.labels.*", "texts"],
  ["secrets.*.labels.*", "texts"],
  ["volumes.*.labels.*", "texts"],
  ["services.*.logging", "logging"],
  ["services.*.ulimits.*", "limit"],
  ["networks.*.ipam.config", "pools"],
]);
