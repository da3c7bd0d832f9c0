import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";

/** Who a process in a container is. */
export type ProcessUser = {
  readonly uid: number;
  readonly gid: number;
  readonly supplementaryGids: readonly number[];
  /** From passwd; `/` when the user has no entry. */
  readonly home: string;
};

const databaseBytesMax = 1024 * 1024;
/** O_PATH, which node:fs does not name. */
const openPath = 0o10_000_000;
const idMax = 65_535;
/** Of a passwd entry; one of group has less. */
const fieldsMax = 7;

/**
 * Resolves `user`, `user:group`, `uid` or `uid:gid` against the image's passwd and group (OCI image-spec, config.User).
 * Digits are an id and never a name. `layerDirs` is the merged view, lowest first, the writable layer last: a running
 * container may change that one meanwhile, nothing outside the layers is read even so. Throws when a name is unknown or
 * an id is above 65535.
 */
export function lookUpUser(user: string, layerDirs: readonly string[]): ProcessUser {
  const [userPart = "", groupPart, ...rest] = user.split(":");
  if (rest.length > 0) throw new Error(`cannot run as user "${user}": USER[:GROUP] is expected`);
  const passwd = readDatabase(layerDirs, "passwd");
  const group = readDatabase(layerDirs, "group");
  const isId = /^[0-9]+$/.test(userPart);
  const wanted = userPart === "" ? "0" : userPart;
  const isById = isId || userPart === "";
  const entry = findEntry(passwd, (fields) =>
    isById ? Number(fields[2]) === Number(wanted) : fields[0] === wanted,
  );
  if (entry === undefined && !isById) {
    throw new Error(
      `cannot run as user "${userPart}": the image's /etc/passwd has no such name; use a numeric id, or a name that is in the image`,
    );
  }
  const uid = parseId(entry?.[2] ?? wanted, user);
  if (groupPart !== undefined) {
    return {
      uid,
      gid: lookUpGroup(groupPart, group, user),
      supplementaryGids: [],
      home: entry?.[5] || "/",
    };
  }
  return {
    uid,
    gid: entry === undefined ? 0 : parseId(entry[3] ?? "", user),
    supplementaryGids: entry === undefined ? [] : memberships(entry[0] ?? "", group),
    home: entry?.[5] || "/",
  };
}

/** Ids of groups given by id or by their name in the image. Throws as `lookUpUser` does. */
export function lookUpGroups(
  groups: readonly string[],
  layerDirs: readonly string[],
): readonly number[] {
  if (groups.length === 0) return [];
  const database = readDatabase(layerDirs, "group");
  return groups.map((name) => lookUpGroup(name, database, `:${name}`));
}

function lookUpGroup(name: string, group: string, user: string): number {
  if (/^[0-9]+$/.test(name)) return parseId(name, user);
  const entry = findEntry(group, (fields) => fields[0] === name);
  if (entry === undefined) {
    throw new Error(
      `cannot run as user "${user}": the image's /etc/group has no group "${name}"; use a numeric id, or a name that is in the image`,
    );
  }
  return parseId(entry[2] ?? "", user);
}

function memberships(name: string, group: string): number[] {
  const gids = new Set<number>();
  for (const fields of entriesOf(group)) {
    if (!`,${fields[3] ?? ""},`.includes(`,${name},`)) continue;
    const gid = Number(fields[2]);
    if (Number.isInteger(gid) && gid >= 0 && gid <= idMax) gids.add(gid);
  }
  return [...gids];
}

function parseId(text: string, user: string): number {
  const id = Number(text);
  if (!/^[0-9]{1,10}$/.test(text) || id > idMax) {
    throw new Error(`cannot run as user "${user}": id ${text} is outside 0 to ${idMax}`);
  }
  return id;
}

function findEntry(
  database: string,
  matches: (fields: readonly string[]) => boolean,
): readonly string[] | undefined {
  for (const fields of entriesOf(database)) if (matches(fields)) return fields;
  return undefined;
}

/** One line at a time: a database made of line ends and colons takes no more memory than any other. */
function* entriesOf(database: string): Generator<readonly string[]> {
  for (let at = 0; at < database.length; ) {
    const found = database.indexOf("\n", at);
    const end = found < 0 ? database.length : found;
    if (end > at && database[at] !== "#") yield database.slice(at, end).split(":", fieldsMax);
    at = end + 1;
  }
}

/**
 * The topmost of the layers' files. An image may make them a symlink, a FIFO or endless, and a running container may
 * swap them and their directory at any time: what is looked at is held first, and only a small regular file is opened.
 */
function readDatabase(layerDirs: readonly string[], name: "passwd" | "group"): string {
  for (const layer of layerDirs.toReversed()) {
    const directory = hold(join(layer, "etc"));
    if (directory === undefined) continue;
    try {
      if (!fstatSync(directory).isDirectory()) return "";
      const file = hold(`/proc/self/fd/${directory}/${name}`);
      if (file !== undefined) return readHeld(file, name);
    } finally {
      closeSync(directory);
    }
  }
  return "";
}

/** A descriptor of whatever is there, a link included, that opens nothing; undefined where there is nothing. */
function hold(path: string): number | undefined {
  try {
    return openSync(path, openPath | constants.O_NOFOLLOW);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Empty for what is no regular file. Closes `held`. */
function readHeld(held: number, name: string): string {
  try {
    if (!fstatSync(held).isFile()) return "";
    const fd = openSync(`/proc/self/fd/${held}`, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return readRegular(fd, name);
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(held);
  }
}

function readRegular(fd: number, name: string): string {
  const { size } = fstatSync(fd);
  if (size > databaseBytesMax) {
    throw new Error(
      `cannot look up users: the image's /etc/${name} has ${size} bytes, at most ${databaseBytesMax} are read`,
    );
  }
  const bytes = Buffer.alloc(size);
  const length = readSync(fd, bytes, 0, size, 0);
  return bytes.toString("utf8", 0, length);
}
