import { z } from "zod";
import {
  normalProxy,
  readProxyEnvironment,
  splitNoProxy,
} from "../../runtime/registry/proxy-choice.ts";
import type { ProxySettings, RegistrySettings } from "../../runtime/registry/registry-settings.ts";

/** As references name it. */
export const RegistryHost = z
  .string()
  .max(255)
  .regex(/^[a-z0-9.-]+(:\d{1,5})?$|^\[[0-9a-f:]+\](:\d{1,5})?$/, "expected host or host:port");

const Mirror = z
  .string()
  .max(255)
  .regex(
    /^(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?(?:\/[a-z0-9._-]+)*$/,
    "expected host, host:port or host/prefix, without https://",
  );

const AbsolutePath = z.string().max(4096).startsWith("/", "expected an absolute path");

/** The part of the config file that says how registries are spoken to. */
export const Registries = z.record(
  RegistryHost,
  z.strictObject({
    mirrors: z.array(Mirror).max(16).optional(),
    caFile: AbsolutePath.optional(),
    clientCertificate: z.strictObject({ certFile: AbsolutePath, keyFile: AbsolutePath }).optional(),
    plainHttp: z.boolean().optional(),
    skipTlsVerify: z.boolean().optional(),
  }),
  {
    error: ({ code }) => (code === "invalid_key" ? "expected host or host:port" : undefined),
  },
);
export type Registries = z.infer<typeof Registries>;

const ProxyAddress = z
  .string()
  .max(2048)
  .refine((text) => normalProxy(text) !== undefined, "expected http://[user:password@]host:port");

export const ProxyConfig = z.strictObject({
  http: ProxyAddress.optional(),
  https: ProxyAddress.optional(),
  noProxy: z.array(z.string().min(1).max(255)).max(256).optional(),
});
export type ProxyConfig = z.infer<typeof ProxyConfig>;

/** What the file says; each part of `proxy` that it leaves out is the environment's. */
export function registrySettings(
  file: {
    readonly insecureRegistries?: readonly string[] | undefined;
    readonly registries?: Registries | undefined;
    readonly proxy?: ProxyConfig | undefined;
  },
  environment: NodeJS.ProcessEnv,
): RegistrySettings {
  const { insecureRegistries = [], registries = {} } = file;
  const plain = insecureRegistries.map(
    (host) => [host, { ...registries[host], plainHttp: true }] as const,
  );
  return {
    hosts: { ...registries, ...Object.fromEntries(plain) },
    proxy: proxySettings(file.proxy ?? {}, readProxyEnvironment(environment)),
  };
}

function proxySettings({ http, https, noProxy }: ProxyConfig, outer: ProxySettings): ProxySettings {
  return {
    ...outer,
    ...(http === undefined ? {} : { http }),
    ...(https === undefined ? {} : { https }),
    ...(noProxy === undefined ? {} : { noProxy: noProxy.flatMap(splitNoProxy) }),
  };
}
