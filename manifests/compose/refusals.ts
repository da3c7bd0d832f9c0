/**
 * Keys of the Compose Specification that this version refuses, each with what to do instead; an
 * empty text means that nothing but leaving the key out helps.
 */
export const topLevelRefusals: Readonly<Record<string, string>> = {
  configs: "put the content into the image or a volume",
  include: "copy the services into this file",
  models: "",
  secrets: "put the secret into a file on the host and bind-mount it by its absolute path",
};

export const serviceRefusals: Readonly<Record<string, string>> = {
  attach: "it has no effect under an agent, remove it",
  build: "build and push the image elsewhere and name it in image",
  cgroup_parent: "",
  configs: "put the content into the image or a volume",
  container_name: "containers are named APP-SERVICE-N, remove it",
  cpu_count: "use cpus",
  cpu_percent: "use cpus",
  cpu_rt_period: "",
  cpu_rt_runtime: "",
  credential_spec: "",
  develop: "it serves development only, remove it",
  env_file: "put the variables into environment",
  expose: "services of an app reach each other on every port, remove it",
  extends: "use a YAML anchor and a merge key",
  external_links: "",
  gpus: "",
  isolation: "",
  label_file: "use labels",
  links: "services of an app reach each other by name, use depends_on for the order",
  logging: "logs are kept as json-file with rotation, remove it",
  mac_address: "",
  models: "",
  oom_kill_disable: "",
  platform: "name an image of the host's platform",
  post_start: "",
  pre_stop: "",
  profiles: "set scale to 0 for a service that shall not run",
  provider: "",
  pull_policy: "a missing image is pulled, remove it",
  pull_refresh_after: "",
  runtime: "",
  secrets: "bind-mount a file of the host by its absolute path",
  storage_opt: "",
  use_api_socket: "",
  volumes_from: "list the volumes in each service",
};
