import { PassThrough, type Readable } from "node:stream";
import { CliError } from "./cli-error.ts";

const headBytes = 6;

/** First bytes of what people pipe in place of a tar archive, and what makes one of it. */
const compressions = [
  { name: "gzip", magic: Buffer.from([0x1f, 0x8b]), tool: "gunzip" },
  { name: "bzip2", magic: Buffer.from("BZh"), tool: "bunzip2" },
  { name: "xz", magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a]), tool: "unxz" },
  { name: "zstd", magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), tool: "unzstd" },
] as const;

/**
 * The stream as it was. Throws for a compressed one: nothing is decompressed on the way into a container, neither by its
 * programs nor by the host's.
 */
export async function refuseCompressed(
  source: Readable,
  destination: { readonly name: string; readonly path: string },
): Promise<Readable> {
  const whole = new PassThrough();
  const head: Buffer[] = [];
  for (let length = 0; length < headBytes; ) {
    const chunk = await nextChunk(source);
    if (chunk === undefined) break;
    head.push(chunk);
    length += chunk.length;
  }
  const bytes = Buffer.concat(head);
  const found = compressions.find(({ magic }) => bytes.subarray(0, magic.length).equals(magic));
  if (found !== undefined) {
    const { name, tool } = found;
    throw new CliError(
      1,
      `cannot copy from stdin because it is compressed with ${name}: decompress it before, as in '${tool} -c FILE | berth cp - ${destination.name}:${destination.path}'`,
    );
  }
  whole.write(bytes);
  source.pipe(whole);
  return whole;
}

async function nextChunk(source: Readable): Promise<Buffer | undefined> {
  for (;;) {
    const chunk: Buffer | null = source.read();
    if (chunk !== null) return chunk;
    if (source.readableEnded || source.destroyed) return undefined;
    await new Promise<void>((resolve) => {
      const done = () => {
        for (const event of ["readable", "end", "close", "error"]) source.off(event, done);
        resolve();
      };
      for (const event of ["readable", "end", "close", "error"]) source.once(event, done);
    });
  }
}
