/** Key -> its values in the order of the file; an empty one forgets those before it, as with systemd. */
export type UnitSection = ReadonlyMap<string, readonly string[]>;

/** Section -> keys of a unit file (systemd.syntax(7)): comments, continued lines, repeated keys. */
export function readUnit(text: string): ReadonlyMap<string, UnitSection> {
  const sections = new Map<string, Map<string, string[]>>();
  let section = new Map<string, string[]>();
  for (const line of logicalLines(text)) {
    const head = /^\[([^\]]+)\]$/.exec(line)?.[1];
    if (head !== undefined) {
      section = sections.get(head) ?? new Map<string, string[]>();
      sections.set(head, section);
      continue;
    }
    const cut = line.indexOf("=");
    if (cut === -1) continue;
    const key = line.slice(0, cut).trim();
    const value = line.slice(cut + 1).trim();
    section.set(key, value === "" ? [] : [...(section.get(key) ?? []), value]);
  }
  return sections;
}

/** Words of a value: quotes hold one together, a backslash takes the next character as it is. */
export function unitWords(value: string): readonly string[] {
  const words: string[] = [];
  for (const [word] of value.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')+/g)) {
    words.push(
      word.replaceAll(
        /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|\\(.)/g,
        (_all, double?: string, single?: string, letter?: string) =>
          (double ?? single)?.replaceAll(/\\(.)/g, "$1") ?? letter ?? "",
      ),
    );
  }
  return words;
}

function logicalLines(text: string): readonly string[] {
  const lines: string[] = [];
  let open = "";
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (/^[#;]/.test(line)) continue;
    if (line.endsWith("\\")) {
      open += `${line.slice(0, -1)} `;
      continue;
    }
    const whole = (open + line).trim();
    open = "";
    if (whole !== "") lines.push(whole);
  }
  return open.trim() === "" ? lines : [...lines, open.trim()];
}
