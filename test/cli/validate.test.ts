import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { createDirectoryReader } from "../../cli/directory-reader.ts";
import { runBerth } from "./run-berth.ts";

const run = promisify(execFile);
const good = "services:\n  web:\n    image: docker.io/library/web:1\n    ports: ['8080:80']\n";
const bad = "services:\n  web:\n    imagee: web:1\n    image: docker.io/library/web:1\n";

test("a valid tree is counted", async (t) => {
  const tree = await makeTree(t, {
    "shop/compose.yaml": good,
    "blog/compose.yaml": good.replace("8080", "8081"),
  });
  const { code, stdout, stderr } = await runBerth(["validate", tree]);
  t.is(stderr, "");
  t.is(code, 0);
  t.is(stdout, "valid: 2 apps, 2 services\n");
});

test("every mistake is told with its place", async (t) => {
  const tree = await makeTree(t, { "shop/compose.yaml": bad, "blog/compose.yaml": bad });
  const { code, stderr } = await runBerth(["validate", tree]);
  t.is(code, 1);
  t.regex(stderr, /^blog\/compose\.yaml:3:5: .*imagee/m);
  t.regex(stderr, /^shop\/compose\.yaml:3:5: .*imagee/m);
  const asJson = await runBerth(["validate", "--json", tree]);
  t.is(asJson.code, 1);
  const { ok, errors } = JSON.parse(asJson.stdout);
  t.false(ok);
  t.deepEqual([errors[0].file, errors[0].line, errors[0].column], ["blog/compose.yaml", 3, 5]);
});

test("config prints the desired state, and nothing of a tree with mistakes", async (t) => {
  const tree = await makeTree(t, { "shop/compose.yaml": good });
  const { code, stdout } = await runBerth(["config", tree, "--host", "web1"]);
  t.is(code, 0);
  const desired = JSON.parse(stdout);
  t.is(desired.apps[0].services[0].name, "web");
  t.is(desired.apps[0].services[0].ports[0].hostPort, 8080);
  const broken = await makeTree(t, { "shop/compose.yaml": bad });
  const refused = await runBerth(["config", broken]);
  t.is(refused.code, 1);
  t.is(refused.stdout, "");
});

test("a bare repository is read at HEAD, and at --ref", async (t) => {
  const tree = await makeTree(t, { "shop/compose.yaml": good });
  const git = (...args: readonly string[]) =>
    run("git", ["-C", tree, "-c", "user.name=t", "-c", "user.email=t@example", ...args]);
  await git("init", "-q", "-b", "main");
  await git("add", ".");
  await git("commit", "-qm", "good");
  await git("checkout", "-qb", "broken");
  await writeFile(join(tree, "shop/compose.yaml"), bad);
  await git("commit", "-qam", "bad");
  await git("checkout", "-q", "main");
  const bare = join(await makeTree(t, {}), "fleet.git");
  await run("git", ["clone", "-q", "--bare", tree, bare]);
  t.is((await runBerth(["validate", bare])).stdout, "valid: 1 app, 1 service\n");
  const broken = await runBerth(["validate", bare, "--ref", "broken"]);
  t.is(broken.code, 1);
  t.regex(broken.stderr, /^shop\/compose\.yaml:3:5: /);
  const { stdout: head } = await git("rev-parse", "HEAD");
  t.is(JSON.parse((await runBerth(["config", bare])).stdout).revision, head.trim());
});

test("a tree that is none is named", async (t) => {
  const { code, stderr } = await runBerth(["validate", "/nonexistent/tree"]);
  t.is(code, 1);
  t.is(
    stderr,
    "berth: cannot read /nonexistent/tree because there is no such directory: a working tree or a bare repository is expected\n",
  );
});

test("the directory reader sees regular files only, and none of git's or npm's", async (t) => {
  const tree = await makeTree(t, {
    "a.txt": "a",
    "d/b.txt": "b",
    ".git/config": "x",
    "d/node_modules/c.txt": "x",
    ".env": "E=1",
  });
  await symlink("/etc/passwd", join(tree, "link"));
  await symlink("/etc", join(tree, "d/etc"));
  const reader = createDirectoryReader(tree);
  t.deepEqual(await reader.list(), [".env", "a.txt", "d/b.txt"]);
  for (const path of ["link", "d/etc/passwd", "../outside", "/etc/passwd", ".git/config", "d"]) {
    t.is(await reader.read(path, 100), undefined, path);
  }
});

test("the directory reader refuses what is larger than asked for, and what became a link", async (t) => {
  const tree = await makeTree(t, { "a.txt": "0123456789" });
  const reader = createDirectoryReader(tree);
  t.is(Buffer.from((await reader.read("a.txt", 10)) ?? "").toString(), "0123456789");
  await t.throwsAsync(reader.read("a.txt", 9), {
    code: "EFBIG",
    message: /a\.txt because it is too large: at most 9 bytes/,
  });
  await rm(join(tree, "a.txt"));
  await symlink("/etc/passwd", join(tree, "a.txt"));
  await t.throwsAsync(reader.read("a.txt", 10), { code: "ELOOP" });
});

async function makeTree(
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), "bt-cli-"));
  t.teardown(() => rm(tree, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
  }
  return tree;
}

test("config --app prints the app as Compose does, with paths below its directory", async (t) => {
  const tree = await makeTree(t, {
    "shop/site": "x",
    "shop/compose.yaml":
      "services: {web: {image: nginx, volumes: ['./site:/site:ro'], command: echo $$HOME}}",
  });
  const { code, stdout } = await runBerth(["config", tree, "--app", "shop"]);
  t.is(code, 0);
  const site = { type: "bind", source: join(tree, "shop/site"), target: "/site", read_only: true };
  t.deepEqual(JSON.parse(stdout), {
    name: "shop",
    networks: { default: { ipam: {}, name: "shop_default" } },
    services: {
      web: {
        command: ["echo", "$$HOME"],
        entrypoint: null,
        image: "nginx",
        networks: { default: null },
        volumes: [{ ...site, bind: {} }],
      },
    },
  });
  const other = await runBerth(["config", tree, "--app", "web"]);
  t.is(other.code, 1);
  t.regex(other.stderr, /the host runs no app of that name: it runs shop/);
});
