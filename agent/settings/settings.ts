import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { parse } from "yaml";
import { z } from "zod";
import type { RegistrySettings } from "../../runtime/registry/registry-settings.ts";
import { NotificationTarget } from "../notify/notify-config.ts";
import { loadPolicy } from "../policy/load-policy.ts";
import { Policy } from "../policy/policy.ts";
import type { GitTransport } from "../source/git-environment.ts";
import { type CommitTrust, noCommitTrust } from "../source/trust/distrust.ts";
import type { AgentOptions } from "./agent-options.ts";
import { ProxyConfig, Registries, RegistryHost, registrySettings } from "./registry-config.ts";
import type { PollSchedule } from "./schedule.ts";
import {
  type MaintenanceWindow,
  parseDurationMs,
  parsePollSchedule,
  parseWindow,
} from "./schedule.ts";

export const identityFileDefault = "/etc/berth/identity.txt";

const configBytesMax = 1_048_576;

const PlainPath = z
  .string()
  .regex(/^\/[\w./@+-]+$/, "expected an absolute path of letters, digits and ./@+_-");

const Percent = z.number().min(1).max(100);
const DurationMs = z.string().transform((text, context) => {
  const ms = parseDurationMs(text);
  if (ms === undefined)
    context.addIssue({ code: "custom", message: "expected a duration such as 90m or 30d" });
  return ms ?? 0;
});

const ImageCollectionConfig = z
  .strictObject({
    highPercent: Percent.default(85),
    lowPercent: Percent.default(80),
    minAge: DurationMs.default(3_600_000),
    maxAge: DurationMs.optional(),
  })
  .refine(({ highPercent, lowPercent }) => lowPercent <= highPercent, {
    path: ["lowPercent"],
    error: "expected to be at most highPercent",
  })
  .transform(
    ({ minAge, maxAge, ...percents }): ImageCollection => ({
      ...percents,
      minAgeMs: minAge,
      ...(maxAge === undefined ? {} : { maxAgeMs: maxAge }),
    }),
  );

