/** git over HTTP(S) on loopback: `git http-backend`(1) as a CGI program behind Node's server. */
import { spawn } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export type GitServer = {
  /** Of the repository. */
  readonly url: string;
  /** Requests that came without the right password. */
  readonly refused: () => number;
  close(): Promise<void>;
};

export type GitServerOptions = {
  readonly login?: { readonly username: string; readonly password: string };
  /** PEM. */
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer };
};

/** Serves one repository; asks for the password when there is one. */
export async function serveRepository(
  dir: string,
  { login, tls }: GitServerOptions,
): Promise<GitServer> {
  let refused = 0;
  const expected =
    login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    if (expected !== undefined && request.headers.authorization !== expected) {
      refused += 1;
      response.writeHead(401, { "www-authenticate": 'Basic realm="fleet"' }).end();
    } else {
      runBackend(dir, request, response);
    }
  };
  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // listening on TCP: never a string or null
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}/fleet.git`,
    refused: () => refused,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function runBackend(dir: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://server");
  const child = spawn("git", ["http-backend"], {
    stdio: ["pipe", "pipe", "ignore"],
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: dir,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      PATH_INFO: url.pathname.replace(/^\/fleet\.git/, ""),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: String(request.headers["content-encoding"] ?? ""),
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      REMOTE_ADDR: "127.0.0.1",
    },
  });
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.on("close", () => {
    const output = Buffer.concat(chunks);
    const headEnd = output.indexOf("\r\n\r\n");
    let status = 200;
    for (const line of output.toString("latin1", 0, headEnd).split("\r\n")) {
      const [name = "", value = ""] = line.split(/: (.*)/);
      if (name === "Status") status = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.writeHead(status).end(output.subarray(headEnd + 4));
  });
}
