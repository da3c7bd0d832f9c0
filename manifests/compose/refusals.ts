/**
 * Keys of the Compose Specification that this version refuses, each with what to do instead; an
 * empty text means that nothing but leaving the key out helps.
 */
export const topLevelRefusals: Readonly<Record<string, string>> = {
  models: "",
};

export const serviceRefusals: Readonly<Record<string, string>> = {
  cgroup_parent: "",
  cpu_count: "it is for Windows, use cpus",
  cpu_percent: "it is for Windows, use cpus",
  cpu_rt_period: "",
  cpu_rt_runtime: "",
  credential_spec: "",
  external_links: "",
  gpus: "",
  isolation: "",
  models: "",
  oom_kill_disable: "",
  post_start: "",
  pre_stop: "",
  provider: "",
  pull_refresh_after: "",
  runtime: "",
  storage_opt: "",
  use_api_socket: "",
};

/** Options of Docker's json-file driver beyond size and number of its files. */
export const logOptions: Readonly<Record<string, string>> = {
  compress: "rotated files are kept as they are, remove it",
  env: "",
  "env-regex": "",
  labels: "",
  "labels-regex": "",
  "max-buffer-size": "",
  mode: "a container never waits for its log's readers, remove it",
  tag: "lines are kept without a tag, remove it",
};
