import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { parseReference } from "../../runtime/images/reference.ts";
import { parseChallenges } from "../../runtime/registry/auth-challenge.ts";
import { retryAfterMs } from "../../runtime/registry/rate-limits.ts";
import { RegistryClient } from "../../runtime/registry/registry-client.ts";
import { noRegistrySettings } from "../../runtime/registry/registry-settings.ts";
import { buildImage, fileLayer } from "./image-builder.ts";
import { silent, soon } from "./store-harness.ts";
import { type TestRegistry, withRegistry } from "./test-registry.ts";

// Credentials are read from the environment's file at each login; each test writes its own.
const directory = mkdtempSync(join(tmpdir(), "bt-images-login-"));
process.env.DOCKER_CONFIG = directory;
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const image = buildImage([fileLayer("a", "1")]);
const client = (): RegistryClient =>
  new RegistryClient({ settings: noRegistrySettings, now: () => Date.now(), log: silent });

function writeCredentials(host: string, userAndPassword: string): void {
  const auth = Buffer.from(userAndPassword).toString("base64");
  writeFileSync(join(directory, "config.json"), JSON.stringify({ auths: { [host]: { auth } } }));
}

async function readBlob(registry: TestRegistry): Promise<Buffer> {
  const reference = parseReference(`${registry.host}/app:1`);
  const digest = parseReference(`app@${image.layerDigests[0]}`).digest;
  if (digest === undefined) throw new Error("the built layer has no digest");
  const size = image.blobs.get(digest)?.length ?? 0;
  const chunks: Buffer[] = [];
  for await (const chunk of client().blob(reference, { digest, size }, { abort: soon() }))
    chunks.push(chunk);
  return Buffer.concat(chunks);
}

test.serial("a bearer challenge is answered by the token service with the narrowest scope", (t) =>
  withRegistry(async (registry) => {
    registry.add("app", "1", image);
    writeCredentials(registry.host, "user:pass:word");
    const basic: (string | undefined)[] = [];
    registry.intercept = (request, response) => {
      const url = new URL(request.url ?? "", "http://x");
      if (url.pathname === "/token") {
        basic.push(request.headers.authorization);
        t.is(url.searchParams.get("scope"), "repository:app:pull");
        t.is(url.searchParams.get("service"), "the service");
        response.end(JSON.stringify({ token: "t0ken" }));
        return true;
      }
      if (request.headers.authorization === "Bearer t0ken") return false;
      const realm = `http://${registry.host}/token`;
      response.writeHead(401, {
        "www-authenticate": `Bearer realm="${realm}",service="the service",scope="repository:*:push"`,
      });
      response.end();
      return true;
    };
    const registryClient = client();
    const reference = parseReference(`${registry.host}/app:1`);
    const fetched = await registryClient.manifest(reference, { abort: soon() });
    t.deepEqual(fetched.bytes, image.manifest);
    await registryClient.manifest(reference, { abort: soon() });
    t.deepEqual(basic, [`Basic ${Buffer.from("user:pass:word").toString("base64")}`]);
  }),
);

test.serial("a basic challenge gets the credentials of this registry and of no other", (t) =>
  withRegistry((other) =>
    withRegistry(async (registry) => {
      const demand = (target: TestRegistry) => {
        target.add("app", "1", image);
        target.intercept = (request, response) => {
          if (request.headers.authorization !== undefined) return false;
          response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
          return true;
        };
      };
      demand(registry);
      demand(other);
      writeCredentials(registry.host, "user:secret");
      const fetched = await client().manifest(parseReference(`${registry.host}/app:1`), {
        abort: soon(),
      });
      t.deepEqual(fetched.bytes, image.manifest);
      const denied = client().manifest(parseReference(`${other.host}/app:1`), { abort: soon() });
      await t.throwsAsync(denied, { message: /denies access and this host has no credentials/ });
    }),
  ),
);

