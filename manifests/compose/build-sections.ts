import { type KeyRule, section } from "./section.ts";

const limit: KeyRule = { mapOf: section({ hard: "value", soft: "value" }) };
const file = section({
  gid: "value",
  mode: "value",
  source: "value",
  target: "value",
  uid: "value",
});

/** `build` of a service: data, because images are not built here. */
export const build = section({
  additional_contexts: "texts",
  args: "texts",
  cache_from: "value",
  cache_to: "value",
  context: "value",
  dockerfile: "value",
  dockerfile_inline: "value",
  entitlements: "value",
  extra_hosts: "value",
  isolation: "value",
  labels: "texts",
  network: "value",
  no_cache: "value",
  no_cache_filter: "value",
  platforms: "value",
  privileged: "value",
  provenance: "value",
  pull: "value",
  sbom: "value",
  secrets: { listOf: file },
  shm_size: "value",
  ssh: "value",
  tags: "value",
  target: "value",
  ulimits: limit,
});

const exec = section({
  command: "value",
  environment: "texts",
  privileged: "value",
  user: "value",
  working_dir: "value",
});

/** `develop` of a service, which has no meaning under an agent. */
export const develop = section({
  watch: {
    listOf: section({
      action: "value",
      exec: { one: exec },
      ignore: "value",
      include: "value",
      initial_sync: "value",
      path: "value",
      target: "value",
    }),
  },
});
