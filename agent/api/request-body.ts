import type { IncomingMessage } from "node:http";
import { RequestError } from "./api-error.ts";

const BODY_BYTES_MAX = 262_144;

/** The request's JSON body; an absent one is `{}`. Refuses what is larger than `BODY_BYTES_MAX` while it arrives. */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const declaredBytes = Number(request.headers["content-length"] ?? 0);
  if (declaredBytes > BODY_BYTES_MAX) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw tooLarge();
  }
  if (bytes === 0) return {};
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RequestError(
      400,
      "usage",
      `cannot read the request because it is not JSON: ${reason}`,
    );
  }
}

/** The query as an object; a field given twice is refused. */
export function readQuery(parameters: URLSearchParams): Readonly<Record<string, string>> {
  const query: Record<string, string> = Object.create(null);
  for (const [key, value] of parameters) {
    if (Object.hasOwn(query, key)) {
      throw new RequestError(400, "usage", `cannot read the request because ${key} is given twice`);
    }
    query[key] = value;
  }
  return { ...query };
}

function tooLarge(): RequestError {
  return new RequestError(
    413,
    "usage",
    `cannot read the request because its body is larger than ${BODY_BYTES_MAX} bytes`,
  );
}
