import test from "ava";
import { compileRevision } from "../../manifests/compile-revision.ts";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import { compile, errorsOf, plainService, revision } from "./compile.ts";
import { readTree } from "./read-tree.ts";

const web = "services: {web: {image: nginx}}";

const publish = (port: string) => `services: {web: {image: nginx, ports: ["${port}:80"]}}`;

async function appNames(files: Readonly<Record<string, string>>, path = "."): Promise<unknown> {
  const result = await compile(files, path);
  return result.ok
    ? result.desired.apps.map((app) => `${app.name} at ${app.path}`)
    : result.errors.map(formatDiagnostic);
}

test("an app is every directory with a Compose file, hidden ones excepted", async (t) => {
  const files = {
    "a/compose.yaml": web,
    "a/b/c/compose.yml": web,
    "d/docker-compose.yml": web,
    "e/docker-compose.yaml": web,
    ".github/compose.yaml": web,
    "a/.old/compose.yaml": web,
    "f/other.yaml": "]",
    "README.md": "]",
  };
  t.deepEqual(await appNames(files), ["a at a", "c at a/b/c", "d at d", "e at e"]);
});

test("only what lies below the path is looked at", async (t) => {
  const files = { "a/compose.yaml": web, "ab/compose.yaml": "]", "a/x/compose.yaml": web };
  t.deepEqual(await appNames(files, "./a/"), ["a at a", "x at a/x"]);
});

test("the first of several Compose files in Compose's order counts, with a warning", async (t) => {
  const result = await compile({ "a/compose.yml": "]", "a/compose.yaml": web });
  t.true(result.ok);
  if (result.ok)
    t.deepEqual(result.warnings.map(formatDiagnostic), [
      "a/compose.yml:1:1: passed over, because a/compose.yaml comes first: keep one of them",
    ]);
});

test("the first of several override files in Compose's order counts, with a warning", async (t) => {
  const result = await compile({
    "a/compose.yaml": web,
    "a/compose.override.yaml": "]",
    "a/compose.override.yml": "services: {web: {tty: true}}",
  });
  t.true(result.ok);
  if (!result.ok) return;
  t.true(result.desired.apps[0]?.services[0]?.tty);
  t.deepEqual(result.warnings.map(formatDiagnostic), [
    "a/compose.override.yaml:1:1: passed over, because a/compose.override.yml comes first: keep one of them",
  ]);
});

test("the name comes from the file, else from the directory as Compose normalizes it", async (t) => {
  t.deepEqual(
    await appNames({
      "compose.yaml": `name: $N\n${web}`,
      ".env": "N=root-app",
      "apps/_My App.2/compose.yaml": web,
    }),
    ["myapp2 at apps/_My App.2", "root-app at ."],
  );
});

test("an app at the root of the repository must name itself", async (t) => {
  t.deepEqual(await errorsOf({ "compose.yaml": web }), [
    "compose.yaml:1:1: the app has no name: set name, because the directory gives none",
  ]);
});

test("two apps of one name are an error that names both", async (t) => {
  t.deepEqual(await errorsOf({ "a/x/compose.yaml": web, "b/compose.yaml": `${web}\nname: x` }), [
    'b/compose.yaml:2:7: the app name "x" is taken by a/x/compose.yaml:1:1: give one of them another name',
  ]);
});

test("a host port wanted by two apps is an error that names both", async (t) => {
  t.deepEqual(
    await errorsOf({
      "a/compose.yaml": publish("127.0.0.1:80"),
      "b/compose.yaml": publish("80"),
      "c/compose.yaml": publish("127.0.0.2:81"),
      "d/compose.yaml": publish("127.0.0.3:81"),
    }),
    [
      "b/compose.yaml:1:40: b/web: the host port 80/tcp is already published by a/web at a/compose.yaml:1:40",
    ],
  );
});

