import { Variable } from "../../manifests/convert/conversion.ts";
import type { RunSource } from "../store/run-store.ts";

const secretName =
  /passw(?:or)?d|passphrase|passwd|secret|token|credential|(?:^|_)(?:auth|key|pwd|pass)(?:_|$)|apikey/i;
/** Credentials in a URL. */
const secretValue = /:\/\/[^/\s:@]*:[^/\s@]+@/;

/**
 * The file without the values of variables that look like secrets by their name, or hold a URL with a password; whoever
 * commits it is asked for them.
 */
export function hideSecrets(source: RunSource): {
  readonly compose: RunSource;
  readonly hidden: readonly string[];
} {
  const hidden: string[] = [];
  const services = Object.entries(asRecord(source.services)).map(([name, service]) => {
    const fields = asRecord(service);
    const environment = Object.entries(asRecord(fields.environment)).map(([key, value]) => {
      if (!secretName.test(key) && !secretValue.test(String(value))) return [key, value];
      hidden.push(key);
      const why = "it was left out because it looks like a secret";
      return [key, new Variable(`\${${key}:?${why}}`)];
    });
    const own = environment.length === 0 ? {} : { environment: Object.fromEntries(environment) };
    return [name, { ...fields, ...own }];
  });
  return { compose: { ...source, services: Object.fromEntries(services) }, hidden };
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {};
}
