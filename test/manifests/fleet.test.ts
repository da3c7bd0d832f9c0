import test from "ava";
import { compileFleet, compileRevision } from "../../manifests/compile-revision.ts";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import { globMatches } from "../../manifests/fleet/glob.ts";
import { parseHostSelector, selectsHost } from "../../manifests/fleet/host-selector.ts";
import { labelsMatch, parseLabelExpression } from "../../manifests/fleet/label-expression.ts";
import { revision } from "./compile.ts";
import { readTree } from "./read-tree.ts";

type Files = Readonly<Record<string, string>>;

const abort = new AbortController().signal;
const web = "services: {web: {image: nginx, environment: [TIER, SITE, LOG, BERTH_HOST]}}";

function compileFor(host: string, files: Files) {
  return compileRevision({ revision, reader: readTree(files), host, path: ".", abort });
}

async function appsOf(host: string, files: Files): Promise<readonly string[]> {
  const result = await compileFor(host, files);
  return result.ok
    ? result.desired.apps.map(({ name, path }) => `${name} at ${path}`)
    : result.errors.map(formatDiagnostic);
}

async function environmentOf(host: string, files: Files): Promise<unknown> {
  const result = await compileFor(host, files);
  if (!result.ok) return result.errors.map(formatDiagnostic);
  return result.desired.apps[0]?.services[0]?.environment;
}

async function checkAll(files: Files, reader = readTree(files)) {
  const result = await compileFleet({ revision, reader, host: "here", path: ".", abort });
  return result.ok
    ? { hosts: result.hosts, warnings: result.warnings.map(formatDiagnostic) }
    : { hosts: result.hosts, errors: result.errors.map(formatDiagnostic) };
}

test("hosts are chosen by name, by glob and by labels, and taken out again", async (t) => {
  const files = {
    "berth.yaml": `
hosts:
  web1: { labels: { role: web, site: ams } }
  web2: { labels: { role: web, site: fra } }
  db1: { labels: { role: db } }
apps:
  everywhere: { path: a }
  named: { path: a, hosts: [db1] }
  globbed: { path: a, hosts: "web*" }
  labelled: { path: a, hosts: ["role=web,site in (fra, lon)"] }
  without: { path: a, hosts: ["!web2"] }
  both: { path: a, hosts: ["web*", "role=db", "!site=fra"] }
`,
    "a/compose.yaml": web,
  };
  const names = async (host: string) => (await appsOf(host, files)).map((app) => app.split(" ")[0]);
  t.deepEqual(await names("web1"), ["both", "everywhere", "globbed", "without"]);
  t.deepEqual(await names("web2"), ["everywhere", "globbed", "labelled"]);
  t.deepEqual(await names("db1"), ["both", "everywhere", "named", "without"]);
});

test("variables are layered: .env, defaults, the app, label groups in their order, the host", async (t) => {
  const layers = {
    defaults: "defaults: { environment: { TIER: defaults } }",
    app: "environment: { TIER: app }",
    groups:
      "byLabel: { 'role=web': { environment: { TIER: first } }, 'site=*': { environment: { TIER: second } } }",
    host: "variables: { TIER: host }",
    own: "byHost: { web1: { environment: { TIER: own } } }",
  };
  const files = (...taken: readonly (keyof typeof layers)[]) => {
    const text = (key: keyof typeof layers) => (taken.includes(key) ? layers[key] : "");
    const fields = (["app", "groups", "own"] as const).map(text).filter((line) => line !== "");
    return {
      "berth.yaml": `
hosts: { web1: { labels: { role: web, site: ams }, ${text("host")} } }
${text("defaults")}
apps: { shop: { ${fields.join(", ")} } }
`,
      "shop/.env": "TIER=file\nLOG=1.10",
      "shop/compose.yaml": web,
    };
  };
  const tier = async (...taken: readonly (keyof typeof layers)[]) =>
    ((await environmentOf("web1", files(...taken))) as { TIER?: string }).TIER;
  t.is(await tier(), "file");
  t.is(await tier("defaults"), "defaults");
  t.is(await tier("defaults", "app"), "app");
  t.is(await tier("defaults", "app", "groups"), "second");
  t.is(await tier("defaults", "app", "groups", "host"), "host");
  t.is(await tier("defaults", "app", "groups", "host", "own"), "own");
  t.deepEqual(await environmentOf("web1", files()), {
    TIER: "file",
    LOG: "1.10",
    BERTH_HOST: "web1",
  });
});

