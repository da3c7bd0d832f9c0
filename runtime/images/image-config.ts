import * as z from "zod";
import type { Digest } from "./digest.ts";
import { LAYERS_MAX } from "./image-limits.ts";
import type { ImageConfig, ImageHealthcheck } from "./image-store.ts";
import { checked, DigestField, parseJson } from "./manifest-document.ts";

const strings = z.array(z.string()).nullish();
const text = z.string().nullish();
/** Docker counts in nanoseconds; 0 means: not set. */
const nanoseconds = z
  .number()
  .nonnegative()
  .nullish()
  .transform((value) => (value ? Math.max(1, Math.round(value / 1e6)) : undefined));

const Healthcheck = z.object({
  Test: strings,
  Interval: nanoseconds,
  Timeout: nanoseconds,
  StartPeriod: nanoseconds,
  StartInterval: nanoseconds,
  Retries: z.number().int().nonnegative().nullish(),
});
type Healthcheck = z.infer<typeof Healthcheck>;

const ImageConfigDocument = z.object({
  architecture: z.string(),
  os: z.string(),
  variant: text,
  created: text,
  config: z
    .object({
      Env: strings,
      Entrypoint: strings,
      Cmd: strings,
      User: text,
      WorkingDir: text,
      StopSignal: text,
      ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
      Volumes: z.record(z.string(), z.unknown()).nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
      Healthcheck: Healthcheck.nullish(),
    })
    .nullish(),
  rootfs: z.object({ type: z.literal("layers"), diff_ids: z.array(DigestField).max(LAYERS_MAX) }),
});

export type ParsedImageConfig = {
  readonly config: ImageConfig;
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly createdAt?: string;
  readonly diffIds: readonly Digest[];
};

/** Reads an image configuration (OCI image-spec, config.md). Docker writes null where it means empty. */
export function parseImageConfig(bytes: Uint8Array): ParsedImageConfig {
  const what = "image configuration";
  const document = checked(ImageConfigDocument, parseJson(bytes, `the ${what}`), what);
  const run = document.config;
  const healthcheck = readHealthcheck(run?.Healthcheck ?? undefined);
  return {
    os: document.os,
    architecture: document.architecture,
    ...(document.variant ? { variant: document.variant } : {}),
    ...(document.created ? { createdAt: document.created } : {}),
    diffIds: document.rootfs.diff_ids,
    config: {
      env: run?.Env ?? [],
      entrypoint: run?.Entrypoint ?? [],
      command: run?.Cmd ?? [],
      user: run?.User ?? "",
      workingDir: run?.WorkingDir ?? "",
      stopSignal: run?.StopSignal ?? "",
      exposedPorts: Object.keys(run?.ExposedPorts ?? {}),
      volumes: Object.keys(run?.Volumes ?? {}),
      labels: run?.Labels ?? {},
      ...(healthcheck === undefined ? {} : { healthcheck }),
    },
  };
}

/** No test means that a base image's is inherited: its builder has written that here already. */
function readHealthcheck(found: Healthcheck | undefined): ImageHealthcheck | undefined {
  const test = found?.Test ?? [];
  if (found === undefined || test.length === 0) return undefined;
  const { Interval, Timeout, StartPeriod, StartInterval, Retries } = found;
  return {
    test,
    ...(Interval === undefined ? {} : { intervalMs: Interval }),
    ...(Timeout === undefined ? {} : { timeoutMs: Timeout }),
    ...(StartPeriod === undefined ? {} : { startPeriodMs: StartPeriod }),
    ...(StartInterval === undefined ? {} : { startIntervalMs: StartInterval }),
    ...(Retries ? { retries: Retries } : {}),
  };
}
