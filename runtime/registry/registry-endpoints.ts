import { apiHost } from "./registry-address.ts";
import { hostSettings, type RegistrySettings } from "./registry-settings.ts";

/** A place that serves a registry's repositories: the registry itself, or a mirror of it. */
export type Endpoint = {
  /** `host[:port]`: named in errors, and by credentials. */
  readonly name: string;
  readonly host: string;
  /** Put before the repository: empty, or `prefix/`. */
  readonly prefix: string;
  /** The registry that a mirror stands for. */
  readonly mirrorOf?: string;
};

/** A mirror that failed is passed over for so long. */
const PASSED_OVER_MS = 60_000;

/** Which places are asked for what a registry has, in which order. */
export class RegistryEndpoints {
  readonly #settings: RegistrySettings;
  readonly #now: () => number;
  readonly #passedOverUntil = new Map<string, number>();

  constructor(options: { settings: RegistrySettings; now: () => number }) {
    this.#settings = options.settings;
    this.#now = options.now;
  }

  /** The registry itself: what is written goes nowhere else. */
  own(registry: string): Endpoint {
    return { name: registry, host: apiHost(registry), prefix: "" };
  }

  /** Mirrors to ask before the registry itself, those left out that failed lately. */
  mirrors(registry: string): readonly Endpoint[] {
    const { mirrors = [] } = hostSettings(this.#settings, registry);
    return mirrors
      .map((mirror) => endpointOf(mirror, registry))
      .filter(({ name }) => (this.#passedOverUntil.get(name) ?? 0) <= this.#now());
  }

  passOver({ name }: Endpoint): void {
    this.#passedOverUntil.set(name, this.#now() + PASSED_OVER_MS);
  }
}

function endpointOf(mirror: string, mirrorOf: string): Endpoint {
  const slash = mirror.indexOf("/");
  const name = slash === -1 ? mirror : mirror.slice(0, slash);
  const prefix = slash === -1 ? "" : `${mirror.slice(slash + 1).replace(/\/+$/, "")}/`;
  return { name, host: apiHost(name), prefix, mirrorOf };
}
