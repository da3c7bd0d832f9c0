import test from "ava";
import { compileRevision } from "../../manifests/compile-revision.ts";
import type { Service } from "../../manifests/desired-state.ts";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import { compile, plainService, revision, serviceOf } from "./compile.ts";
import { readTree } from "./read-tree.ts";

const web = (lines: string) => serviceOf(`services:\n  web:\n    image: nginx\n    ${lines}\n`);

async function servicesOf(files: Readonly<Record<string, string>>): Promise<readonly Service[]> {
  const result = await compileRevision({
    revision,
    reader: readTree(files),
    host: "web1",
    path: ".",
    abort: new AbortController().signal,
  });
  if (!result.ok) throw new Error(result.errors.map(formatDiagnostic).join("\n"));
  return result.desired.apps.flatMap((app) => app.services);
}

/** Lines of a service -> what they make of it. */
const understood: readonly (readonly [string, Partial<Service>])[] = [
  ["container_name: my.web", { containerName: "my.web" }],
  ["platform: linux/amd64", { platform: "linux/amd64" }],
  [
    'cpu_period: "100000"\n    cpu_quota: "-1"',
    { resources: { cpuPeriodUs: 100_000, cpuQuotaUs: -1 } },
  ],
  [
    "cpu_period: 100ms\n    cpu_quota: 50ms",
    { resources: { cpuPeriodUs: 100_000, cpuQuotaUs: 50_000 } },
  ],
  ["pull_policy: always", { pullPolicy: "always" }],
  ["pull_policy: daily", { pullPolicy: { everyMs: 86_400_000 } }],
  ["pull_policy: weekly", { pullPolicy: { everyMs: 604_800_000 } }],
  ["pull_policy: every_1d12h", { pullPolicy: { everyMs: 129_600_000 } }],
  ["pull_policy: if_not_present", {}],
  ["attach: false\n    expose: [80, 90-91/udp]", {}],
  ["logging:", {}],
  [
    'logging: {driver: json-file, options: {max-size: 1m, max-file: "2"}}',
    { log: { fileBytesMax: 1_048_576, filesMax: 2 } },
  ],
  [
    "deploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}}",
    { restart: { condition: "on-failure", attemptsMax: 3, delayMs: 5000, windowMs: 120_000 } },
  ],
  ["deploy: {restart_policy: {}}", { restart: { condition: "always" } }],
  ["deploy: {restart_policy: {condition: always}}", { restart: { condition: "always" } }],
  [
    "deploy: {restart_policy: {condition: unless-stopped}}",
    { restart: { condition: "unless-stopped" } },
  ],
  ["platform: ''\n    hostname: a_b", { hostname: "a_b" }],
  [
    "restart: unless-stopped\n    deploy: {restart_policy: {delay: 1s}}",
    { restart: { condition: "unless-stopped", delayMs: 1000 } },
  ],
  ["deploy: {mode: global, labels: [a=b]}", { deploy: { labels: { a: "b" } } }],
  ["deploy: {resources: {reservations: {cpus: '0.5'}}}", { resources: { cpuShares: 512 } }],
  [
    "deploy: {update_config: {order: start-first, parallelism: 2, failure_action: rollback, max_failure_ratio: 0.1, monitor: 1m, delay: 2s}, rollback_config: {}}",
    {
      deploy: {
        update: {
          parallelism: 2,
          delayMs: 2000,
          failureAction: "rollback",
          monitorMs: 60_000,
          failureRatioMax: 0.1,
          order: "start-first",
        },
        rollback: {
          parallelism: 1,
          delayMs: 0,
          failureAction: "pause",
          monitorMs: 5000,
          failureRatioMax: 0,
          order: "stop-first",
        },
      },
    },
  ],
];

for (const [lines, fields] of understood) {
  test(`understands ${lines.replaceAll(/\s+/g, " ")}`, async (t) => {
    t.deepEqual(await web(lines), plainService(fields));
  });
}

