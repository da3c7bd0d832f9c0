import { hostSettings, type RegistrySettings } from "./registry-settings.ts";

const DOCKER_HUB_HOST = "registry-1.docker.io";

/** Host and port that serve the registry's API. */
export function apiHost(registry: string): string {
  return registry === "docker.io" ? DOCKER_HUB_HOST : registry;
}

/** Whether plain HTTP may be spoken to a host: loopback, as Docker does, or one whose settings say so. */
export function isPlainHttpAllowed(host: string, settings: RegistrySettings): boolean {
  return isLoopback(host) || hostSettings(settings, host).plainHttp === true;
}

function isLoopback(host: string): boolean {
  if (!URL.canParse(`http://${host}/`)) return false;
  const { hostname } = new URL(`http://${host}/`);
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
