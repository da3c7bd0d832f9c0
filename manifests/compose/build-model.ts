import { z } from "zod";
import { byKind, mapOf } from "./by-kind.ts";
import { ByteSize, Flag, KeyValues } from "./values.ts";

const Texts = byKind({ string: z.string(), list: z.array(z.string()) });
const Limit = byKind({
  number: z.number(),
  string: z.string(),
  mapping: z.strictObject({
    hard: byKind({ number: z.number(), string: z.string() }),
    soft: byKind({ number: z.number(), string: z.string() }),
  }),
});
const FileMount = byKind({
  string: z.string(),
  mapping: z.strictObject({
    gid: z.string().optional(),
    mode: byKind({ number: z.number(), string: z.string() }).optional(),
    source: z.string().optional(),
    target: z.string().optional(),
    uid: z.string().optional(),
  }),
});
const FlagOrText = byKind({ boolean: z.boolean(), string: z.string() });

/** `build` of a service: checked, and kept as data. */
export const Build = byKind({
  string: z.string(),
  mapping: z.strictObject({
    additional_contexts: KeyValues.optional(),
    args: KeyValues.optional(),
    cache_from: z.array(z.string()).optional(),
    cache_to: z.array(z.string()).optional(),
    context: z.string().optional(),
    dockerfile: z.string().optional(),
    dockerfile_inline: z.string().optional(),
    entitlements: z.array(z.string()).optional(),
    extra_hosts: z.array(z.string()).optional(),
    isolation: z.string().optional(),
    labels: KeyValues.optional(),
    network: z.string().optional(),
    no_cache: Flag.optional(),
    no_cache_filter: Texts.optional(),
    platforms: z.array(z.string()).optional(),
    privileged: Flag.optional(),
    provenance: FlagOrText.optional(),
    pull: Flag.optional(),
    sbom: FlagOrText.optional(),
    secrets: z.array(FileMount).optional(),
    shm_size: ByteSize.optional(),
    ssh: byKind({ list: z.array(z.string()), mapping: z.unknown() }).optional(),
    tags: z.array(z.string()).optional(),
    target: z.string().optional(),
    ulimits: byKind({ mapping: mapOf(Limit) }).optional(),
  }),
});

const Trigger = z.strictObject({
  action: z.enum(["rebuild", "sync", "restart", "sync+restart", "sync+exec"], {
    error: "rebuild, sync, restart, sync+restart or sync+exec is expected",
  }),
  exec: z.unknown().optional(),
  ignore: Texts.optional(),
  include: Texts.optional(),
  initial_sync: Flag.optional(),
  path: z.string(),
  target: z.string().optional(),
});

/** `develop` of a service: checked, and without effect. */
export const Develop = byKind({
  null: z.null(),
  mapping: z.strictObject({ watch: z.array(Trigger).optional() }),
});
