import { createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestAuthority } from "./certificates.ts";

export type TokenServer = {
  /** The `auth` section of Debian's registry. */
  readonly auth: object;
  /** Scopes that were asked for, and by whom. */
  readonly asked: { readonly user: string; readonly scopes: readonly string[] }[];
};

const service = "test registry";
const issuer = "test issuer";

/** A token service (distribution's "Token Authentication Specification") that lets `user` with `password` do all. */
export async function withTokenServer(
  authority: TestAuthority,
  account: { readonly user: string; readonly password: string },
  work: (server: TokenServer) => Promise<void>,
): Promise<void> {
  const { certFile, keyFile } = authority.issue("token service");
  const asked: TokenServer["asked"] = [];
  const wanted = `Basic ${Buffer.from(`${account.user}:${account.password}`).toString("base64")}`;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://token");
    const { authorization } = request.headers;
    const scopes = url.searchParams.getAll("scope");
    asked.push({ user: authorization === undefined ? "" : account.user, scopes });
    if (authorization !== undefined && authorization !== wanted) {
      response.writeHead(401).end();
      return;
    }
    const access = authorization === undefined ? [] : scopes.map(readScope);
    const token = signToken({ certFile, keyFile }, access);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ token, expires_in: 300 }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // listening on TCP: never a string or null
  const realm = `http://127.0.0.1:${port}/token`;
  try {
    const auth = { token: { realm, service, issuer, rootcertbundle: authority.caFile } };
    await work({ auth, asked });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

function readScope(scope: string): object {
  const [type, name, actions = ""] = scope.split(":");
  return { type, name, actions: actions.split(",") };
}

function signToken(
  { certFile, keyFile }: { readonly certFile: string; readonly keyFile: string },
  access: readonly object[],
): string {
  const x5c = [new X509Certificate(readFileSync(certFile)).raw.toString("base64")];
  const nowS = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer,
    sub: "",
    aud: service,
    exp: nowS + 300,
    nbf: nowS - 10,
    iat: nowS,
    jti: randomUUID(),
    access,
  };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ typ: "JWT", alg: "ES256", x5c })}.${part(claims)}`;
  const key = createPrivateKey(readFileSync(keyFile));
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}
