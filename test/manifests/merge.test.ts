import test from "ava";
import type { App } from "../../manifests/desired-state.ts";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import { compile, errorsOf } from "./compile.ts";

async function appOf(files: Readonly<Record<string, string>>): Promise<App> {
  const result = await compile(files);
  if (!result.ok) throw new Error(result.errors.map(formatDiagnostic).join("\n"));
  const [app] = result.desired.apps;
  if (app === undefined) throw new Error("there is no app");
  return app;
}

/** The service `a` of an override merged over a base, both written as fields of the service. */
async function merged(base: string, over: string) {
  const app = await appOf({
    "app/compose.yaml": `services: {a: {image: x, ${base}}}\nvolumes: {v: , w: }\nnetworks: {n: , m: }`,
    "app/compose.override.yaml": `services: {a: {${over}}}`,
  });
  return app.services[0];
}

test("mappings are merged key by key, whatever form each of them has", async (t) => {
  t.deepEqual((await merged("environment: [A=1, B=1]", "environment: {B: 2, C: }"))?.environment, {
    A: "1",
    B: "2",
  });
  t.deepEqual((await merged("labels: {a: 1, b: 1}", "labels: ['b=2']"))?.labels, {
    a: "1",
    b: "2",
  });
  const { dependsOn, networks } =
    (await merged("networks: [n]", "networks: {m: {aliases: [x]}}")) ?? {};
  t.deepEqual(dependsOn, {});
  t.deepEqual(networks, { n: [], m: ["x"] });
});

test("lists follow each other without doubles; the same port, target or name takes the other's place", async (t) => {
  const ports = await merged(
    "ports: ['80:80', '81:81/udp']",
    "ports: ['82:82', {target: 80, published: '80'}]",
  );
  t.deepEqual(
    ports?.ports.map(({ hostPort, protocol }) => `${hostPort}/${protocol}`),
    ["80/tcp", "81/udp", "82/tcp"],
  );
  const volumes = await merged("volumes: [v:/a, v:/b]", "volumes: ['w:/a/:ro', v:/c]");
  t.deepEqual(
    volumes?.mounts.map((mount) => mount.type === "volume" && `${mount.volume}${mount.target}`),
    ["w/a", "v/b", "v/c"],
  );
  t.deepEqual((await merged("cap_add: [CHOWN, KILL]", "cap_add: [KILL]"))?.options?.security, {
    capabilitiesAdded: ["CHOWN", "KILL"],
  });
  t.deepEqual((await merged("dns: 9.9.9.9", "dns: [1.1.1.1, 9.9.9.9]"))?.options?.dns, {
    servers: ["9.9.9.9", "1.1.1.1"],
  });
});

test("commands, entrypoints and tests of healthchecks are replaced", async (t) => {
  t.deepEqual((await merged("command: a b", "command: [c]"))?.command, ["c"]);
  t.is((await merged("command: a b", "command: "))?.command, undefined);
  const check = await merged(
    "healthcheck: {test: [CMD, a], interval: 5s}",
    "healthcheck: {test: b, retries: 9}",
  );
  t.like(check?.healthcheck, { test: ["CMD-SHELL", "b"], intervalMs: 5000, retries: 9 });
});

test("!reset takes away, !override stands for all of it", async (t) => {
  const reset = await merged(
    "ports: ['80:80'], tty: true, environment: {A: 1, B: 1}",
    "ports: !reset [], tty: !reset null, environment: {A: !reset }",
  );
  t.deepEqual(reset?.ports, []);
  t.false(reset?.tty);
  t.deepEqual(reset?.environment, { B: "1" });
  const over = await merged(
    "ports: ['80:80'], environment: {A: 1}",
    "ports: !override ['81:81'], environment: !override {B: 1}",
  );
  t.deepEqual(
    over?.ports.map(({ hostPort }) => hostPort),
    [81],
  );
  t.deepEqual(over?.environment, { B: "1" });
});

test("documents of one file are merged like files", async (t) => {
  const app = await appOf({
    "app/compose.yaml":
      "services: {a: {image: x, command: one}}\n---\nname: other\nservices: {a: {tty: true}, b: {image: y}}\n---\n",
  });
  t.is(app.name, "other");
  t.deepEqual(
    app.services.map(({ name, image, tty }) => [name, image, tty]),
    [
      ["a", "x", true],
      ["b", "y", false],
    ],
  );
});

test("a service extends another one, of its own file or of another one, with paths of that file's", async (t) => {
  const app = await appOf({
    "app/compose.yaml": `
services:
  a: {extends: b, environment: {A: a}}
  b: {extends: {service: base, file: ../shared/base.yaml}, environment: {B: b}, ports: !reset [], volumes: ["./x:/x:ro"]}
`,
    "app/x": "",
    "shared/base.yaml":
      'services: {base: {extends: deep, environment: {A: base, BASE: "$WHO"}, ports: ["80:80"], env_file: base.env}, deep: {image: deep, volumes: ["./files:/f:ro"]}}',
    "shared/base.env": "FILE=1",
    "shared/files": "",
    "app/.env": "WHO=me",
  });
  const [a, b] = app.services;
  t.is(a?.image, "deep");
  t.deepEqual(a?.environment, { A: "a", B: "b", BASE: "me", FILE: "1" });
  t.deepEqual(a?.ports, []);
  t.deepEqual(
    b?.mounts.map(({ target }) => target),
    ["/f", "/x"],
  );
});

