import test from "ava";
import { hideSecrets } from "../../agent/control/hide-secrets.ts";
import { writeCompose } from "../../manifests/convert/conversion.ts";

function written(service: Readonly<Record<string, unknown>>) {
  const { compose, hidden } = hideSecrets({ name: "web", services: { web: service } });
  return { text: writeCompose({ compose, notes: [] }), hidden };
}

const cases: readonly (readonly [string, Readonly<Record<string, unknown>>, readonly string[]])[] =
  [
    ["variables", { environment: { DB_PASSWORD: "hush", MODE: "a" } }, ["DB_PASSWORD"]],
    ["options with =", { command: ["serve", "--admin-password=hush"] }, ["ADMIN_PASSWORD"]],
    ["options before it", { command: ["redis-server", "--requirepass", "hush"] }, ["REQUIREPASS"]],
    ["a shell's line", { command: ["sh", "-c", "PGPASSWORD=hush psql -h db"] }, ["PGPASSWORD"]],
    ["quotes", { entrypoint: ["sh", "-c", 'run --token "hush" now'] }, ["TOKEN"]],
    ["URLs", { command: ["--db", "postgres://web:hush@db/shop"] }, ["URL_PASSWORD"]],
    ["healthchecks", { healthcheck: { test: ["CMD-SHELL", "ask --api-key hush"] } }, ["API_KEY"]],
    ["labels", { labels: { "proxy.auth.secret": "hush" } }, ["PROXY_AUTH_SECRET"]],
    [
      "what is hidden once",
      { environment: { APP_SECRET: "hush-hush" }, command: ["-phush-hush", "$x"] },
      ["APP_SECRET"],
    ],
    [
      "tokens of known forms",
      { command: ["run", `ghp_${"hush".repeat(8)}`], labels: { a: `x glpat-${"hush".repeat(5)}` } },
      ["TOKEN", "TOKEN_2"],
    ],
  ];

for (const [what, service, names] of cases) {
  test(`${what}: the value is left out, and asked for`, (t) => {
    const { text, hidden } = written(service);
    t.notRegex(text, /hush/);
    t.deepEqual(hidden, names);
    for (const name of names) t.true(text.includes(`\${${name}:?`), text);
  });
}

test("what only says where a secret is, or is none, stays as it is", (t) => {
  const service = {
    image: "localhost/token:1",
    environment: {
      DB_PASSWORD_FILE: "/run/secrets/db",
      AUTH: "true",
      TOKEN_TTL: "30",
      EMPTY_KEY: "",
    },
    command: ["serve", "--key-file", "/tls/key.pem", "monkey business", "say a password here"],
    labels: { keyboard: "de" },
  };
  const { text, hidden } = written(service);
  t.deepEqual(hidden, []);
  t.is(text, writeCompose({ compose: { name: "web", services: { web: service } }, notes: [] }));
});

test("a dollar sign beside what is left out stays one", (t) => {
  const { text } = written({ command: ["sh", "-c", "echo $HOME; X_TOKEN=hush run"] });
  t.regex(text, /echo \$\$HOME; X_TOKEN=\$\{X_TOKEN:\?/);
});

test("one value has one variable, wherever it stands", (t) => {
  const { hidden } = written({
    environment: { A_TOKEN: "the-same-one" },
    command: ["--token", "the-same-one", "--token", "another-one", "--token=third-one"],
  });
  t.deepEqual(hidden, ["A_TOKEN", "TOKEN", "TOKEN_2"]);
});
