import { hash } from "node:crypto";
import test from "ava";
import { compileRevision } from "../../manifests/compile-revision.ts";
import { KeptApps } from "../../manifests/compose/kept-apps.ts";
import type { FileReader } from "../../manifests/desired-state.ts";
import { revision } from "./compile.ts";
import { readTree } from "./read-tree.ts";

type Files = Readonly<Record<string, string>>;

const abort = new AbortController().signal;

/** A commit whose files have names of their content, as git gives them. `read`: those whose content was asked for. */
function commit(files: Files): { readonly reader: FileReader; readonly read: string[] } {
  const tree = readTree(files);
  const read: string[] = [];
  const reader: FileReader = {
    ...tree,
    read(path, bytesMax) {
      read.push(path);
      return tree.read(path, bytesMax);
    },
    contentName: (path) => {
      const text = files[path];
      return text === undefined ? undefined : hash("sha1", text);
    },
  };
  return { reader, read };
}

const request = { revision, host: "here", path: ".", abort };

const start: Files = {
  "berth.yaml": `
hosts: { here: { labels: { disk: ssd }, variables: { SITE: ams } } }
apps:
  shop: { path: shop }
  mail: { path: mail, environment: { TIER: one } }
`,
  "shop/.env": "TAG=1\n",
  "shop/compose.yaml": `
include: [../shared/metrics.yaml]
services:
  web:
    image: "nginx:$TAG"
    env_file: [./web.env, { path: ./more.env, required: false }]
    environment: ["SITE"]
    extends: { file: ../shared/base.yaml, service: base }
    configs: [site]
    volumes: ["./html:/srv:ro"]
configs: { site: { file: ./site.conf } }
`,
  "shop/web.env": "A=1\n",
  "shop/site.conf": "server {}\n",
  "shop/html/index.html": "<p>\n",
  "shared/base.yaml": "services: { base: { image: x, cap_drop: [ALL] } }",
  "shared/metrics.yaml": "services: { metrics: { image: exporter } }",
  "mail/compose.yaml": `
version: "3"
services: { web: { image: "mail:$TIER", deploy: { placement: { constraints: ["node.labels.disk == ssd"] } } } }
`,
};

const changes: readonly Files[] = [
  {},
  { "shop/.env": "TAG=2\n" },
  { "shop/web.env": "A=2\n" },
  { "shop/more.env": "B=1\n" },
  { "shared/base.yaml": "services: { base: { image: x, cap_drop: [CHOWN] } }" },
  { "shared/metrics.yaml": "services: { metrics: { image: exporter:2 } }" },
  { "shop/site.conf": "server { listen 80; }\n" },
  { "shop/html/about.html": "<p>\n" },
  { "berth.yaml": start["berth.yaml"]?.replace("ams", "fra") ?? "" },
  { "berth.yaml": start["berth.yaml"]?.replace("ssd", "hdd") ?? "" },
  { "berth.yaml": start["berth.yaml"]?.replace("TIER: one", "TIER: two") ?? "" },
  { "mail/compose.yaml": "services: { web: { image: mail, imag: x } }" },
  { "other/compose.yaml": "services: { web: { image: other } }" },
];

test("what is kept from the last revision gives what a revision gives by itself, whatever changed", async (t) => {
  const valid = await compileRevision({ ...request, reader: commit(start).reader });
  t.deepEqual(valid.ok ? [] : valid.errors, []);
  for (const change of changes) {
    for (const [from, to] of [
      [start, { ...start, ...change }],
      [{ ...start, ...change }, start],
    ] as const) {
      const kept = new KeptApps();
      await compileRevision({ ...request, reader: commit(from).reader, kept });
      const result = await compileRevision({ ...request, reader: commit(to).reader, kept });
      const alone = await compileRevision({ ...request, reader: commit(to).reader });
      t.deepEqual(result, alone, JSON.stringify(change));
    }
  }
});

test("files of apps that are as they were are not read, those of another one are", async (t) => {
  const kept = new KeptApps();
  await compileRevision({ ...request, reader: commit(plain("1")).reader, kept });
  const same = commit({ ...plain("1"), "notes.txt": "new\n" });
  const result = await compileRevision({ ...request, reader: same.reader, kept });
  t.deepEqual(same.read, []);
  t.true(result.ok);
  const changed = commit(plain("2"));
  await compileRevision({ ...request, reader: changed.reader, kept });
  t.deepEqual(changed.read, ["b/compose.yaml"]);
  const gone = commit({ "a/compose.yaml": plain("1")["a/compose.yaml"] ?? "" });
  const left = await compileRevision({ ...request, reader: gone.reader, kept });
  t.deepEqual(left.ok && left.desired.apps.map(({ name }) => name), ["a"]);
  const back = commit(plain("2"));
  await compileRevision({ ...request, reader: back.reader, kept });
  t.deepEqual(back.read, ["b/compose.yaml"], "what a revision did not have is forgotten");
});

test("mistakes and warnings of an app that is kept are told again", async (t) => {
  const kept = new KeptApps();
  const files = { ...plain("1"), "c/compose.yaml": "version: '3'\nservices: { web: { imag: x } }" };
  const first = await compileRevision({ ...request, reader: commit(files).reader, kept });
  const again = commit(files);
  t.deepEqual(await compileRevision({ ...request, reader: again.reader, kept }), first);
  t.deepEqual(again.read, []);
  t.false(first.ok);
});

test("a port that an unchanged app has is refused to a new one", async (t) => {
  const kept = new KeptApps();
  const taken = (image: string) => `services: { web: { image: ${image}, ports: ["80:80"] } }`;
  await compileRevision({
    ...request,
    reader: commit({ "a/compose.yaml": taken("x") }).reader,
    kept,
  });
  const both = commit({ "a/compose.yaml": taken("x"), "b/compose.yaml": taken("y") });
  const result = await compileRevision({ ...request, reader: both.reader, kept });
  t.deepEqual(both.read, ["b/compose.yaml"]);
  t.deepEqual(result.ok ? [] : result.errors.map(({ message }) => message), [
    "b/web: the host port 80/tcp is already published by a/web at a/compose.yaml:1:38",
  ]);
});

function plain(tag: string): Files {
  return {
    "a/compose.yaml": "services: { web: { image: one } }",
    "b/compose.yaml": `services: { web: { image: "two:${tag}" } }`,
  };
}
