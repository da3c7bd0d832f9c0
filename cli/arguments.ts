/** Values of options, read strictly. Each throws an `InvalidArgumentError` that says what is expected. */
import { InvalidArgumentError } from "commander";

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `500ms`, `30s`, `1h30m`, `2d`; a bare number is seconds. Milliseconds. */
export function parseDurationMs(text: string): number {
  const ms = durationMs(text);
  if (ms === undefined)
    throw new InvalidArgumentError("a duration such as 30s, 5m or 1h30m is expected");
  return ms;
}

/** A duration before now, or an RFC 3339 time. Milliseconds since the epoch. */
export function parseSinceMs(text: string): number {
  const duration = durationMs(text);
  if (duration !== undefined) return Math.max(0, Date.now() - duration);
  const rfc3339 = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d))?$/;
  const ms = rfc3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms) || ms < 0) {
    throw new InvalidArgumentError(
      "a duration such as 10m or a time such as 2026-01-31T12:00:00Z is expected",
    );
  }
  return ms;
}

/** `until=24h`, as others write it, or an RFC 3339 time after the `=`. Milliseconds before now. */
export function parseUntilMs(text: string): number {
  const match = /^until=(.+)$/.exec(text);
  if (match?.[1] === undefined)
    throw new InvalidArgumentError("until=DURATION is expected, such as until=24h");
  return durationMs(match[1]) ?? Math.max(0, Date.now() - parseSinceMs(match[1]));
}

/** A number of lines; `all` is undefined. */
export function parseTail(text: string): number | undefined {
  if (text === "all") return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw new InvalidArgumentError("a number of lines or 'all' is expected");
  return Number(text);
}

/** Collects an option that may be repeated. */
export function collectTexts(text: string, collected: readonly string[] = []): readonly string[] {
  return [...collected, text];
}

/** What an app, its service and its container can be called at once. */
export function parseRunName(text: string): string {
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(text)) {
    throw new InvalidArgumentError(
      "up to 63 lower-case letters, digits, dashes and underscores are expected, no dash or underscore first",
    );
  }
  return text;
}

/** Collects `-a stdin`, `-a stdout` and `-a stderr`. */
export function collectStreams(text: string, collected: readonly string[] = []): readonly string[] {
  const stream = text.toLowerCase();
  if (!["stdin", "stdout", "stderr"].includes(stream))
    throw new InvalidArgumentError("stdin, stdout or stderr is expected");
  return [...collected, stream];
}

/** Collects `-e KEY=VALUE`; `-e KEY` takes the value of this process, as other tools do. */
export function collectEnvironment(
  text: string,
  collected: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const cut = text.indexOf("=");
  const key = cut === -1 ? text : text.slice(0, cut);
  if (key === "") throw new InvalidArgumentError("KEY=VALUE is expected");
  const value = cut === -1 ? process.env[key] : text.slice(cut + 1);
  return value === undefined ? collected : { ...collected, [key]: value };
}

/** Collects `-l KEY=VALUE`; `-l KEY` is empty. */
export function collectLabels(
  text: string,
  collected: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return collectEnvironment(text.includes("=") ? text : `${text}=`, collected);
}

/** `500m`, `64g`; a bare number is bytes. */
export function parseBytes(text: string): number {
  const [, amount = "", unit = ""] = /^(\d{1,12})([kmgt]?)i?b?$/i.exec(text) ?? [];
  const bytes = Number(amount) * 1024 ** " kmgt".indexOf(unit.toLowerCase() || " ");
  if (amount === "" || !Number.isSafeInteger(bytes))
    throw new InvalidArgumentError("a size such as 500m or 64g is expected");
  return bytes;
}

function durationMs(text: string): number | undefined {
  if (/^\d{1,9}(?:\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  if (!/^(?:\d{1,9}(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    ms += Number(amount) * (unitMs[unit ?? ""] ?? 0);
  }
  return Math.round(ms);
}
