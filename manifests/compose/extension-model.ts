import { z } from "zod";
import type { Healthcheck, NetworkProbe } from "../desired-state.ts";
import { Bounds } from "./bounds-model.ts";
import { byKind, grammar } from "./by-kind.ts";
import { timingFields, timingOf } from "./healthcheck.ts";
import { present } from "./present.ts";
import { isSignal } from "./signal.ts";
import { Duration, wholeNumber } from "./values.ts";

const Port = wholeNumber({ min: 1, max: 65_535 });

/** `200`, or `200-399`. */
const Status = byKind({
  number: wholeNumber({ min: 100, max: 599 }).transform((status) => [status, status] as const),
  string: grammar({
    parse: (text) => {
      const [, from = "", to = from] = /^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$/.exec(text) ?? [];
      return from !== "" && Number(from) <= Number(to)
        ? ([Number(from), Number(to)] as const)
        : undefined;
    },
    expected: "a status or a range of them such as 204 or 200-399",
  }),
});

/** As Kubernetes has it: redirects are good answers too. */
const statusDefault = [200, 399] as const;

/** Registries limit how often they are asked. */
const watchTagMsMin = 10_000;

/** Less shows nothing: a container counts as up after a second. */
const canaryMsMin = 1_000;

const Http = byKind({
  number: Port.transform((port) => httpProbe({ port })),
  mapping: z
    .strictObject({
      port: Port,
      path: grammar({
        parse: (text) => (/^\/[!-~]{0,2047}$/.test(text) ? text : undefined),
        expected: "a path that begins with / and has no spaces",
      }).optional(),
      host: grammar({
        parse: (text) => (/^[!-~]{1,255}$/.test(text) ? text : undefined),
        expected: "a name for the Host header",
      }).optional(),
      status: Status.optional(),
    })
    .transform(httpProbe),
});

const Tcp = byKind({
  number: Port.transform((port): NetworkProbe => ({ kind: "tcp", port })),
  mapping: z
    .strictObject({ port: Port })
    .transform(({ port }): NetworkProbe => ({ kind: "tcp", port })),
});

const Probe = z
  .strictObject({ ...timingFields, http: Http.optional(), tcp: Tcp.optional() })
  .transform(({ http, tcp, ...timing }, context): Healthcheck => {
    const probe = http ?? tcp;
    if (probe !== undefined && (http === undefined || tcp === undefined)) {
      return { probe, test: [], ...timingOf(timing) };
    }
    context.addIssue({ code: "custom", message: "either http or tcp is expected" });
    return z.NEVER;
  });

/** Undefined: a change of content makes the container anew. */
const OnConfigChange = grammar({
  parse: (text) => {
    if (text === "recreate") return { signal: undefined };
    const signal = text.startsWith("signal:") ? text.slice("signal:".length) : "";
    const isHeard = isSignal(signal) && !/^(?:(?:SIG)?(?:KILL|STOP)|9|19)$/i.test(signal);
    return isHeard ? { signal: signal.toUpperCase() } : undefined;
  },
  expected: "recreate, or signal: and one that a program can act on such as signal:SIGHUP",
});

/** What a service says under `x-berth`. */
export const Extension = byKind({
  mapping: z.strictObject({
    bounds: Bounds.optional(),
    canary: Duration.refine((ms) => ms >= canaryMsMin, {
      error: "1s is the shortest time",
    }).optional(),
    "on-config-change": OnConfigChange.optional(),
    "on-unhealthy": z
      .enum(["restart", "leave"], { error: "restart or leave is expected" })
      .optional(),
    probe: byKind({ mapping: Probe }).optional(),
    "watch-tag": Duration.refine((ms) => ms >= watchTagMsMin, {
      error: "10s is the shortest interval",
    }).optional(),
  }),
});
export type Extension = z.infer<typeof Extension>;

function httpProbe({
  port,
  path = "/",
  host,
  status: [statusMin, statusMax] = statusDefault,
}: {
  readonly port: number;
  readonly path?: string | undefined;
  readonly host?: string | undefined;
  readonly status?: readonly [number, number] | undefined;
}): NetworkProbe {
  return { kind: "http", port, path, ...present("host", host), statusMin, statusMax };
}