test("variables and labels keep the text that was written", async (t) => {
  const files = {
    "berth.yaml": `
hosts: { a: { labels: { on: true, version: 1.10 } } }
apps: { shop: { hosts: ["version=1.1", "on=true"], environment: { LOG: 0755, TIER: no } } }
`,
    "shop/compose.yaml": web,
  };
  t.deepEqual(await environmentOf("a", files), { LOG: "493", TIER: "no", BERTH_HOST: "a" });
});

test("files of the layers replace, or come after, the Compose file of the directory", async (t) => {
  const other = "services: {other: {image: nginx}}";
  const files = {
    "berth.yaml":
      "apps: { shop: { path: s, byHost: { b: { files: [more.yaml] } } }, own: { path: s, files: [more.yaml] } }",
    "s/compose.yaml": "services: {web: {image: nginx}}",
    "s/more.yaml": other,
  };
  const result = await compileFor("a", files);
  t.deepEqual(
    result.ok && result.desired.apps.map(({ name, services }) => [name, services[0]?.name]),
    [
      ["own", "other"],
      ["shop", "web"],
    ],
  );
  const missing = { ...files, "berth.yaml": "apps: { shop: { path: s, files: [none.yaml] } }" };
  t.deepEqual(await appsOf("a", missing), [
    "berth.yaml:1:9: apps.shop: there is no file s/none.yaml in the revision",
  ]);
});

test("one directory may be two apps, and an app's key is its name", async (t) => {
  const files = {
    "berth.yaml": "apps: { blue: { path: a }, green: { path: a } }",
    "a/compose.yaml": `name: other\n${web}`,
  };
  t.deepEqual(await appsOf("x", files), ["blue at a", "green at a"]);
});

test("after names the apps of the same host that come first, and atomic is handed on", async (t) => {
  const files = {
    "berth.yaml": `
rollout: { atomic: revision }
apps: { web: { path: a, after: [db, cache] }, db: { path: a }, cache: { path: a, hosts: [other] } }
`,
    "a/compose.yaml": web,
  };
  const result = await compileFor("x", files);
  t.true(result.ok);
  if (!result.ok) return;
  t.is(result.desired.atomic, "revision");
  t.deepEqual(result.desired.apps.find(({ name }) => name === "web")?.after, ["db"]);
});

test("a host that berth.yaml does not know changes nothing and is told who is known", async (t) => {
  const files = { "berth.yaml": "hosts: { web1: , web2: }\napps: { a: }", "a/compose.yaml": web };
  t.deepEqual(await appsOf("wbe1", files), [
    'berth.yaml:1:1: hosts: this host is called "wbe1", which is not among them; did you mean "web1"?: add it, or name another one with --host',
  ]);
});

test("every mistake of berth.yaml has its place", async (t) => {
  const files = {
    "berth.yaml": `apps:
  shop:
    pth: x
    hosts: [wbe1, "role==", "db*"]
    after: [shpo]
    environment: { A-B: 1 }
    byLabel: { "role web": {} }
    files: [../x.yaml]
  Bad: {}
hosts:
  web1: { labels: [a] }
rollout: { atomic: host }
`,
    "shop/compose.yaml": web,
  };
  t.deepEqual(await appsOf("web1", files), [
    'berth.yaml:3:5: apps.shop.pth: berth.yaml knows no such key; did you mean "path"?',
    `berth.yaml:4:19: apps.shop.hosts[1]: "role==" is not a host's name, a glob such as web*, or an expression over labels such as role=web,site!=ams`,
    `berth.yaml:6:20: apps.shop.environment.A-B: "A-B" is not a variable's name: letters, digits and _, no digit first`,
    'berth.yaml:7:16: apps.shop.byLabel.role web: "role web" is not an expression over labels such as role=web,site!=ams',
    'berth.yaml:8:13: apps.shop.files[0]: "../x.yaml" is not a path that stays below its directory, with / between names',
    'berth.yaml:9:3: apps.Bad: "Bad" is not a name for an app: lower-case letters, digits, - and _, at most 63',
    "berth.yaml:11:11: hosts.web1.labels: a mapping is expected, not a list",
    "berth.yaml:12:12: rollout.atomic: app or revision is expected",
  ]);
});

