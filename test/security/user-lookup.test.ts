import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { lookUpUser } from "../../runtime/containers/user-lookup.ts";

/** A layer with this /etc, gone afterwards. */
function withEtc(fill: (etc: string) => void, work: (layers: readonly string[]) => void): void {
  const layer = mkdtempSync(join(tmpdir(), "bt-users-"));
  try {
    mkdirSync(join(layer, "etc"));
    fill(join(layer, "etc"));
    work([layer]);
  } finally {
    rmSync(layer, { recursive: true, force: true });
  }
}

const passwd = (text: string) => (etc: string) => writeFileSync(join(etc, "passwd"), text);

for (const user of [
  "4294967296",
  "4294967295",
  "65536",
  "99999999999999999999",
  "0:4294967296",
  "1000:65536",
]) {
  test(`CVE-2024-40635: the id ${user} is refused, and is not taken modulo 2^32`, (t) => {
    withEtc(passwd("root:x:0:0::/:/bin/sh\n"), (layers) => {
      t.throws(() => lookUpUser(user, layers), { message: /outside 0 to 65535/ });
    });
  });
}

test("CVE-2024-40635: an id of passwd that overflows is refused, not root", (t) => {
  withEtc(passwd("big:x:4294967296:0::/:/bin/sh\nneg:x:-1:0::/:\nnone:x::0::/:\n"), (layers) => {
    for (const user of ["big", "neg", "none"]) {
      t.throws(() => lookUpUser(user, layers), { message: /outside 0 to 65535/ }, user);
    }
  });
});

test("CVE-2026-46680: digits are an id and never a name", (t) => {
  withEtc(passwd("1000:x:0:0::/root:/bin/sh\nroot:x:0:0::/root:/bin/sh\n"), (layers) => {
    t.like(lookUpUser("1000", layers), { uid: 1000, gid: 0, supplementaryGids: [] });
    t.is(lookUpUser("1000:1000", layers).gid, 1000);
  });
});

test("CVE-2026-30892: signs, spaces and prefixes make no id", (t) => {
  withEtc(passwd("root:x:0:0::/root:/bin/sh\n"), (layers) => {
    for (const user of ["-1", "+0", " 0", "0 ", "0x0", "0\n", "1e3", "٠"]) {
      t.throws(() => lookUpUser(user, layers), undefined, JSON.stringify(user));
    }
  });
});

test("CVE-2026-47262, CVE-2024-9676: a passwd that is huge, a FIFO or a link is not read", (t) => {
  withEtc(
    (etc) => writeFileSync(join(etc, "passwd"), Buffer.alloc(2_000_000, "x")),
    (layers) => t.throws(() => lookUpUser("web", layers), { message: /at most 1048576 are read/ }),
  );
  withEtc(
    (etc) => execFileSync("mkfifo", [join(etc, "passwd")]),
    (layers) => t.throws(() => lookUpUser("web", layers), { message: /no such name/ }),
  );
  withEtc(
    (etc) => symlinkSync("/etc/passwd", join(etc, "passwd")),
    (layers) => t.throws(() => lookUpUser("daemon", layers), { message: /no such name/ }),
  );
});

test("CVE-2026-47262: a passwd of line ends and colons takes no more memory than its size allows", (t) => {
  const bytes = 1_048_000;
  for (const filler of ["\n", ":", "a:\n", ","]) {
    const text = `${filler.repeat(bytes / filler.length)}\nweb:x:1000:1001::/home/web:\n`;
    const fill = (etc: string) => {
      writeFileSync(join(etc, "passwd"), text);
      writeFileSync(join(etc, "group"), `many:x:50:${",".repeat(bytes)}web\n${filler}`);
    };
    withEtc(fill, (layers) => {
      const before = process.memoryUsage().heapUsed;
      t.like(lookUpUser("web", layers), { uid: 1000, supplementaryGids: [50] });
      t.true(process.memoryUsage().heapUsed - before < 48 * 1024 * 1024, JSON.stringify(filler));
    });
  }
});