const ConfigFile = z.strictObject({
  repo: z.string().min(1).optional(),
  ref: z.string().min(1).optional(),
  git: z
    .strictObject({
      sshKey: PlainPath.optional(),
      knownHosts: PlainPath.optional(),
      caFile: PlainPath.optional(),
    })
    .optional(),
  commits: z
    .strictObject({
      signed: z.enum(["none", "tip", "all"]).optional(),
      allowedSigners: PlainPath.optional(),
      gpgKeyring: PlainPath.optional(),
      allowRewrites: z.boolean().optional(),
    })
    .refine(
      ({ signed = "none", allowedSigners, gpgKeyring }) =>
        signed === "none" || allowedSigners !== undefined || gpgKeyring !== undefined,
      "expected allowedSigners or gpgKeyring beside signed",
    )
    .optional(),
  path: z.string().min(1).optional(),
  host: z.string().min(1).optional(),
  interval: z.string().min(1).optional(),
  listen: z.string().min(1).optional(),
  allowedHosts: z
    .array(z.string().regex(/^[A-Za-z0-9._-]{1,253}$/, "expected a host name without a port"))
    .max(64)
    .optional(),
  maintenanceWindows: z
    .array(z.strictObject({ start: z.string().min(1), duration: z.string().min(1) }))
    .max(64)
    .optional(),
  imageCollection: ImageCollectionConfig.optional(),
  insecureRegistries: z.array(RegistryHost).max(64).optional(),
  registries: Registries.optional(),
  proxy: ProxyConfig.optional(),
  webhook: z.strictObject({ secretFile: PlainPath }).optional(),
  notifications: z.array(NotificationTarget).max(32).optional(),
  policy: Policy.optional(),
  identityFile: z.string().regex(/^\//, "expected an absolute path").optional(),
  addressPool: z
    .string()
    .regex(/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/, "expected a network such as 10.210.0.0/16")
    .optional(),
  log: z
    .strictObject({
      level: z.enum(["debug", "info", "warn", "error"]).optional(),
      format: z.enum(["logfmt", "json"]).optional(),
    })
    .optional(),
});
type ConfigFile = z.infer<typeof ConfigFile>;

export type ListenAddress = { readonly host: string; readonly port: number };

/** When images that nothing needs go by themselves. */
export type ImageCollection = {
  /** Of the disk: above the high mark images go until it is at the low one. 100: never. */
  readonly highPercent: number;
  readonly lowPercent: number;
  /** What came or was used since then stays, whatever the marks say. */
  readonly minAgeMs: number;
  /** What was not used for longer goes, whatever the marks say. */
  readonly maxAgeMs?: number;
};

export type Settings = {
  readonly repo: string;
  readonly ref: string;
  readonly git: GitTransport;
  readonly commits: CommitTrust;
  readonly path: string;
  readonly host: string;
  readonly poll: PollSchedule;
  readonly listen: ListenAddress | null;
  /** Names that the address of `listen` is asked by, besides the host's own. */
  readonly allowedHosts: readonly string[];
  /** Empty: changes are applied at any time. */
  readonly windows: readonly MaintenanceWindow[];
  readonly imageCollection: ImageCollection;
  readonly registries: RegistrySettings;
  readonly addressPool: string;
  /** null: no webhooks are taken. */
  readonly webhook: { readonly secretFile: string } | null;
  readonly notifications: readonly NotificationTarget[];
  /** What manifests may ask this host for. */
  readonly policy: Policy;
  /** age identities that secrets are decrypted with. */
  readonly identityFile: string;
  readonly log: {
    readonly level: "debug" | "info" | "warn" | "error";
    readonly format: "logfmt" | "json";
  };
};

/** Flags over config file over defaults. Throws an error that names the file, the field and what is expected. */
export async function loadSettings(options: AgentOptions): Promise<Settings> {
  const file = options.configFile === undefined ? {} : await readConfigFile(options.configFile);
  const repo = options.repo ?? file.repo;
  if (repo === undefined) {
    throw new Error(
      "cannot start the agent because no repository is named: give --repo or `repo:` in the config file",
    );
  }
  return {
    repo,
    ref: options.ref ?? file.ref ?? "main",
    git: file.git ?? {},
    commits: {
      ...file.commits,
      signed: file.commits?.signed ?? noCommitTrust.signed,
      allowRewrites: file.commits?.allowRewrites ?? noCommitTrust.allowRewrites,
    },
    path: options.path ?? file.path ?? ".",
    host: options.host ?? file.host ?? hostname(),
    poll: parsePollSchedule(options.interval ?? file.interval ?? "30s"),
    listen: parseListen(options.listen ?? file.listen ?? "127.0.0.1:9477"),
    allowedHosts: file.allowedHosts ?? [],
    windows: (file.maintenanceWindows ?? []).map(parseWindow),
    imageCollection: file.imageCollection ?? ImageCollectionConfig.parse({}),
    registries: registrySettings(file, process.env),
    addressPool: file.addressPool ?? "10.210.0.0/16",
    webhook: file.webhook ?? null,
    notifications: file.notifications ?? [],
    identityFile: file.identityFile ?? identityFileDefault,
    policy: await choosePolicy(options.policyFile, file.policy),
    log: { level: file.log?.level ?? "info", format: file.log?.format ?? "logfmt" },
  };
}

/** Named on the command line, else in the config file, else the host's file, else the defaults. */
function choosePolicy(named: string | undefined, inline: Policy | undefined): Promise<Policy> {
  return named === undefined && inline !== undefined ? Promise.resolve(inline) : loadPolicy(named);
}

async function readConfigFile(path: string): Promise<ConfigFile> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new Error(`cannot read the config file ${path}`, { cause });
  });
  if (bytes.length > configBytesMax) {
    throw new Error(`cannot use the config file ${path} because it is larger than 1 MiB`);
  }
  let document: unknown;
  try {
    document = parse(bytes.toString("utf8"), { maxAliasCount: 20 }) ?? {};
  } catch (cause) {
    throw new Error(`cannot parse the config file ${path}`, { cause });
  }
  const result = ConfigFile.safeParse(document);
  if (result.success) return result.data;
  const issues = result.error.issues.map(
    (issue) => `${issue.path.join(".") || "(top level)"}: ${issue.message}`,
  );
  throw new Error(`cannot use the config file ${path} because ${issues.join("; ")}`);
}

/** `host:port`, `[v6]:port`, or `none`. */
export function parseListen(text: string): ListenAddress | null {
  if (text === "none") return null;
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new Error(
      `cannot listen on ${text} because it is not an address: 127.0.0.1:9477, [::1]:9477 or none is expected`,
    );
  }
  return { host, port };
}
