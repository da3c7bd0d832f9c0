import { connect, type Socket } from "node:net";

/** How a command in the guest ended. */
export type CommandResult = {
  /** Exit code, or 128 and the signal's number, as a shell tells it. */
  readonly code: number;
  /** stdout and stderr as they came. */
  readonly output: string;
};

type Pending = {
  readonly chunks: Buffer[];
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: Error) => void;
};

const kind = { run: 1, output: 2, exited: 3 } as const;
const headerBytes = 12;

/** The host's end of the guest agent's port; frames as test/vm/guest/guest-agent.c describes them. */
export class GuestChannel {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #received: Buffer = Buffer.alloc(0);
  #lastId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      while (this.#takeFrame());
    });
    socket.on("close", () => this.#end(new Error("the machine ended")));
    socket.on("error", () => {});
  }

  /** Connects to QEMU's socket, which is there a moment after QEMU. */
  static async open(path: string, abort: AbortSignal): Promise<GuestChannel> {
    return new GuestChannel(await connectWhenThere(path, abort));
  }

  /** Runs a bash script; resolves however it ends. */
  run(script: string, timeoutMs: number): Promise<CommandResult> {
    this.#lastId += 1;
    const id = this.#lastId;
    const body = Buffer.from(script);
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32LE(body.length, 0);
    header.writeUInt32LE(id, 4);
    header.writeUInt32LE(kind.run, 8);
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      const timer = setTimeout(() => {
        const output = Buffer.concat(chunks).toString();
        reject(new Error(`no end within ${timeoutMs} ms of: ${script}\n${output}`));
      }, timeoutMs);
      this.#pending.set(id, {
        chunks,
        resolve: (result) => {
          clearTimeout(timer);
          resolve(result);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#socket.write(Buffer.concat([header, body]));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #takeFrame(): boolean {
    const bytes = this.#received;
    if (bytes.length < headerBytes) return false;
    const end = headerBytes + bytes.readUInt32LE(0);
    if (bytes.length < end) return false;
    this.#received = bytes.subarray(end);
    const id = bytes.readUInt32LE(4);
    const pending = this.#pending.get(id);
    const body = bytes.subarray(headerBytes, end);
    if (bytes.readUInt32LE(8) === kind.output) pending?.chunks.push(Buffer.from(body));
    if (bytes.readUInt32LE(8) !== kind.exited || pending === undefined) return true;
    this.#pending.delete(id);
    const status = body.readUInt32LE(0);
    const signal = status & 0x7f;
    const code = signal === 0 ? (status >> 8) & 0xff : 128 + signal;
    pending.resolve({ code, output: Buffer.concat(pending.chunks).toString() });
    return true;
  }

  #end(error: Error): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/** A socket of QEMU's; tried again while it is not there yet. */
export async function connectWhenThere(path: string, abort: AbortSignal): Promise<Socket> {
  for (;;) {
    abort.throwIfAborted();
    const socket = connect(path);
    const connected = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (connected) return socket;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
