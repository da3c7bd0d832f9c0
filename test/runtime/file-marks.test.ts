import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { FileMarks } from "../../runtime/containers/file-marks.ts";
import { helperPath } from "../../runtime/helper/helper-path.ts";
import { Launcher, watchedFiles } from "../../runtime/helper/launcher.ts";
import { silent } from "../images/store-harness.ts";

const launcher = new Launcher({ helperPath, log: silent });
const dir = mkdtempSync(join(tmpdir(), "berth-file-marks-"));
let count = 0;
test.after.always(async () => {
  await launcher.close();
  rmSync(dir, { recursive: true, force: true });
});

function file(text = "one\n"): string {
  const path = join(dir, `file-${count++}`);
  writeFileSync(path, text);
  return path;
}

/** Looks at each group that the paths make, and says which of them need not be read again. */
async function unchanged(marks: FileMarks, paths: Readonly<Record<string, string>>) {
  await marks.look(groupsOf(paths));
  return Object.keys(paths).filter((name) => marks.isUnchanged(name));
}

function groupsOf(paths: Readonly<Record<string, string>>) {
  return new Map(
    Object.entries(paths).map(([name, path]) => [
      name,
      watchedFiles([{ covers: "content", path }]),
    ]),
  );
}

test("a file has to be read again when its content is another, is gone or is back otherwise", async (t) => {
  const marks = new FileMarks({ launcher, log: silent });
  const paths = { a: file(), b: file() };
  t.deepEqual(await unchanged(marks, paths), [], "never read");
  marks.wasRead("a");
  marks.wasRead("b");
  t.deepEqual(await unchanged(marks, paths), ["a", "b"]);
  writeFileSync(paths.a, "two\n");
  t.deepEqual(await unchanged(marks, paths), ["b"]);
  writeFileSync(paths.a, "one\n");
  t.deepEqual(await unchanged(marks, paths), ["a", "b"], "it is what was read again");
  rmSync(paths.b);
  t.deepEqual(await unchanged(marks, paths), ["a"]);
  marks.wasRead("b");
  t.deepEqual(await unchanged(marks, paths), ["a", "b"], "it is known to be gone");
  writeFileSync(paths.b, "");
  t.deepEqual(await unchanged(marks, paths), ["a"], "an empty file is not one that is gone");
});

test("what was not looked at last, or was forgotten, has to be read again", async (t) => {
  const marks = new FileMarks({ launcher, log: silent });
  const paths = { a: file(), b: file() };
  await marks.look(groupsOf(paths));
  marks.wasRead("a");
  marks.wasRead("b");
  await marks.look(groupsOf({ a: paths.a }));
  t.true(marks.isUnchanged("a"));
  t.false(marks.isUnchanged("b"));
  marks.wasRead("b");
  t.deepEqual(await unchanged(marks, paths), ["a"], "a change between two looks is not missed");
  marks.forget("a");
  t.deepEqual(await unchanged(marks, paths), []);
});

test("a status is another one after a write, a replacement and a touch, and every file of a group counts", async (t) => {
  const marks = new FileMarks({ launcher, log: silent });
  const [first, second, third] = [file(), file(), file()];
  const group = watchedFiles([
    { covers: "status", path: first },
    { covers: "status", path: second },
    { covers: "content", path: third },
  ]);
  const changes = [
    () => appendFileSync(first, "more"),
    () => renameSync(file(), second),
    () => utimesSync(second, 1, 1),
    () => appendFileSync(third, "more"),
  ];
  for (const [index, change] of changes.entries()) {
    await marks.look(new Map([["group", group]]));
    marks.wasRead("group");
    await marks.look(new Map([["group", group]]));
    t.true(marks.isUnchanged("group"), `before change ${index}`);
    change();
    await marks.look(new Map([["group", group]]));
    t.false(marks.isUnchanged("group"), `after change ${index}`);
  }
});

test("a thousand groups are told apart", async (t) => {
  const deep = join(dir, "x".repeat(200));
  mkdirSync(deep);
  const paths = Array.from({ length: 1000 }, (_, index) => {
    const path = join(deep, `${index}`);
    writeFileSync(path, `${index}`);
    return path;
  });
  const groups = paths.map((path) => watchedFiles([{ covers: "content", path }]));
  const before = await launcher.fingerprints(groups);
  t.is(new Set(before).size, 1000);
  writeFileSync(paths[700] ?? "", "another");
  const after = await launcher.fingerprints(groups);
  t.deepEqual(
    after.flatMap((print, index) => (print === before[index] ? [] : [index])),
    [700],
  );
});

test("without an answer everything has to be read again", async (t) => {
  const lost = { fingerprints: () => Promise.reject(new Error("cannot ask the launcher")) };
  const path = file();
  let isLost = false;
  const marks = new FileMarks({
    launcher: { fingerprints: (groups) => (isLost ? lost : launcher).fingerprints(groups) },
    log: silent,
  });
  await marks.look(groupsOf({ a: path }));
  marks.wasRead("a");
  isLost = true;
  t.deepEqual(await unchanged(marks, { a: path }), []);
  marks.wasRead("a");
  isLost = false;
  t.deepEqual(await unchanged(marks, { a: path }), []);
});
