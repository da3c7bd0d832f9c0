import type { Socket } from "node:net";
import { connectWhenThere } from "./guest-channel.ts";

/** QEMU's machine protocol (QMP): JSON lines, one answer a command, events in between. */
export class MachineMonitor {
  readonly #socket: Socket;
  readonly #waiting: ((answer: Readonly<Record<string, unknown>>) => void)[] = [];
  #text = "";

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("error", () => {});
    socket.on("data", (text: string) => {
      const lines = (this.#text + text).split("\n");
      this.#text = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    });
  }

  static async open(path: string, abort: AbortSignal): Promise<MachineMonitor> {
    const monitor = new MachineMonitor(await connectWhenThere(path, abort));
    await monitor.command("qmp_capabilities");
    return monitor;
  }

  /** Throws what QEMU says when it refuses. */
  async command(name: string, parameters: object = {}): Promise<unknown> {
    const answered = new Promise<Readonly<Record<string, unknown>>>((resolve) => {
      this.#waiting.push(resolve);
    });
    this.#socket.write(`${JSON.stringify({ execute: name, arguments: parameters })}\n`);
    const answer = await answered;
    if ("error" in answer) {
      throw new Error(`cannot ${name} because QEMU refused: ${JSON.stringify(answer.error)}`);
    }
    return answer.return;
  }

  /** Asks until the answer's `status` is one of these. */
  async waitForStatus(query: string, wanted: readonly string[]): Promise<string> {
    for (;;) {
      const answer = await this.command(query);
      const status =
        typeof answer === "object" && answer !== null && "status" in answer
          ? String(answer.status)
          : "";
      if (wanted.includes(status)) return status;
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(line: string): void {
    const message: unknown = JSON.parse(line);
    if (typeof message !== "object" || message === null) return;
    if ("return" in message || "error" in message) {
      this.#waiting.shift()?.(message as Readonly<Record<string, unknown>>); // An object, as just seen.
    }
  }
}
