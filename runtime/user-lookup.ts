import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from "node:fs";
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
const idMax = 65_535;

/**
 * Resolves `user`, `user:group`, `uid` or `uid:gid` against the image's passwd and group (OCI image-spec, config.User).
 * Digits are an id and never a name. `layerDirs` is the merged view, lowest first, the writable layer last; it must not
 * be in use by a running container. Throws when a name is unknown or an id is above 65535.
 */
export function lookUpUser(user: string, layerDirs: readonly string[]): ProcessUser {
  const [userPart = "", groupPart, ...rest] = user.split(":");
  if (rest.length > 0) throw new Error(`cannot run as user "${user}": USER[:GROUP] is expected`);
  const passwd = parseDatabase(readDatabase(layerDirs, "passwd"));
  const group = parseDatabase(readDatabase(layerDirs, "group"));
  const isId = /^[0-9]+$/.test(userPart);
  const wanted = userPart === "" ? "0" : userPart;
  const entry = passwd.find((fields) =>
    isId || userPart === "" ? Number(fields[2]) === Number(wanted) : fields[0] === wanted,
  );
  if (entry === undefined && !isId && userPart !== "") {
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
  const database = parseDatabase(readDatabase(layerDirs, "group"));
  return groups.map((name) => lookUpGroup(name, database, `:${name}`));
}

function lookUpGroup(name: string, group: readonly string[][], user: string): number {
  if (/^[0-9]+$/.test(name)) return parseId(name, user);
  const entry = group.find((fields) => fields[0] === name);
  if (entry === undefined) {
    throw new Error(
      `cannot run as user "${user}": the image's /etc/group has no group "${name}"; use a numeric id, or a name that is in the image`,
    );
  }
  return parseId(entry[2] ?? "", user);
}

function memberships(name: string, group: readonly string[][]): number[] {
  const gids = group
    .filter((fields) => (fields[3] ?? "").split(",").includes(name))
    .map((fields) => Number(fields[2]))
    .filter((gid) => Number.isInteger(gid) && gid >= 0 && gid <= idMax);
  return [...new Set(gids)];
}

function parseId(text: string, user: string): number {
  const id = Number(text);
  if (!/^[0-9]{1,10}$/.test(text) || id > idMax) {
    throw new Error(`cannot run as user "${user}": id ${text} is outside 0 to ${idMax}`);
  }
  return id;
}

function parseDatabase(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}

/** An image may make these files a symlink, a FIFO or endless: only a small regular file is read. */
function readDatabase(layerDirs: readonly string[], name: "passwd" | "group"): string {
  for (const layer of layerDirs.toReversed()) {
    const directory = lstatSync(join(layer, "etc"), { throwIfNoEntry: false });
    if (directory === undefined) continue;
    if (!directory.isDirectory()) return "";
    const path = join(layer, "etc", name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) continue;
    return found.isFile() ? readRegular(path) : "";
  }
  return "";
}

function readRegular(path: string): string {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return "";
    if (stat.size > databaseBytesMax) {
      throw new Error(
        `cannot look up users: the image's ${path.slice(path.indexOf("/etc/"))} has ${stat.size} bytes, at most ${databaseBytesMax} are read`,
      );
    }
    const bytes = Buffer.alloc(stat.size);
    const length = readSync(fd, bytes, 0, stat.size, 0);
    return bytes.toString("utf8", 0, length);
  } finally {
    closeSync(fd);
  }
}
