import type { Socket } from "node:net";
import { message, PROTOCOL_VERSION, PROTOCOL_VERSION_OLDEST } from "../protocol.ts";
import { readHelperError } from "./helper-error.ts";
import type { ProcessIdentity } from "./launcher.ts";
import {
  type Message,
  ProtocolVersionError,
  receiveMessages,
  sendMessage,
} from "./message-stream.ts";
import { connected, type ProcessExit, readExited } from "./supervisor-socket.ts";
import { WireReader, WireWriter } from "./wire.ts";

export type SupervisorState = {
  readonly phase: "held" | "running" | "ended";
  readonly process: ProcessIdentity;
  readonly supervisorPid: number;
  /** Version of the protocol that it speaks. */
  readonly protocol: number;
  /** Absent: older than protocol version 3. */
  readonly helperVersion?: string;
};

/** A supervisor with which nothing but its version can be exchanged: its container goes on, and is nobody's to touch. */
export class UnknownSupervisorError extends Error {
  override readonly name = "UnknownSupervisorError";

  constructor(protocol: number) {
    const isNewer = protocol > PROTOCOL_VERSION;
    super(
      `its supervisor was started by ${isNewer ? "a newer" : "a too old"} berth and speaks protocol version ${protocol}: ` +
        `${PROTOCOL_VERSION_OLDEST} to ${PROTOCOL_VERSION} are understood`,
    );
  }
}

type Connected = { readonly client: SupervisorClient; readonly state: SupervisorState };

/**
 * The connection through which the runtime watches one container. `ended` resolves with the exit, or with undefined
 * when the supervisor went away without saying one.
 */
export class SupervisorClient {
  readonly ended: Promise<ProcessExit | undefined>;
  readonly #socket: Socket;
  readonly #protocol: number;
  readonly #waiting = new Map<number, { resolve(m: Message): void; reject(e: Error): void }>();
  #nextId = 2;

  private constructor(socket: Socket, protocol: number, ended: Promise<ProcessExit | undefined>) {
    this.#socket = socket;
    this.#protocol = protocol;
    this.ended = ended;
  }

  /**
   * Speaks the version of the protocol that the supervisor does. Rejects with ENOENT or ECONNREFUSED when no supervisor
   * listens there, and with an UnknownSupervisorError when it speaks none that is known here.
   */
  static async connect(socketPath: string): Promise<Connected> {
    try {
      return await SupervisorClient.#connect(socketPath, PROTOCOL_VERSION);
    } catch (error) {
      if (!(error instanceof ProtocolVersionError)) throw error;
      const { version } = error;
      if (version >= PROTOCOL_VERSION || version < PROTOCOL_VERSION_OLDEST)
        throw new UnknownSupervisorError(version);
      return SupervisorClient.#connect(socketPath, version);
    }
  }

  static async #connect(socketPath: string, protocol: number): Promise<Connected> {
    const socket = await connected(socketPath);
    const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<
      ProcessExit | undefined
    >();
    const client = new SupervisorClient(socket, protocol, ended);
    const onMessage = (received: Message) => {
      if (received.type === message.exited) resolveEnded(readExited(received.body));
      else client.#receive(received);
    };
    receiveMessages(socket, onMessage, protocol);
    socket.on("error", (error) => {
      if (error instanceof ProtocolVersionError) client.#fail(error);
    });
    socket.once("close", () => {
      resolveEnded(undefined);
      client.#fail(new Error("cannot ask the supervisor: its connection was closed"));
    });
    const state = readState((await client.#ask(message.status, Buffer.alloc(0), 1)).body, protocol);
    return { client, state };
  }

  /** `all`: to every process of the container, not to its first one only. */
  async signal(signal: number, all: boolean): Promise<void> {
    await this.#ask(
      message.signal,
      new WireWriter()
        .u32(signal)
        .u32(all ? 1 : 0)
        .finish(),
    );
  }

  async release(): Promise<void> {
    await this.#ask(message.release, Buffer.alloc(0));
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(type: number, body: Buffer, id = this.#nextId++): Promise<Message> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(new Error("cannot ask the supervisor: its connection was closed"));
        return;
      }
      this.#waiting.set(id, { resolve, reject });
      sendMessage(this.#socket, { id, type, body }, this.#protocol);
    });
  }

  #receive(received: Message): void {
    const waiting = this.#waiting.get(received.id);
    if (waiting === undefined) return;
    this.#waiting.delete(received.id);
    if (received.type === message.error) waiting.reject(readHelperError(received.body));
    else waiting.resolve(received);
  }

  #fail(error: Error): void {
    const failed = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiting of failed) waiting.reject(error);
  }
}

function readState(body: Buffer, protocol: number): SupervisorState {
  const reader = new WireReader(body);
  const phase = (["held", "running", "ended"] as const)[reader.u32()] ?? "ended";
  const process = { pid: reader.u32(), startTime: reader.u64() };
  const state = { phase, process, supervisorPid: reader.u32(), protocol };
  return protocol < 3 ? state : { ...state, helperVersion: reader.string() };
}
