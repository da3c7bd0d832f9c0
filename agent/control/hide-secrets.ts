import { Variable } from "../../manifests/convert/conversion.ts";
import type { RunSource } from "../store/run-store.ts";
import { type Secret, secretName, secretsIn } from "./secret-words.ts";

const why = "it was left out because it looks like a secret";
/** What is this short is found elsewhere by chance: it is hidden in its own place alone. */
const charactersMin = 6;
/** What a container is called by, and what its image is: a file without them is none. */
const shown = new Set(["image", "container_name", "platform", "restart"]);

/**
 * The file without what looks like a secret: variables by their names, options and assignments on command lines (the
 * healthcheck's too), in labels and annotations, passwords in URLs, tokens of known forms; and whatever of that stands in
 * other places of it. Whoever commits it is asked for the values, each by the name of a variable in `hidden`.
 */
export function hideSecrets(source: RunSource): {
  readonly compose: RunSource;
  readonly hidden: readonly string[];
} {
  const found = new Map<string, string>();
  const taken = new Set<string>();
  const note = ({ name, value }: Secret): void => {
    if (found.has(value)) return;
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = `${name}_${number}`;
    taken.add(free);
    found.set(value, free);
  };
  const services = Object.entries(asRecord(source.services));
  for (const [, service] of services)
    for (const secret of secretsOf(asRecord(service))) note(secret);
  const hide = (text: string): unknown => replaced(text, found);
  const compose = {
    ...source,
    services: Object.fromEntries(
      services.map(([name, service]) => [name, mapped(asRecord(service), hide, shown)]),
    ),
  };
  return { compose, hidden: [...taken] };
}

function secretsOf(service: Readonly<Record<string, unknown>>): readonly Secret[] {
  const environment = Object.entries(asRecord(service.environment)).flatMap(([name, value]) => {
    const text = String(value);
    const whole = { name, value: text, at: 0, isInUrl: false };
    if (secretName(name, text)) return [whole];
    // A URL with a password is one secret: its other parts say where the password is good for.
    const inside = secretsIn([text]);
    return inside.some(({ isInUrl }) => isInUrl) ? [whole] : inside;
  });
  const lists = [
    service.entrypoint,
    service.command,
    asRecord(service.healthcheck).test,
    ...["labels", "annotations", "sysctls"].flatMap((key) =>
      Object.entries(asRecord(service[key])).map(([name, value]) => [`${name}=${String(value)}`]),
    ),
  ];
  return [...environment, ...lists.flatMap((list) => secretsIn(texts(list)))];
}

function replaced(text: string, found: ReadonlyMap<string, string>): unknown {
  const whole = found.get(text);
  if (whole !== undefined) return new Variable(`\${${whole}:?${why}}`);
  const pieces: (string | Variable)[] = [text];
  const long = [...found].toSorted(([a], [b]) => b.length - a.length);
  for (const [value, name] of long) {
    const isAlone = value.length < charactersMin;
    for (let at = 0; at < pieces.length; at += 1) {
      const piece = pieces[at];
      if (typeof piece !== "string") continue;
      const from = isAlone ? placeOf(piece, value) : piece.indexOf(value);
      if (from === -1) continue;
      const variable = new Variable(`\${${name}:?${why}}`);
      pieces.splice(at, 1, piece.slice(0, from), variable, piece.slice(from + value.length));
    }
  }
  if (pieces.length === 1) return text;
  const written = pieces.map((piece) =>
    typeof piece === "string" ? piece.replaceAll("$", "$$$$") : piece.text,
  );
  return new Variable(written.join(""));
}

/** Where it was found: after an option or an assignment, or in a URL. */
function placeOf(text: string, value: string): number {
  return secretsIn([text]).find((secret) => secret.value === value)?.at ?? -1;
}

function mapped(
  value: unknown,
  hide: (text: string) => unknown,
  except: ReadonlySet<string> = new Set(),
): unknown {
  if (typeof value === "string") return hide(value);
  if (Array.isArray(value)) return value.map((item) => mapped(item, hide));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, except.has(key) ? item : mapped(item, hide)]),
  );
}

function texts(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.map(String) : [];
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {};
}
