import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { outcome, startBerth } from "../cli/run-berth.ts";
import { serialRegistryTest, withDockerRegistry } from "../images/docker-registry.ts";
import { createSigner, signatureTag, simpleSignature } from "../images/signatures.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const place = mkdtempSync(join(tmpdir(), "bte-docker-"));
const agent = sharedAgent({ environment: { DOCKER_CONFIG: place } });
test.after.always(() => rmSync(place, { recursive: true, force: true }));

// bcrypt of "s3cret pass", as `htpasswd -B` makes it.
const htpasswd = "robot:$2y$05$abcdefghijklmnopqrstuu1qdcFaS0PtqFUPzaCxLQ8/0lspH0ZEW\n";

serialRegistryTest(
  "an image goes to a registry with a login, and back once it is signed",
  async (t) => {
    const htpasswdFile = join(place, "htpasswd");
    writeFileSync(htpasswdFile, htpasswd);
    const auth = { htpasswd: { realm: "test", path: htpasswdFile } };
    await withDockerRegistry(
      place,
      async (host) => {
        const name = `${host}/shop/web`;
        const refused = await agent.berth("push", image, `${name}:1`);
        t.regex(refused.stderr, /denies access and this host has no credentials .*berth login/);
        const login = startBerth([
          "login",
          ...agent.globalOptions(),
          "-u",
          "robot",
          "--password-stdin",
          host,
        ]);
        login.stdin.end("s3cret pass\n");
        t.like(await outcome(login), { code: 0, stdout: `logged in to ${host} as robot\n` });
        t.is(statSync(join(place, "config.json")).mode & 0o777, 0o600);
        const [, digest = ""] = (await agent.ok("push", image, `${name}:1`)).trim().split(" ");
        t.is(await agent.ok("tags", name), "1\n");
        await agent.ok("rmi", image);

        const signer = createSigner();
        const keyFile = join(place, "cosign.pub");
        writeFileSync(keyFile, signer.publicPem);
        const trust = { default: "reject", prefixes: { [host]: { keys: [keyFile] } } };
        agent.configure({ policy: { trust } });
        await eventually(
          async () => (agent.log.includes("config file read again") ? true : undefined),
          "the new policy",
          20_000,
        );
        await agent.commit({ "shop/compose.yaml": `services: {web: {image: "${name}:1"}}` });
        const sync = await agent.berth("sync", "--timeout", "30s");
        t.regex(sync.stdout + sync.stderr, /wants it signed and sha256:\w+ has no signature there/);
        t.regex(agent.log, /level=warn message="image cannot be pulled, trying again" image=/);
        t.deepEqual(await agent.ps(), []);

        await putSignature(host, simpleSignature([signer], { digest, reference: name }), digest);
        await agent.ok("sync", "--timeout", "60s");
        t.is((await agent.container("shop-web-1")).imageDigest, digest);
        t.deepEqual((await agent.status()).pulls, []);
        await agent.ok("tag", `${name}:1`, `${name}:other`);
        const named = await agent.berth("rmi", `${name}:1`);
        t.is(named.code, 1);
        t.regex(named.stderr, /because the service shop\/web has it in git/);
        await agent.ok("rmi", `${name}:other`);
        const { body } = await agent.get("/metrics");
        const metric = (series: string): number =>
          Number(
            body
              .split("\n")
              .find((line) => line.startsWith(`${series} `))
              ?.split(" ")[1],
          );
        t.true(metric("berth_image_pull_bytes_total") > 100_000);
        t.is(metric('berth_image_pull_total{result="pulled"}'), 1);
        t.true(metric('berth_image_layers_total{result="unpacked"}') >= 1);
        t.true(metric('berth_image_disk_bytes{state="free"}') > 0);

        // What is rejected by name is a mistake of the commit.
        await agent.commit({ "other/compose.yaml": "services: {x: {image: nginx:1}}" });
        await agent.berth("sync", "--timeout", "30s");
        const { errors } = await agent.status();
        t.regex(
          errors.join(),
          /other\/compose\.yaml:1:\d+: .*rejects images by default.*docker\.io\/library\/nginx/,
        );
        await agent.ok("logout", host);
        t.notRegex(readFileSync(join(place, "config.json"), "utf8"), /auth":/);
      },
      { auth },
    );
  },
);

/** As cosign would, with the login that the agent keeps. */
async function putSignature(
  host: string,
  signature: ReturnType<typeof simpleSignature>,
  digest: string,
): Promise<void> {
  const authorization = `Basic ${Buffer.from("robot:s3cret pass").toString("base64")}`;
  const base = `http://${host}/v2/shop/web`;
  for (const [blob, bytes] of signature.blobs) {
    const begun = await fetch(`${base}/blobs/uploads/`, {
      method: "POST",
      headers: { authorization },
    });
    const upload = new URL(begun.headers.get("location") ?? "", base);
    upload.searchParams.set("digest", blob);
    const type = { "content-type": "application/octet-stream" };
    await put(upload, bytes, { ...type, authorization });
  }
  const type = { "content-type": signature.mediaType };
  const url = new URL(`${base}/manifests/${signatureTag(digest)}`);
  await put(url, signature.manifest, { ...type, authorization });
}

async function put(url: URL, body: Buffer, headers: Record<string, string>): Promise<void> {
  const answer = await fetch(url, { method: "PUT", headers, body: new Uint8Array(body) });
  if (answer.status !== 201) throw new Error(`PUT ${url}: ${answer.status} ${await answer.text()}`);
}
