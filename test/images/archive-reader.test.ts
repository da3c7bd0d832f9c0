import test from "ava";
import { readArchive } from "../../runtime/images/archive-reader.ts";
import { buildTar } from "../builders/tar.ts";

type Seen = { path: string; text?: string; target?: string };

async function read(bytes: Buffer, chunkBytes = 700): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const entry of readArchive(chunks(bytes, chunkBytes))) {
    if (entry.kind === "alias") {
      seen.push({ path: entry.path, target: entry.target });
      continue;
    }
    const parts: Buffer[] = [];
    for await (const part of entry.body) parts.push(part);
    seen.push({ path: entry.path, text: Buffer.concat(parts).toString() });
  }
  return seen;
}

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const file = (path: string, text: string) =>
  ({ type: "file", path, content: Buffer.from(text) }) as const;

test("files and links are told in order, whatever the size of the chunks", async (t) => {
  const tar = buildTar([
    { type: "directory", path: "a/" },
    file("./a/one", "1".repeat(1000)),
    { type: "symlink", path: "b/two", target: "../a/one" },
    file("empty", ""),
  ]);
  for (const size of [1, 511, 512, 513, 1 << 20]) {
    t.deepEqual(await read(tar, size), [
      { path: "a/one", text: "1".repeat(1000) },
      { path: "b/two", target: "a/one" },
      { path: "empty", text: "" },
    ]);
  }
});

test("a body that nobody reads is skipped", async (t) => {
  const paths: string[] = [];
  const tar = buildTar([file("a", "x".repeat(5000)), file("b", "y")]);
  for await (const entry of readArchive(chunks(tar, 100))) {
    paths.push(entry.path);
    if (entry.kind === "file") for await (const _ of entry.body) break;
  }
  t.deepEqual(paths, ["a", "b"]);
});

test("long names of GNU and pax are understood", async (t) => {
  const long = `${"d".repeat(90)}/${"f".repeat(90)}`;
  const gnu = retyped(buildTar([file("././@LongLink", `${long}\0`)]), "L");
  const record = ` path=${long}\n`;
  const pax = retyped(buildTar([file("pax", `${record.length + 3}${record}`)]), "x");
  const body = buildTar([file("short", "1")]);
  for (const extension of [gnu, pax]) {
    const bytes = Buffer.concat([extension.subarray(0, -1024), body]);
    t.deepEqual(await read(bytes), [{ path: long, text: "1" }]);
  }
});

const refused: readonly (readonly [string, Buffer, RegExp])[] = [
  ["an absolute path", buildTar([file("/etc/passwd", "x")]), /is not allowed/],
  ["a path that leaves the archive", buildTar([file("a/../../b", "x")]), /leaves the archive/],
  [
    "a link that leaves the archive",
    buildTar([{ type: "symlink", path: "a/b", target: "../../etc/passwd" }]),
    /leaves the archive/,
  ],
  [
    "an archive that was cut",
    buildTar([file("a", "x".repeat(2000))]).subarray(0, 1200),
    /too early/,
  ],
  ["a device", retyped(buildTar([file("a", "")]), "3"), /neither a file nor a directory/],
  ["a wrong checksum", Buffer.concat([Buffer.from("x"), buildTar([file("a", "")])]), /checksum/],
  ["noise", Buffer.alloc(2048, 0x5a), /malformed|checksum/],
];

for (const [what, bytes, message] of refused) {
  test(`${what} is refused`, async (t) => {
    await t.throwsAsync(read(bytes), { name: "ImageError", message });
  });
}

/** The same archive with another type flag on its first entry. */
function retyped(tar: Buffer, type: string): Buffer {
  const copy = Buffer.from(tar);
  copy.write(type, 156);
  copy.write("        ", 148);
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  copy.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return copy;
}
