/** Small servers on loopback for what is to be told to others. */
import { createServer as createHttpServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import type { ExecutionContext } from "ava";

type Closing = Pick<ExecutionContext, "teardown">;

/** Answers every request with this status, or as it says by how often the path was asked for, from 1 on. */
export async function serveHttp(t: Closing, status: number | ((times: number) => number) = 200) {
  const requests: { url: string; body: string; headers: IncomingHttpHeaders }[] = [];
  const server = createHttpServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    requests.push({ url: request.url ?? "", body, headers: request.headers });
    const times = requests.filter(({ url }) => url === request.url).length;
    response.writeHead(typeof status === "number" ? status : status(times)).end();
  });
  const port = await listening(server);
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  t.teardown(close);
  return { url: `http://127.0.0.1:${port}`, requests, close };
}

/** As much of RFC 5321 as takes one mail. `answers`: verb -> what is said instead of "250 fine". */
export async function serveSmtp(t: Closing, answers: Readonly<Record<string, string>> = {}) {
  let said = "";
  const server = createTcpServer((socket) => {
    let isData = false;
    socket.on("error", () => {});
    socket.write("220 tests\r\n");
    socket.on("data", (chunk) => {
      said += chunk.toString();
      for (const line of chunk.toString().split("\r\n").slice(0, -1)) {
        if (isData) {
          isData = line !== ".";
          if (!isData) socket.write(`${answers["."] ?? "250 taken"}\r\n`);
          continue;
        }
        const answer = answers[line.slice(0, 4)];
        if (answer !== undefined) socket.write(`${answer}\r\n`);
        else if (line === "DATA") {
          isData = true;
          socket.write("354 go on\r\n");
        } else if (line === "QUIT") socket.end("221 bye\r\n");
        else if (line === "STARTTLS") socket.write("502 no such thing here\r\n");
        else socket.write("250 fine\r\n");
      }
    });
  });
  const port = await listening(server);
  t.teardown(() => server.close());
  return { port, said: () => said };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port; // listening on TCP
}