test("included files keep their own paths and variables, and give way to the file that includes them", async (t) => {
  const app = await appOf({
    "app/compose.yaml": `
include:
  - ../db/compose.yaml
  - path: [../cache/a.yaml, ../cache/b.yaml]
    project_directory: ../cache
    env_file: cache.env
services:
  web: {image: web, depends_on: [db, cache]}
  db: {environment: {OWN: web}}
`,
    "app/.env": "SHARED=app",
    "app/cache.env": "TAG=7",
    "db/compose.yaml":
      'services: {db: {image: "db:$VERSION", env_file: db.env, environment: {OWN: db, S: "$SHARED"}, volumes: [data:/d]}}\nvolumes: {data: }',
    "db/.env": "VERSION=15\nSHARED=db",
    "db/db.env": "FROM=file",
    "cache/a.yaml": 'services: {cache: {image: "cache:$TAG"}}',
    "cache/b.yaml": "services: {cache: {tty: true}}",
  });
  const [cache, db] = app.services;
  t.like(cache, { image: "cache:7", tty: true });
  t.is(db?.image, "db:15");
  t.deepEqual(db?.environment, { OWN: "web", S: "app", FROM: "file" });
  t.deepEqual(Object.keys(app.volumes), ["data"]);
});

/** Files beside app/compose.yaml -> every error. */
const wrong: readonly (readonly [Readonly<Record<string, string>>, readonly string[]])[] = [
  [
    {
      "app/compose.yaml": "services: {a: {image: x, ports: ['80:80']}}",
      "app/compose.override.yaml": "services:\n  a: {ports: {80: 80}}",
    },
    ["app/compose.override.yaml:2:15: a key must be a string, not a number: write it in quotes"],
  ],
  [
    {
      "app/compose.yaml": "services: {a: {image: x, ports: ['80:80']}}",
      "app/compose.override.yaml": "services:\n  a: {ports: x, tty: 1}",
    },
    [
      "app/compose.override.yaml:2:14: services.a.ports: a list is expected, not a string",
      "app/compose.override.yaml:2:14: services.a.ports: a string cannot be merged over a list (app/compose.yaml:1:33): write both in one form, or use !override",
      "app/compose.override.yaml:2:22: services.a.tty: a boolean or a string is expected, not a number",
    ],
  ],
  [
    { "app/compose.yaml": "services: {a: {extends: b}, b: {extends: a}}" },
    [
      "app/compose.yaml:1:16: services.a.extends goes round in a circle: a (app/compose.yaml) -> b (app/compose.yaml) -> a (app/compose.yaml)",
      "app/compose.yaml:1:33: services.b.extends goes round in a circle: b (app/compose.yaml) -> a (app/compose.yaml) -> b (app/compose.yaml)",
      "app/compose.yaml:1:12: services.a: image is missing",
      "app/compose.yaml:1:29: services.b: image is missing",
    ].sort(),
  ],
  [
    {
      "app/compose.yaml": "services: {a: {image: x, extends: {service: bb, file: no.yaml, x: 1}}}",
    },
    [
      "app/compose.yaml:1:55: there is no file app/no.yaml in the repository",
      "app/compose.yaml:1:64: services.a.extends.x: Compose knows no such key",
    ],
  ],
  [
    {
      "app/compose.yaml": "services: {a: {image: x, extends: {service: bas, file: f.yaml}}}",
      "app/f.yaml": "services: {base: {image: x}}",
    },
    [
      'app/compose.yaml:1:45: services.a.extends: there is no service "bas" in app/f.yaml; did you mean "base"?',
    ],
  ],
  [
    {
      "app/compose.yaml": "services: {a: {image: x, extends: {service: b, file: f.yaml}}}",
      "app/f.yaml": "services: {b: {image: x, tty: 1, nope: 2}}",
    },
    [
      "app/f.yaml:1:31: services.a.tty: a boolean or a string is expected, not a number",
      "app/f.yaml:1:34: services.a.nope: Compose knows no such key",
    ],
  ],
  [
    {
      "app/compose.yaml": "include: [b.yaml]\nservices: {}",
      "app/b.yaml": "include: [c.yaml]",
      "app/c.yaml": "include: [b.yaml]",
    },
    [
      "app/c.yaml:1:11: include[0] goes round in a circle: app/compose.yaml -> app/b.yaml -> app/c.yaml -> app/b.yaml",
    ],
  ],
  [
    {
      "app/compose.yaml":
        "include: ['https://example.org/x.git', {paths: x}, ../../x.yaml]\nservices: {}",
    },
    [
      'app/compose.yaml:1:11: not supported by berth: include[0]: "https://example.org/x.git" is not a file of the repository: copy it there and name it by its relative path',
      "app/compose.yaml:1:40: include[1]: path is missing",
      "app/compose.yaml:1:41: include[1].paths: Compose knows no such key",
      'app/compose.yaml:1:52: not supported by berth: include[2]: "../../x.yaml" is not a file of the repository: copy it there and name it by its relative path',
    ],
  ],
];

for (const [files, expected] of wrong) {
  test(`names what is wrong in ${JSON.stringify(files)}`, async (t) => {
    t.deepEqual(await errorsOf(files), expected);
  });
}
