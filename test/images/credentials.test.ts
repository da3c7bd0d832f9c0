import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { parseReference } from "../../runtime/images/reference.ts";
import { createRegistries } from "../../runtime/registry/registries.ts";
import { RegistryClient } from "../../runtime/registry/registry-client.ts";
import { readCredentials } from "../../runtime/registry/registry-credentials.ts";
import { noRegistrySettings } from "../../runtime/registry/registry-settings.ts";
import { createAuthority } from "./certificates.ts";
import { serialRegistryTest, withDockerRegistry } from "./docker-registry.ts";
import { silent, soon } from "./store-harness.ts";
import { withRegistry } from "./test-registry.ts";
import { withTokenServer } from "./token-server.ts";

// Docker's configuration and the helpers are found through the environment; each test has a place of its own.
const root = mkdtempSync(join(tmpdir(), "bt-credentials-"));
const bin = join(root, "bin");
mkdirSync(bin);
process.env.PATH = `${bin}:${process.env.PATH}`;
test.after.always(() => rmSync(root, { recursive: true, force: true }));

test.beforeEach(() => {
  process.env.DOCKER_CONFIG = mkdtempSync(join(root, "docker-"));
});

const configPath = (): string => join(process.env.DOCKER_CONFIG ?? "", "config.json");
const readConfig = (): unknown => JSON.parse(readFileSync(configPath(), "utf8"));
const writeConfig = (config: object): void =>
  writeFileSync(configPath(), JSON.stringify(config), { mode: 0o644 });

const newClient = (now: () => number = Date.now): RegistryClient =>
  new RegistryClient({ settings: noRegistrySettings, now, log: silent });

/** A helper that keeps one secret a server in files, and writes its calls down. */
function installHelper(name: string): { readonly place: string } {
  const place = mkdtempSync(join(root, "helper-"));
  const script = `#!/bin/sh
cd ${place} || exit 1
echo "$# $1" >> calls
case $1 in
  get) key=$(tr -c 'a-z0-9' _); [ -e "s$key" ] && cat "s$key" && exit; echo "credentials not found in native keychain"; exit 1;;
  store) cat > stored; key=$(sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/' stored | tr -d '\\n' | tr -c 'a-z0-9' _); mv stored "s$key";;
  erase) key=$(tr -c 'a-z0-9' _); [ -e "s$key" ] && rm "s$key" && exit; echo "credentials not found in native keychain"; exit 1;;
esac
`;
  const path = join(bin, `docker-credential-${name}`);
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return { place };
}

function installScript(name: string, body: string): void {
  const path = join(bin, `docker-credential-${name}`);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}

const missing = { message: /has no tag 1 of team\/app/ };
// bcrypt of "s3cret pass", as `htpasswd -B` makes it.
const htpasswd = "robot:$2y$05$abcdefghijklmnopqrstuu1qdcFaS0PtqFUPzaCxLQ8/0lspH0ZEW\n";

serialRegistryTest(
  "a login is kept once the registry has taken it, and a logout forgets it",
  async (t) => {
    const htpasswdFile = join(root, "htpasswd");
    writeFileSync(htpasswdFile, htpasswd);
    const auth = { htpasswd: { realm: "test", path: htpasswdFile } };
    await withDockerRegistry(
      root,
      async (host) => {
        const client = newClient();
        const registries = createRegistries(client);
        const look = () => client.manifest(parseReference(`${host}/team/app:1`), { abort: soon() });
        await t.throwsAsync(look(), { message: /denies access and this host has no credentials/ });
        const wrong = registries.logIn(host, { username: "robot", password: "hunter2" }, soon());
        const error = await t.throwsAsync(wrong);
        t.regex(error?.message ?? "", /^cannot log in to 127\.0\.0\.1:\d+ because .* rejects/);
        t.notRegex(error?.message ?? "", /hunter2/);
        t.false(existsSync(configPath()));
        writeConfig({ auths: { "other.example": { auth: "eDp5" } }, detachKeys: "ctrl-e" });
        const right = { username: "robot", password: "s3cret pass" };
        t.is(await registries.logIn(`https://${host}/v2/`, right, soon()), host);
        t.is(statSync(configPath()).mode & 0o777, 0o600);
        t.deepEqual(readConfig(), {
          auths: {
            "other.example": { auth: "eDp5" },
            [host]: { auth: Buffer.from("robot:s3cret pass").toString("base64") },
          },
          detachKeys: "ctrl-e",
        });
        await t.throwsAsync(look(), missing);
        t.deepEqual(await registries.logOut(host), { registry: host, had: true });
        t.deepEqual(await registries.logOut(host), { registry: host, had: false });
        t.deepEqual(readConfig(), {
          auths: { "other.example": { auth: "eDp5" } },
          detachKeys: "ctrl-e",
        });
        await t.throwsAsync(look(), { message: /this host has no credentials/ });
        t.deepEqual(readdirSync(process.env.DOCKER_CONFIG ?? ""), ["config.json"]);
      },
      { auth },
    );
  },
);