test("files of variables come before environment, later ones win, and see the app's variables", async (t) => {
  const [service] = await servicesOf({
    "apps/web/compose.yaml":
      "services: {web: {image: x, env_file: [a.env, {path: ../b.env, format: raw}, {path: no, required: false}], environment: {C: own, OWN: 1}}}",
    "apps/web/.env": "HOST=h",
    "apps/web/a.env": "A=$HOST-$OWN\nB=a\nC=a\nHOST\nNOT",
    "apps/b.env": "# note\nB='$A'\nHOST\n",
  });
  t.deepEqual(service?.environment, { A: "h-1", B: "'$A'", C: "own", OWN: "1", HOST: "h" });
});

test("files of labels come before labels", async (t) => {
  const [service] = await servicesOf({
    "web/compose.yaml":
      "services: {web: {image: x, label_file: [a.labels, b.labels], labels: {c: own}}}",
    "web/a.labels": "a=1\nb=1\nc=1",
    "web/b.labels": "b=2",
  });
  t.deepEqual(service?.labels, { a: "1", b: "2", c: "own" });
});

test("a file that does not parse is reported in its own place", async (t) => {
  const result = await compile({
    "web/compose.yaml": "services: {web: {image: x, env_file: a.env}}",
    "web/a.env": "A=1\n+",
  });
  t.false(result.ok);
  if (result.ok) return;
  t.deepEqual(result.errors.map(formatDiagnostic), [
    "web/a.env:2:1: a variable's name is expected: letters, digits, _ . - [ ]",
  ]);
});

test("services with profiles run where one of them is active", async (t) => {
  const files = {
    "web/compose.yaml":
      "services: {a: {image: x}, b: {image: x, profiles: [debug, test]}, c: {image: x, profiles: [other]}, d: {image: x, depends_on: {c: {condition: service_started, required: false}}}}",
  };
  const names = async (more: Record<string, string>) =>
    (await servicesOf({ ...files, ...more })).map(({ name }) => name).join("");
  t.is(await names({}), "ad");
  t.is(await names({ "berth.yaml": "apps: {web: {profiles: [test]}}" }), "abd");
  t.is(await names({ "web/.env": "COMPOSE_PROFILES= debug,other" }), "abcd");
  t.is(await names({ "web/.env": "COMPOSE_PROFILES=*" }), "abcd");
});

test("placement constraints decide by the host's name, labels and platform", async (t) => {
  const constraints: readonly (readonly [string, boolean])[] = [
    ["node.labels.disk==ssd", true],
    ["node.labels.disk != ssd", false],
    ["node.labels.none!=x", true],
    ["node.labels.none == x", false],
    ["node.hostname==web1", true],
    ["node.hostname==web2", false],
    ["node.role == manager", true],
    ["node.role==worker", true],
    ["node.platform.os==linux", true],
    ["node.platform.os==windows", false],
  ];
  for (const [constraint, holds] of constraints) {
    const yaml = `services: {web: {image: x, deploy: {placement: {constraints: ["${constraint}"]}}}}`;
    const services = await servicesOf({
      "a/compose.yaml": yaml,
      "berth.yaml": "apps: {a: }\nhosts: {web1: {labels: {disk: ssd}}}",
    });
    t.is(services.length, holds ? 1 : 0, constraint);
  }
});

test("links wait for a service and name it on the networks of both", async (t) => {
  const services = await servicesOf({
    "web/compose.yaml":
      "services: {web: {image: x, links: ['db:store', api]}, api: {image: x}, db: {image: x}}",
  });
  const [api, db, front] = services;
  const linked = { condition: "service_started", required: true, restart: true } as const;
  t.deepEqual(front?.dependsOn, { db: linked, api: linked });
  t.deepEqual(db?.networks, { default: ["store"] });
  t.deepEqual(api?.networks, { default: [] });
});