test("errors of all files come at once, by file, line and column", async (t) => {
  const errors = await errorsOf({
    "b/compose.yaml": "services:\n  web: {tty: 1}\n  api: {image: x, zzz: 1, yyy: 2}\n",
    "a/compose.yaml": "services: [",
    "a/.env": "1+1",
  });
  t.deepEqual(
    errors.map((error) => error.split(": ", 1)[0]),
    [
      "a/.env:1:1",
      "a/compose.yaml:1:12",
      "b/compose.yaml:2:3",
      "b/compose.yaml:2:14",
      "b/compose.yaml:3:19",
      "b/compose.yaml:3:27",
    ],
  );
});

test("volumes and networks get host names, labels, and only when a service uses them", async (t) => {
  const result = await compile({
    "app/compose.yaml": [
      "services:",
      "  web: {image: nginx, volumes: [data:/d, shared:/s, ext:/e, /cache]}",
      "volumes:",
      "  data: {labels: [a=b]}",
      "  shared: {name: common, driver: local}",
      "  ext: {external: true}",
      "  unused:",
      "networks:",
      "  default: {internal: true, labels: {n: 1}}",
    ].join("\n"),
  });
  t.true(result.ok);
  if (!result.ok) return;
  const [app] = result.desired.apps;
  t.is(result.desired.revision, revision);
  t.deepEqual(app?.volumes, {
    data: { name: "app_data", labels: { a: "b" } },
    ext: { name: "ext", labels: {}, external: true },
    shared: { name: "common", labels: {} },
    "web:/cache": { name: "app_web_4f7cfe6fcd42", labels: {} },
  });
  t.deepEqual(app?.networks, {
    default: { name: "app_default", internal: true, labels: { n: "1" } },
  });
});

test("merge keys and anchors share configuration, explicit keys win", async (t) => {
  const result = await compile({
    "app/compose.yaml": [
      "x-base: &base",
      "  image: nginx",
      "  labels: {a: b}",
      "x-more: &more {tty: true, image: other}",
      "services:",
      "  one: {<<: *base, tty: false}",
      "  two: {<<: [*base, *more]}",
      "  three: {<<: *base, image: redis}",
    ].join("\n"),
  });
  t.true(result.ok);
  if (!result.ok) return;
  const labels = { a: "b" };
  t.deepEqual(result.desired.apps[0]?.services, [
    plainService({ name: "one", labels }),
    plainService({ name: "three", image: "redis", labels }),
    plainService({ name: "two", labels, tty: true }),
  ]);
});

test("odd but lawful input compiles with a warning", async (t) => {
  const result = await compile({
    "app/compose.yaml": [
      'version: "3"',
      "services:",
      "  db: {image: x, user: a$UNSET}",
      "  web:",
      "    image: x",
      "    depends_on:",
      "      db: {condition: service_healthy}",
      "      gone: {condition: service_started, required: false}",
    ].join("\n"),
  });
  t.true(result.ok);
  if (!result.ok) return;
  t.deepEqual(result.warnings.map(formatDiagnostic), [
    "app/compose.yaml:1:1: version: Compose has no use for this key any more, remove it",
    "app/compose.yaml:3:25: the variable UNSET is not set: it stands for nothing",
    'app/compose.yaml:7:7: services.web.depends_on: "db" has no healthcheck of its own: without one in its image it never gets healthy',
    'app/compose.yaml:8:7: services.web.depends_on: there is no service "gone", so nothing waits for it',
  ]);
});

test("a path that is not in the revision is an error, a revision without apps is not", async (t) => {
  t.deepEqual(await appNames({ "a/compose.yaml": web }, "b"), [
    "b:1:1: there is no such directory in the revision: a directory with apps below it is expected",
  ]);
  t.deepEqual(await appNames({ "README.md": "" }), []);
});