serialRegistryTest(
  "tokens are asked for once a scope, also by requests at the same time",
  async (t) => {
    const account = { user: "robot", password: "pa:ss" };
    await withTokenServer(createAuthority(root), account, ({ auth, asked }) =>
      withDockerRegistry(
        root,
        async (host) => {
          let ahead = 0;
          const client = newClient(() => Date.now() + ahead);
          const registries = createRegistries(client);
          const credentials = { username: account.user, password: account.password };
          const wrong = { ...credentials, password: "no" };
          await t.throwsAsync(registries.logIn(host, wrong, soon()), { message: /rejects/ });
          await registries.logIn(host, credentials, soon());
          asked.length = 0;
          const look = (name: string) =>
            client.manifest(parseReference(`${host}/${name}:1`), { abort: soon() });
          await Promise.all([1, 2, 3].map(() => t.throwsAsync(look("team/app"), missing)));
          await t.throwsAsync(look("team/app"), missing);
          await t.throwsAsync(look("team/web"), { message: /has no tag 1 of team\/web/ });
          t.deepEqual(asked, [
            { user: "robot", scopes: ["repository:team/app:pull"] },
            { user: "robot", scopes: ["repository:team/web:pull"] },
          ]);
          // The token service said 300 s.
          ahead = 295_000;
          await t.throwsAsync(look("team/app"), missing);
          t.is(asked.length, 3);
        },
        { auth },
      ),
    );
  },
);

test.serial(
  "a credential helper gets the secret on its input and the file an empty entry",
  async (t) => {
    const { place } = installHelper("keeper");
    writeConfig({ credsStore: "keeper" });
    const registries = createRegistries(newClient());
    await withOpenRegistry(async (host) => {
      await registries.logIn(host, { username: "robot", password: 'p"w' }, soon());
      t.deepEqual(readConfig(), { credsStore: "keeper", auths: { [host]: {} } });
      t.deepEqual(await readCredentials(host), { username: "robot", password: 'p"w' });
      t.deepEqual(await registries.logOut(host), { registry: host, had: true });
      t.is(await readCredentials(host), undefined);
      t.deepEqual(readConfig(), { credsStore: "keeper", auths: {} });
      const calls = readFileSync(join(place, "calls"), "utf8").trim().split("\n");
      t.deepEqual(calls, ["1 store", "1 get", "1 erase", "1 get"]);
    });
  },
);

test.serial(
  "the helper of a registry wins over the general one, and a token is told by its user",
  async (t) => {
    installScript("general", 'echo \'{"Username":"a","Secret":"b"}\'');
    installScript("hub", 'echo \'{"Username":"<token>","Secret":"refresh"}\'');
    writeConfig({ credsStore: "general", credHelpers: { "docker.io": "hub" } });
    t.deepEqual(await readCredentials("docker.io"), { identityToken: "refresh" });
    t.deepEqual(await readCredentials("x.example"), { username: "a", password: "b" });
  },
);

test.serial(
  "a helper that fails, babbles or is no name is told without what it said",
  async (t) => {
    installScript("fails", "echo secret-text; exit 3");
    installScript("babbles", "yes secret-text");
    installScript("chats", "echo secret-text");
    const cases: readonly (readonly [name: string, message: RegExp])[] = [
      ["fails", /docker-credential-fails failed \(it ended with 3\)/],
      ["babbles", /docker-credential-babbles failed \(it printed more than 64 KiB\)/],
      ["chats", /docker-credential-chats failed \(its answer is not JSON/],
      ["none", /docker-credential-none failed \(.*ENOENT/],
      ["../x", /a name of letters, digits/],
    ];
    for (const [credsStore, message] of cases) {
      writeConfig({ credsStore });
      const error = await t.throwsAsync(readCredentials("x.example"), { message });
      t.notRegex(error?.message ?? "", /secret-text/);
    }
  },
);

test.serial(
  "a link to the configuration stays a link, and what is no configuration stays as it is",
  async (t) => {
    await withOpenRegistry(async (host) => {
      const registries = createRegistries(newClient());
      const real = join(root, "real.json");
      writeFileSync(real, "{}");
      symlinkSync(real, configPath());
      await registries.logIn(host, { username: "u", password: "p" }, soon());
      t.regex(readFileSync(real, "utf8"), /"auth": "dTpw"/);
      writeFileSync(real, "{ not JSON");
      await t.throwsAsync(registries.logIn(host, { username: "u", password: "p" }, soon()), {
        message: /real\.json|config\.json cannot be used/,
      });
      t.is(readFileSync(real, "utf8"), "{ not JSON");
    });
  },
);

test.serial("what names no registry is refused by login", async (t) => {
  const registries = createRegistries(newClient());
  for (const name of ["team/app", "a b", "nginx"]) {
    await t.throwsAsync(registries.logIn(name, { username: "u", password: "p" }, soon()), {
      message: /cannot log in to .* because/,
    });
  }
});

/** A registry that asks nobody who they are. */
async function withOpenRegistry(work: (host: string) => Promise<void>): Promise<void> {
  await withRegistry(({ host }) => work(host));
}