test("names that lead nowhere and circles are errors, selectors that match nothing warnings", async (t) => {
  const files = {
    "berth.yaml": `apps:
  a: { hosts: [web2, "db*"], after: [b, none], byHost: { web3: {} } }
  b: { path: a, after: [a], hosts: "gpu=*" }
hosts: { web1: }
`,
    "a/compose.yaml": web,
  };
  t.deepEqual(
    await appsOf("web1", files),
    [
      "berth.yaml:2:30: apps.a.after: the apps wait for each other: a -> b -> a",
      'berth.yaml:2:16: apps.a.hosts[0]: there is no host "web2" in hosts; did you mean "web1"?',
      'berth.yaml:2:41: apps.a.after[1]: there is no app "none"',
      'berth.yaml:2:58: apps.a.byHost.web3: there is no host "web3" in hosts; did you mean "web1"?',
    ].toSorted((x, y) => Number(x.split(":")[2]) - Number(y.split(":")[2])),
  );
});

test("every host is checked at once, and an error of some says of which", async (t) => {
  const files = {
    "berth.yaml": `hosts: { web1: { variables: { TAG: "1" } }, web2: { variables: { TAG: "a b" } } }
apps: { shop: }
`,
    "shop/compose.yaml": "services: {web: {image: 'nginx:$TAG', prots: []}}",
  };
  const { hosts, errors } = await checkAll(files);
  t.deepEqual(hosts, ["web1", "web2"]);
  t.is(errors?.length, 2);
  t.regex(errors?.[0] ?? "", /nginx:a b.* \(on web2\)$/);
  t.regex(errors?.[1] ?? "", /prots: .*did you mean "ports"\?$/);
});

test("apps that no host runs and directories that no app names are warned of", async (t) => {
  const files = {
    "berth.yaml":
      "hosts: { web1: }\napps:\n  idle: { path: a, hosts: [] }\n  gpu: { path: a, hosts: 'gpu=*' }\n  run: { path: a }\n",
    "a/compose.yaml": "services: {}",
    "b/compose.yaml": "]",
  };
  t.deepEqual(await checkAll(files), {
    hosts: ["web1"],
    warnings: [
      "b/compose.yaml:1:1: no app in berth.yaml has the path b: no host runs it",
      "berth.yaml:3:3: apps.idle: no host runs this app",
      "berth.yaml:4:3: apps.gpu: no host runs this app",
      'berth.yaml:4:26: apps.gpu.hosts[0]: no host matches "gpu=*"',
    ],
  });
});

test("without berth.yaml every app runs everywhere, a broken one is not taken for none", async (t) => {
  t.deepEqual(await checkAll({ "a/compose.yaml": "services: {}" }), { hosts: [], warnings: [] });
  const { errors } = await checkAll({ "a/compose.yaml": "]", "berth.yaml": "apps: [" });
  t.true(errors?.every((line) => line.startsWith("berth.yaml:")));
});

test("globs take no time that grows faster than the texts", (t) => {
  t.true(globMatches("w*b?", "wxxb1"));
  t.false(globMatches("w*b?", "wxxb"));
  t.true(globMatches("*", ""));
  t.false(globMatches(`${"*a".repeat(100)}b`, "a".repeat(5_000)));
});

test("label expressions hold as Kubernetes' do where a label is missing", (t) => {
  const matches = (text: string, labels: Readonly<Record<string, string>>) => {
    const expression = parseLabelExpression(text);
    return expression === undefined
      ? undefined
      : labelsMatch(expression, new Map(Object.entries(labels)));
  };
  t.true(matches("a=1, b!=2", { a: "1" }));
  t.false(matches("a=1,b!=2", { a: "1", b: "2" }));
  t.true(matches("a in (x, y*)", { a: "yes" }));
  t.true(matches("a notin (x)", {}));
  t.true(matches("gpu!=*", {}));
  t.is(matches("a", {}), undefined);
  t.is(matches("a=1,", {}), undefined);
  t.is(matches("a in x", {}), undefined);
  const all = ["!web1"].flatMap((text) => parseHostSelector(text) ?? []);
  t.true(selectsHost(all, { name: "web2", labels: new Map() }));
  t.false(selectsHost([], { name: "web2", labels: new Map() }));
});

