import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { lookUpUser } from "../../runtime/containers/user-lookup.ts";

const passwd = `root:x:0:0:root:/root:/bin/sh
web:x:1000:1001:Web:/home/web:/bin/sh
# a comment
1234:x:77:77:digits as a name:/:/bin/sh
`;
const group = `root:x:0:
staff:x:50:web,other
audio:x:63:other
video:x:44:web
`;

function withLayers(
  work: (dirs: readonly string[], add: (layer: number, name: string, text: string) => void) => void,
): void {
  const root = mkdtempSync(join(tmpdir(), "bt-users-"));
  const dirs = ["lower", "upper"].map((name) => join(root, name));
  try {
    for (const dir of dirs) mkdirSync(join(dir, "etc"), { recursive: true });
    work(dirs, (layer, name, text) => writeFileSync(join(dirs[layer] ?? root, "etc", name), text));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test("a name is looked up with its groups and home", (t) => {
  withLayers((dirs, add) => {
    add(0, "passwd", passwd);
    add(0, "group", group);
    t.deepEqual(lookUpUser("web", dirs), {
      uid: 1000,
      gid: 1001,
      supplementaryGids: [50, 44],
      home: "/home/web",
    });
  });
});

test("no user is root, with or without a passwd", (t) => {
  withLayers((dirs, add) => {
    t.deepEqual(lookUpUser("", dirs), { uid: 0, gid: 0, supplementaryGids: [], home: "/" });
    add(0, "passwd", passwd);
    t.is(lookUpUser("", dirs).home, "/root");
  });
});

test("digits are an id, never a name", (t) => {
  withLayers((dirs, add) => {
    add(0, "passwd", passwd);
    t.is(lookUpUser("1234", dirs).uid, 1234);
    t.is(lookUpUser("1000:5", dirs).gid, 5);
  });
});

test("the upper layer's passwd hides the lower one", (t) => {
  withLayers((dirs, add) => {
    add(0, "passwd", passwd);
    add(1, "passwd", "web:x:2000:2000::/:/bin/sh\n");
    t.is(lookUpUser("web", dirs).uid, 2000);
  });
});

test("unknown names and ids beyond the container's range are refused with what would fix it", (t) => {
  withLayers((dirs, add) => {
    add(0, "passwd", `${passwd}huge:x:4294967296:0::/:/bin/sh\n`);
    add(0, "group", group);
    t.throws(() => lookUpUser("ghost", dirs), { message: /no such name; use a numeric id/ });
    t.throws(() => lookUpUser("web:ghosts", dirs), { message: /no group "ghosts"/ });
    t.throws(() => lookUpUser("70000", dirs), { message: /outside 0 to 65535/ });
    t.throws(() => lookUpUser("4294967296", dirs), { message: /outside 0 to 65535/ });
    t.throws(() => lookUpUser("huge", dirs), { message: /outside 0 to 65535/ });
    t.throws(() => lookUpUser("a:b:c", dirs), { message: /USER\[:GROUP\] is expected/ });
  });
});

test("a passwd that is a link, a FIFO or too large is not read (CVE-2026-47262, CVE-2024-9676)", (t) => {
  withLayers(([lower = "", upper = ""], add) => {
    const dirs = [lower, upper];
    symlinkSync("/etc/passwd", join(upper, "etc", "passwd"));
    t.throws(() => lookUpUser("daemon", dirs), { message: /no such name/ });
    rmSync(join(upper, "etc", "passwd"));
    execFileSync("mkfifo", [join(upper, "etc", "passwd")]);
    t.throws(() => lookUpUser("daemon", dirs), { message: /no such name/ });
    rmSync(join(upper, "etc", "passwd"));
    add(1, "passwd", "x".repeat(2 * 1024 * 1024));
    t.throws(() => lookUpUser("daemon", dirs), { message: /at most 1048576 are read/ });
  });
});

test("an etc that is a link is not followed onto the host", (t) => {
  withLayers(([lower = "", upper = ""]) => {
    rmSync(join(upper, "etc"), { recursive: true });
    symlinkSync("/etc", join(upper, "etc"));
    t.throws(() => lookUpUser("daemon", [lower, upper]), { message: /no such name/ });
  });
});