test.serial("credentials do not follow a redirect to another origin", (t) =>
  withRegistry((storage) =>
    withRegistry(async (registry) => {
      storage.add("app", "1", image);
      writeCredentials(registry.host, "user:secret");
      const seen: (string | undefined)[] = [];
      storage.intercept = (request) => {
        seen.push(request.headers.authorization);
        return false;
      };
      registry.intercept = (request, response) => {
        if (request.headers.authorization === undefined) {
          response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
        } else {
          response.writeHead(307, { location: `http://${storage.host}${request.url}` }).end();
        }
        return true;
      };
      t.deepEqual(await readBlob(registry), image.blobs.get(image.layerDigests[0] ?? ""));
      t.deepEqual(seen, [undefined]);
    }),
  ),
);

test.serial("the target of a redirect that asks for a login gets none of the registry's", (t) =>
  withRegistry((storage) =>
    withRegistry(async (registry) => {
      writeCredentials(registry.host, "user:secret");
      const seen: [string, string | undefined][] = [];
      storage.intercept = (request, response) => {
        seen.push([request.url?.replace(/[/?].*$/, "") ?? "", request.headers.authorization]);
        const realm = `http://${storage.host}/token`;
        response
          .writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="s"` })
          .end();
        return true;
      };
      registry.intercept = (request, response) => {
        response.writeHead(307, { location: `http://${storage.host}${request.url}` }).end();
        return true;
      };
      await t.throwsAsync(readBlob(registry), { message: /denies access/ });
      t.true(seen.length > 0);
      t.true(seen.every(([, authorization]) => authorization === undefined));
    }),
  ),
);

test.serial("a wrong password is told without repeating it", (t) =>
  withRegistry(async (registry) => {
    writeCredentials(registry.host, "user:hunter2");
    registry.intercept = (_, response) => {
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      return true;
    };
    const error = await t.throwsAsync(
      client().manifest(parseReference(`${registry.host}/app:1`), { abort: soon() }),
    );
    t.regex(error?.message ?? "", /denies access and rejects this host's credentials/);
    t.notRegex(error?.message ?? "", /hunter2/);
  }),
);

test.serial("a token service on plain HTTP elsewhere gets nothing", (t) =>
  withRegistry(async (registry) => {
    writeCredentials(registry.host, "user:secret");
    registry.intercept = (_, response) => {
      const challenge = 'Bearer realm="http://192.0.2.1/token",service="x"';
      response.writeHead(401, { "www-authenticate": challenge }).end();
      return true;
    };
    const denied = client().manifest(parseReference(`${registry.host}/app:1`), { abort: soon() });
    await t.throwsAsync(denied, { message: /sends its users to http:\/\/192\.0\.2\.1\/token/ });
  }),
);

test.serial("an unreadable configuration is named without quoting it", (t) =>
  withRegistry(async (registry) => {
    writeFileSync(join(directory, "config.json"), '{"auths": {"x": {"auth": "c2VjcmV0" ');
    registry.intercept = (_, response) => {
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      return true;
    };
    const error = await t.throwsAsync(
      client().manifest(parseReference(`${registry.host}/app:1`), { abort: soon() }),
    );
    t.regex(error?.message ?? "", /config\.json cannot be used/);
    t.notRegex(error?.message ?? "", /c2VjcmV0/);
  }),
);

test("challenges are read one by one, with quoted commas and escapes", (t) => {
  const header = 'Basic realm="a, b", Bearer realm="https://x/t",service="s\\"q",scope=plain';
  t.deepEqual(
    parseChallenges(header).map(({ scheme, parameters }) => ({ scheme, ...parameters })),
    [
      { scheme: "basic", realm: "a, b" },
      { scheme: "bearer", realm: "https://x/t", service: 's"q', scope: "plain" },
    ],
  );
});

test("what is no challenge is passed over", (t) => {
  for (const header of ["", ",,,", "=", '"', "Bearer realm", `Bearer ${"x".repeat(100_000)}`]) {
    t.notThrows(() => parseChallenges(header));
  }
});

test("Retry-After is read as seconds and as a date", (t) => {
  t.is(retryAfterMs("7", 0), 7000);
  t.is(retryAfterMs("Thu, 01 Jan 1970 00:00:10 GMT", 4000), 6000);
  t.is(retryAfterMs("soon", 0), undefined);
  t.is(retryAfterMs(undefined, 0), undefined);
});
