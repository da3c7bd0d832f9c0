import { createServer, request as httpRequest } from "node:http";
import { type AddressInfo, connect } from "node:net";

export type TestProxy = {
  readonly address: string;
  /** `CONNECT name:port` or `GET http://…`, with the user that asked. */
  readonly asked: string[];
};

/** An HTTP proxy on loopback that takes every name for 127.0.0.1. */
export async function withProxy(work: (proxy: TestProxy) => Promise<void>): Promise<void> {
  const asked: string[] = [];
  const note = (what: string, authorization: string | undefined): void => {
    const user = Buffer.from((authorization ?? "").replace("Basic ", ""), "base64").toString();
    asked.push(user === "" ? what : `${user} ${what}`);
  };
  const server = createServer((request, response) => {
    note(`${request.method} ${request.url}`, request.headers["proxy-authorization"]);
    const target = new URL(request.url ?? "");
    const { "proxy-authorization": _, ...headers } = request.headers;
    const options = { host: "127.0.0.1", port: target.port, method: request.method ?? "GET" };
    const onward = httpRequest({ ...options, path: target.pathname + target.search, headers });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  server.on("connect", (request, socket) => {
    note(`CONNECT ${request.url}`, request.headers["proxy-authorization"]);
    const onward = connect(Number(request.url?.split(":")[1]), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      socket.pipe(onward).pipe(socket);
    });
    for (const end of [socket, onward]) end.on("error", () => onward.destroy());
    socket.on("close", () => onward.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // listening on TCP: never a string or null
  try {
    await work({ address: `127.0.0.1:${port}`, asked });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
