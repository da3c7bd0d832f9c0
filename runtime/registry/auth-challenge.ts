export type AuthChallenge = {
  /** Lowercase. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
};

const HEADER_LENGTH_MAX = 8192;
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameter = new RegExp(`^(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))\\s*`);
const schemeName = new RegExp(`^(${token})(?:\\s+|$)`);

/** Reads the value of WWW-Authenticate (RFC 9110, 11.6.1): one or several challenges. Stops at what it cannot read. */
export function parseChallenges(header: string): readonly AuthChallenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  let rest = header.slice(0, HEADER_LENGTH_MAX).trim();
  while (rest !== "") {
    rest = rest.replace(/^[,\s]+/, "");
    const current = challenges.at(-1);
    const found = parameter.exec(rest);
    if (found !== null && current !== undefined) {
      const value = found[2]?.replaceAll(/\\(.)/g, "$1") ?? found[3] ?? "";
      current.parameters[(found[1] ?? "").toLowerCase()] = value;
      rest = rest.slice(found[0].length);
      continue;
    }
    const scheme = schemeName.exec(rest);
    if (scheme === null) break;
    challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters: Object.create(null) });
    rest = rest.slice(scheme[0].length);
  }
  return challenges;
}
