import { z } from "zod";
import { quoteValue } from "../diagnostics.ts";
import { byKind, grammar, mapOf, unsupported } from "./by-kind.ts";
import { Command } from "./command.ts";
import { Deploy, Pids, Replicas } from "./deploy-model.ts";
import { Extension } from "./extension-model.ts";
import { Grant } from "./grant-model.ts";
import { Healthcheck } from "./healthcheck.ts";
import { ImageReference } from "./image-reference.ts";
import { MountEntry, TmpfsEntry } from "./mounts.ts";
import { MacAddress, ServiceNetworks } from "./network-model.ts";
import { PortEntry } from "./ports.ts";
import { runFields } from "./run-model.ts";
import { extensionKey } from "./section.ts";
import { serviceOptions } from "./service-options.ts";
import { Signal } from "./signal.ts";
import { ByteSize, Cpus, Duration, Flag, KeyValues } from "./values.ts";

/** `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:3`. */
const Restart = byKind({
  string: grammar({
    parse: (text) => {
      const plain = z.enum(["no", "always", "unless-stopped", "on-failure"]).safeParse(text);
      if (plain.success) return { condition: plain.data };
      const limited = /^on-failure:([0-9]{1,9})$/.exec(text);
      if (limited === null) return undefined;
      const attemptsMax = Number(limited[1]);
      const condition = "on-failure" as const;
      return attemptsMax === 0 ? { condition } : { condition, attemptsMax };
    },
    expected: '"no", always, unless-stopped, on-failure or on-failure:N',
  }),
});

const Dependency = byKind({
  mapping: z.strictObject({
    condition: z.enum(["service_started", "service_healthy", "service_completed_successfully"], {
      error:
        "service_started, service_healthy or service_completed_successfully is expected as condition",
    }),
    required: z.boolean().default(true),
    restart: Flag.default(false),
  }),
});

const DependsOn = byKind({
  list: z.array(z.string()),
  mapping: mapOf(Dependency),
});

const VolumesFrom = z.string().transform((text, context) => {
  if (text.startsWith("container:")) {
    context.addIssue(unsupported("volumes of a container that is no service: name the volumes"));
    return z.NEVER;
  }
  const [, service, mode] = /^([a-zA-Z0-9._-]+)(?::(ro|rw))?$/.exec(text) ?? [];
  if (service !== undefined) return { service, readOnly: mode === "ro" };
  const message = `${quoteValue(text)} is not SERVICE, SERVICE:ro or SERVICE:rw`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

const Hostname = grammar({
  parse: (text) =>
    text.length <= 64 && /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/i.test(text) ? text : undefined,
  expected: "a host name: letters, digits, dots, hyphens and _, at most 64",
});

const WorkingDir = grammar({
  parse: (text) => (text.startsWith("/") ? text : undefined),
  expected: "an absolute path",
});

const User = grammar({
  parse: (text) => (/^[^\s:]+(?::[^\s:]+)?$/.test(text) ? text : undefined),
  expected: "a user: NAME_OR_ID[:GROUP_OR_ID]",
});

/** The part of a Compose service that this version supports, checked value by value. */
export const ServiceModel = z.strictObject({
  ...serviceOptions,
  ...runFields,
  command: Command.optional(),
  configs: z.array(Grant).optional(),
  secrets: z.array(Grant).optional(),
  cpus: Cpus.optional(),
  depends_on: DependsOn.optional(),
  deploy: Deploy.optional(),
  entrypoint: Command.optional(),
  environment: KeyValues.optional(),
  healthcheck: Healthcheck.optional(),
  hostname: Hostname.optional(),
  image: ImageReference.optional(),
  init: Flag.optional(),
  labels: KeyValues.optional(),
  mem_limit: ByteSize.optional(),
  mem_reservation: ByteSize.optional(),
  mac_address: MacAddress.optional(),
  networks: ServiceNetworks.optional(),
  pids_limit: Pids.optional(),
  ports: z.array(PortEntry).optional(),
  read_only: Flag.optional(),
  restart: Restart.optional(),
  scale: Replicas.optional(),
  stdin_open: Flag.optional(),
  stop_grace_period: Duration.optional(),
  stop_signal: Signal.optional(),
  tmpfs: byKind({
    string: TmpfsEntry.transform((mount) => [mount]),
    list: z.array(TmpfsEntry),
  }).optional(),
  tty: Flag.optional(),
  user: User.optional(),
  volumes: z.array(MountEntry).optional(),
  volumes_from: z.array(VolumesFrom).optional(),
  working_dir: WorkingDir.optional(),
  [extensionKey]: Extension.optional(),
});
export type ServiceModel = z.infer<typeof ServiceModel>;
