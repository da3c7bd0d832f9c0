import { type ComposeValues, type Conversion, type ConvertedFile, compact } from "./conversion.ts";
import { convertContainer } from "./quadlet-container.ts";
import { readUnit, type UnitSection, unitWords } from "./quadlet-unit.ts";

/** Files of Podman's Quadlet (podman-systemd.unit(5)) that belong together, as one Compose file. */
export function convertQuadlet(files: readonly ConvertedFile[]): Conversion {
  const notes: string[] = [];
  const noteFor = (file: string) => (key: string, why: string) => {
    notes.push(`${file}: ${key}: ${why}`);
  };
  const named = (ending: string) => files.filter(({ name }) => name.endsWith(ending));
  const containers = new Set(named(".container").map(({ name }) => stem(name)));
  const services: Record<string, ComposeValues> = {};
  const volumes: Record<string, unknown> = {};
  const networks: Record<string, unknown> = {};
  for (const { name, text } of named(".container")) {
    const note = noteFor(name);
    const converted = convertContainer(text, { containers, note });
    services[stem(name)] = converted.service;
    for (const volume of converted.volumes) volumes[volume] ??= {};
    for (const network of converted.networks) networks[network] ??= {};
  }
  for (const { name, text } of named(".volume"))
    volumes[stem(name)] = convertVolume(text, noteFor(name));
  for (const { name, text } of named(".network"))
    networks[stem(name)] = convertNetwork(text, noteFor(name));
  for (const { name } of files) {
    if (!/\.(?:container|volume|network)$/.test(name))
      notes.push(`${name}: only .container, .volume and .network files can be converted`);
  }
  return { compose: compact({ services, volumes, networks }), notes };
}

type Note = (key: string, why: string) => void;

function convertVolume(text: string, note: Note): ComposeValues {
  const section = readUnit(text).get("Volume") ?? new Map<string, readonly string[]>();
  const [type, device, options] = ["Type", "Device", "Options"].map((key) =>
    section.get(key)?.at(-1),
  );
  noteOthers(section, ["VolumeName", "Driver", "Label", "Type", "Device", "Options"], note);
  return compact({
    name: section.get("VolumeName")?.at(-1),
    driver: section.get("Driver")?.at(-1),
    labels: labelsOf(section),
    driver_opts: compact({ type, device, o: options }),
  });
}

function convertNetwork(text: string, note: Note): ComposeValues {
  const section = readUnit(text).get("Network") ?? new Map<string, readonly string[]>();
  noteOthers(
    section,
    ["NetworkName", "Driver", "Internal", "Subnet", "Gateway", "IPRange", "Label"],
    note,
  );
  const config = (section.get("Subnet") ?? []).map((subnet, index) =>
    compact({
      subnet,
      gateway: section.get("Gateway")?.[index],
      ip_range: section.get("IPRange")?.[index],
    }),
  );
  return compact({
    name: section.get("NetworkName")?.at(-1),
    driver: section.get("Driver")?.at(-1),
    internal: section.get("Internal")?.at(-1) === "true" ? true : undefined,
    labels: labelsOf(section),
    ipam: compact({ config }),
  });
}

function labelsOf(section: UnitSection): ComposeValues {
  const words = (section.get("Label") ?? []).flatMap(unitWords);
  return Object.fromEntries(
    words.map((word) => {
      const [key = "", ...value] = word.split("=");
      return [key, value.join("=")];
    }),
  );
}

function noteOthers(section: UnitSection, known: readonly string[], note: Note): void {
  for (const [key, values] of section)
    if (!known.includes(key)) note(key, `${values.join(" ")}: Compose has nothing like it`);
}

/** `db.container` -> `db` */
function stem(name: string): string {
  return name.slice(0, name.lastIndexOf("."));
}