test("a host's own Compose file is merged over the app's, and profiles of its layers run", async (t) => {
  const files = {
    "berth.yaml": `
hosts: { plain: , big: { labels: { size: big } } }
apps:
  shop:
    byLabel: { "size=big": { files: [compose.big.yaml], profiles: [metrics] } }
`,
    "shop/compose.yaml": `services:
  web: { image: nginx, environment: { WORKERS: "1" } }
  exporter: { image: exporter, profiles: [metrics] }
`,
    "shop/compose.big.yaml": "services: {web: {environment: {WORKERS: '8'}}}",
  };
  const servicesOf = async (host: string) => {
    const result = await compileFor(host, files);
    if (!result.ok) throw new Error(result.errors.map(formatDiagnostic).join("\n"));
    return result.desired.apps[0]?.services.map(({ name, environment }) => [name, environment]);
  };
  t.deepEqual(await servicesOf("plain"), [["web", { WORKERS: "1" }]]);
  t.deepEqual(await servicesOf("big"), [
    ["exporter", {}],
    ["web", { WORKERS: "8" }],
  ]);
});

test("files of an app that only a host's own Compose file names are read from its directory", async (t) => {
  const files = {
    "berth.yaml": "apps: { shop: { byHost: { a: { files: [own.yaml] } } } }",
    "shop/compose.yaml": "services: {web: {image: nginx}}",
    "shop/own.yaml": `services: {web: {volumes: ["./conf:/conf:ro"], configs: [c], secrets: [s]}}
configs: {c: {content: "for $BERTH_HOST"}}
secrets: {s: {file: s.txt}}`,
    "shop/conf/x": "1",
    "shop/s.txt": "plain",
  };
  const result = await compileFor("a", files);
  t.true(result.ok, JSON.stringify(result));
  if (!result.ok) return;
  const mounts = result.desired.apps[0]?.services[0]?.mounts ?? [];
  t.deepEqual(
    mounts.map(({ type, target }) => `${type} ${target}`),
    ["tree /conf", "tree /c", "secret /run/secrets/s"],
  );
  const texts = Object.values(result.desired.trees ?? {}).flatMap(({ files: all }) =>
    all.map(({ source }) => ("text" in source ? source.text : source.path)),
  );
  t.deepEqual(texts.toSorted(), ["for a", "shop/conf/x", "shop/s.txt"]);
  t.regex(result.warnings.map(formatDiagnostic).join("\n"), /shop\/s\.txt is not encrypted/);
});

test("an app that is the same on many hosts is read once, one that asks for its host on each", async (t) => {
  const reads = new Map<string, number>();
  const files = {
    "berth.yaml": `
hosts:
  one: { variables: { TIER: "1" } }
  two: { variables: { TIER: "2" }, labels: { role: web } }
  three: { variables: { TIER: "1" }, labels: { role: web } }
apps:
  same: {}
  asks: {}
  tier: {}
  placed: {}
`,
    "same/compose.yaml": "services: {web: {image: nginx, environment: [ODD]}}",
    "asks/compose.yaml": "services: {web: {image: 'nginx:$BERTH_HOST'}}",
    "tier/compose.yaml": "services: {web: {image: 'nginx:$TIER', wrong: true}}",
    "placed/compose.yaml":
      "services: {web: {image: nginx, deploy: {placement: {constraints: [node.labels.role==web]}}}}",
  };
  const reader = readTree(files);
  const counting = {
    ...reader,
    read: (path: string, bytesMax: number) => {
      reads.set(path, (reads.get(path) ?? 0) + 1);
      return reader.read(path, bytesMax);
    },
  };
  const { errors } = await checkAll(files, counting);
  t.deepEqual(errors, ["tier/compose.yaml:1:40: services.web.wrong: Compose knows no such key"]);
  const counts = ["same", "asks", "tier", "placed"].map((app) => reads.get(`${app}/compose.yaml`));
  t.deepEqual(counts, [1, 3, 2, 3]);
});

test("what was found in an app that is the same everywhere is told of each host", async (t) => {
  const files = {
    "berth.yaml": "hosts: {one: {}, two: {}}\napps: {same: {}}",
    "same/compose.yaml": "services: {web: {image: nginx, user: '0$NOTHING'}}",
  };
  const { warnings, errors } = await checkAll(files);
  t.is(errors, undefined);
  t.deepEqual(warnings, [
    "same/compose.yaml:1:40: the variable NOTHING is not set: it stands for nothing",
  ]);
});
