import { ImageError, printable } from "./image-error.ts";

/** The `config` of an image configuration (OCI image-spec, config.md): keys as they stand there. */
export type ConfigFields = Readonly<Record<string, unknown>>;

/** The instructions of a Dockerfile that change a configuration and nothing else; what `docker commit -c` takes. */
const instructions: Readonly<Record<string, (config: ConfigFields, rest: string) => ConfigFields>> =
  {
    CMD: (config, rest) => ({ ...config, Cmd: command(rest) }),
    ENTRYPOINT: (config, rest) => ({ ...config, Entrypoint: command(rest) }),
    ENV: (config, rest) => ({ ...config, Env: withVariables(config.Env, pairs(rest)) }),
    EXPOSE: (config, rest) => ({
      ...config,
      ExposedPorts: withKeys(config.ExposedPorts, words(rest).map(port)),
    }),
    LABEL: (config, rest) => ({
      ...config,
      Labels: { ...mapping(config.Labels), ...Object.fromEntries(pairs(rest)) },
    }),
    ONBUILD: (config, rest) => ({ ...config, OnBuild: [...texts(config.OnBuild), rest] }),
    STOPSIGNAL: (config, rest) => ({ ...config, StopSignal: only(rest) }),
    USER: (config, rest) => ({ ...config, User: only(rest) }),
    VOLUME: (config, rest) => ({
      ...config,
      Volumes: withKeys(config.Volumes, list(rest) ?? words(rest)),
    }),
    WORKDIR: (config, rest) => ({ ...config, WorkingDir: absolute(only(rest)) }),
  };

/** Applies instructions such as `CMD ["web"]` or `ENV A=1 B="two words"`, in order. Throws when one cannot be read. */
export function applyChanges(config: ConfigFields, changes: readonly string[]): ConfigFields {
  return changes.reduce((changed, text) => {
    const [, name = "", rest = ""] = /^\s*([A-Za-z]+)\s+(.*?)\s*$/s.exec(text) ?? [];
    const apply = instructions[name.toUpperCase()];
    try {
      if (apply === undefined) throw new Error("it is no instruction that changes a configuration");
      return apply(changed, rest);
    } catch (cause) {
      throw new ImageError({
        because: `${JSON.stringify(printable(text, 100))} cannot be read (${cause instanceof Error ? cause.message : cause})`,
        fix: `write one of ${Object.keys(instructions).join(", ")} as in a Dockerfile`,
        kind: "stalled",
        cause,
      });
    }
  }, config);
}

/** Variables of the same name take the place of earlier ones. */
export function withVariables(
  before: unknown,
  added: readonly (readonly [string, string])[],
): readonly string[] {
  const variables = new Map(
    texts(before).map((entry): [string, string] => {
      const cut = entry.indexOf("=");
      return cut === -1 ? [entry, ""] : [entry.slice(0, cut), entry.slice(cut + 1)];
    }),
  );
  for (const [name, value] of added) variables.set(name, value);
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** The exec form, or the shell form for what is no list. */
function command(rest: string): readonly string[] {
  if (rest === "") throw new Error("a command is expected");
  return list(rest) ?? ["/bin/sh", "-c", rest];
}

function list(rest: string): readonly string[] | undefined {
  if (!rest.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(rest);
  } catch {
    return undefined;
  }
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw new Error("a list of texts is expected");
}

/** `A=1 B="two words"`, or the old `A the whole rest`. */
function pairs(rest: string): readonly (readonly [string, string])[] {
  const [first = "", ...others] = words(rest);
  if (first === "") throw new Error("NAME=VALUE is expected");
  if (!first.includes("=")) {
    if (others.length === 0) throw new Error("NAME=VALUE is expected");
    return [[first, rest.slice(first.length).trim()]];
  }
  return [first, ...others].map((word) => {
    const cut = word.indexOf("=");
    if (cut < 1) throw new Error("NAME=VALUE is expected");
    return [word.slice(0, cut), word.slice(cut + 1)];
  });
}

/** Words as a shell splits them: quotes and backslashes are taken away. */
function words(rest: string): readonly string[] {
  const found: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < rest.length; at += 1) {
    const char = rest[at] ?? "";
    if (quote === "" && /\s/.test(char)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else if (quote === "" && (char === '"' || char === "'")) {
      quote = char;
      word ??= "";
    } else if (char === quote) {
      quote = "";
    } else if (char === "\\" && quote !== "'" && at + 1 < rest.length) {
      at += 1;
      word = (word ?? "") + (rest[at] ?? "");
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote !== "") throw new Error("a quote is not closed");
  return word === undefined ? found : [...found, word];
}

function only(rest: string): string {
  const [word, ...more] = words(rest);
  if (word === undefined || more.length > 0) throw new Error("one word is expected");
  return word;
}

function absolute(path: string): string {
  if (!path.startsWith("/")) throw new Error("an absolute path is expected");
  return path;
}

function port(text: string): string {
  if (!/^\d{1,5}(\/(tcp|udp|sctp))?$/.test(text))
    throw new Error("a port such as 80/tcp is expected");
  return text.includes("/") ? text : `${text}/tcp`;
}

function withKeys(before: unknown, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (keys.length === 0) throw new Error("at least one is expected");
  return { ...mapping(before), ...Object.fromEntries(keys.map((key) => [key, {}])) };
}

function mapping(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {};
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