test("variables that steer Compose are refused", async (t) => {
  t.deepEqual(
    await errorsOf({
      "a/compose.yaml": web,
      "a/.env": "COMPOSE_FILE=c\nCOMPOSE_ENV_FILES=d",
    }),
    [
      "a/.env:1:1: not supported by berth: COMPOSE_ENV_FILES in .env: keep the variables in .env",
      "a/.env:1:1: not supported by berth: COMPOSE_FILE in .env: keep one Compose file in the directory",
    ],
  );
});

test("COMPOSE_PROJECT_NAME in .env goes before the name in the file, which is lower-cased", async (t) => {
  const files = { "a/compose.yaml": `name: My App\n${web}` };
  const named = await compile(files);
  t.like(named, { ok: true, desired: { apps: [{ name: "myapp" }] } });
  t.deepEqual(named.ok && named.warnings.map(formatDiagnostic), [
    'a/compose.yaml:1:7: name: "My App" becomes myapp, as Compose has it',
  ]);
  const own = await compile({ ...files, "a/.env": "COMPOSE_PROJECT_NAME=own" });
  t.like(own, { ok: true, desired: { apps: [{ name: "own" }] } });
  t.deepEqual(await errorsOf({ ...files, "a/.env": "COMPOSE_PROJECT_NAME=Own" }), [
    'a/.env:1:1: COMPOSE_PROJECT_NAME: "Own" is not a name for an app: lower-case letters, digits, - and _, beginning with a letter or digit',
  ]);
});

test("that SELinux labels are not set is said once for an app", async (t) => {
  const mounts = "volumes: ['data:/x:z', '/srv:/y:ro,Z', 'data:/z']";
  const result = await compile({
    "a/compose.yaml": `services:\n  web:\n    image: nginx\n    ${mounts}\nvolumes: {data: {}}`,
  });
  t.deepEqual(result.ok && result.warnings.map(formatDiagnostic), [
    "a/compose.yaml:4:15: services.web.volumes[0]: SELinux labels are not set: z has no effect",
  ]);
});

test("a file that the reader finds too large is an error of the commit", async (t) => {
  t.deepEqual(await errorsOf({ "a/compose.yaml": "#".repeat(1024 * 1024 + 1) }), [
    'a/compose.yaml:1:1: the file "a/compose.yaml" is too large: at most 1048576 bytes are allowed',
  ]);
});

test("a reader that fails, and an abort, reject: they say nothing about the commit", async (t) => {
  const request = { revision, host: "test", path: "." };
  const reader = readTree({ "a/compose.yaml": web });
  const broken = { ...reader, read: () => Promise.reject(new Error("the disk is gone")) };
  const abort = new AbortController();
  await t.throwsAsync(compileRevision({ ...request, reader: broken, abort: abort.signal }), {
    message: "the disk is gone",
  });
  abort.abort();
  await t.throwsAsync(compileRevision({ ...request, reader, abort: abort.signal }), {
    name: "AbortError",
  });
});

test("a thousand services in a hundred files compile", async (t) => {
  const files: Record<string, string> = {};
  for (let app = 0; app < 100; app += 1) {
    const services = Array.from(
      { length: 10 },
      (_, index) =>
        `  s${index}: {image: "x:${app}", ports: ["${10_000 + app * 10 + index}:80"]}\n`,
    );
    files[`apps/a${app}/compose.yaml`] = `services:\n${services.join("")}`;
  }
  const result = await compile(files);
  t.true(result.ok && result.desired.apps.flatMap((app) => app.services).length === 1000);
});

test("a container that a service names gives its network to others of the app", async (t) => {
  const text =
    "services: {vpn: {image: v, container_name: tunnel}, web: {image: w, network_mode: 'container:tunnel'}}";
  const result = await compile({ "a/compose.yaml": text });
  const [, found] = (result.ok && result.desired.apps[0]?.services) || [];
  t.like(found, {
    name: "web",
    networks: {},
    options: { namespaces: { network: { service: "vpn" } } },
    dependsOn: { vpn: { condition: "service_started" } },
  });
});
