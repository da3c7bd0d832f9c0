import { isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import type { PublishedPort } from "../desired-state.ts";
import { quoteValue } from "../diagnostics.ts";
import { byKind, unsupported } from "./by-kind.ts";
import { type PortRequest, parsePort, parseRange } from "./port-grammar.ts";
import { wholeNumber } from "./values.ts";

type PortIssue = { readonly code: "custom"; readonly message: string };
const PortNumber = wholeNumber({ min: 1, max: 65_535 });

const LongPort = z.strictObject({
  name: z.string().optional(),
  app_protocol: z.string().optional(),
  mode: z.enum(["host", "ingress"], { error: "host or ingress is expected" }).optional(),
  host_ip: z.string().optional(),
  target: PortNumber,
  published: byKind({ number: z.number(), string: z.string() }).optional(),
  protocol: z.string().optional(),
});

/** One element of `ports`, short or long, as the single ports that it publishes. */
export const PortEntry = byKind({
  number: z.number().transform((target, context): readonly PublishedPort[] => {
    context.addIssue(ephemeral(String(target)));
    return z.NEVER;
  }),
  string: z.string().transform((text, context): readonly PublishedPort[] => {
    const request = parsePort(text);
    const ports = request === undefined ? badShort(text) : publish(request);
    if (!("code" in ports)) return ports;
    context.addIssue(ports);
    return z.NEVER;
  }),
  mapping: LongPort.transform((port, context): readonly PublishedPort[] => {
    const ports = publish({
      hostIp: port.host_ip ?? "",
      published: String(port.published ?? ""),
      target: String(port.target),
      protocol: port.protocol ?? "tcp",
    });
    if (!("code" in ports)) return ports;
    context.addIssue(ports);
    return z.NEVER;
  }),
});
export type PortEntry = z.infer<typeof PortEntry>;

const portsOfEntryMax = 4096;

function publish(request: PortRequest): readonly PublishedPort[] | PortIssue {
  const protocol = request.protocol.toLowerCase();
  if (protocol === "sctp") return unsupported("the protocol sctp: use tcp or udp");
  if (protocol !== "tcp" && protocol !== "udp")
    return wrong(`${quoteValue(request.protocol)} is not a protocol: tcp or udp is expected`);
  if (isIPv6(request.hostIp))
    return unsupported(`the IPv6 host address ${request.hostIp}: use an IPv4 address`);
  if (request.hostIp !== "" && !isIPv4(request.hostIp))
    return wrong(`${quoteValue(request.hostIp)} is not an IP address of the host`);
  const target = parseRange(request.target);
  if (target === undefined) return badRange(request.target, "container");
  if (request.published === "" || request.published === "0") return ephemeral(request.target);
  const published = parseRange(request.published);
  if (published === undefined) return badRange(request.published, "host");
  const count = target.last - target.first + 1;
  if (published.last - published.first + 1 !== count) {
    if (count === 1)
      return unsupported(
        `a choice of host ports (${request.published}): name the one port to publish ${target.first} on`,
      );
    return wrong(`${request.published} and ${request.target} are ranges of different lengths`);
  }
  if (count > portsOfEntryMax) return wrong(`publishes more than ${portsOfEntryMax} ports`);
  return Array.from({ length: count }, (_, index) => ({
    hostIp: request.hostIp === "" ? "0.0.0.0" : request.hostIp,
    hostPort: published.first + index,
    containerPort: target.first + index,
    protocol,
  }));
}

function badShort(text: string): PortIssue {
  return wrong(`${quoteValue(text)} is not a port: [IP:]HOST:CONTAINER[/tcp|/udp] is expected`);
}

function badRange(text: string, side: string): PortIssue {
  return wrong(
    `${quoteValue(text)} is not a ${side} port: a number from 1 to 65535 or a range such as 8000-8010 is expected`,
  );
}

function ephemeral(target: string): PortIssue {
  return unsupported(`a port that the host chooses: write "HOST:${target}" with a fixed host port`);
}

function wrong(message: string): PortIssue {
  return { code: "custom", message };
}
