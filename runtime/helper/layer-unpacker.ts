import { randomBytes } from "node:crypto";
import { constants, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import type {
  ArchiveOrder,
  DressedDirectory,
  TakenEntry,
  Unpacker,
  UnpackOrder,
  UnpackOutcome,
} from "../images/unpacker.ts";
import { Program } from "../program/program.ts";
import { HelperError } from "./helper-error.ts";
import type { Launcher } from "./launcher.ts";

/** Reads archives in children of the launcher: no tar byte is interpreted in this process. */
export class LayerUnpacker implements Unpacker {
  readonly #launcher: Launcher;
  readonly #socketDir: string;

  constructor(launcher: Launcher, runDir: string) {
    this.#launcher = launcher;
    this.#socketDir = join(runDir, "unpack");
    mkdirSync(this.#socketDir, { recursive: true, mode: 0o700 });
  }

  unpack(order: UnpackOrder, tar: AsyncIterable<Uint8Array> | Readable): Promise<UnpackOutcome> {
    const { abort, ...what } = order;
    return this.#launcher.unpack({ ...what, socketPath: this.#socket() }, readable(tar), abort);
  }

  takeFiles(
    order: ArchiveOrder,
    tar: AsyncIterable<Uint8Array> | Readable,
  ): Promise<readonly TakenEntry[]> {
    const { abort, ...what } = order;
    return this.#launcher.takeFiles({ ...what, socketPath: this.#socket() }, readable(tar), abort);
  }

  async dressLike(pairs: readonly DressedDirectory[]): Promise<void> {
    for (let from = 0; from < pairs.length; from += pairsAtOnce) {
      const program = new Program();
      for (const { directory, model } of pairs.slice(from, from + pairsAtOnce)) {
        const [source, destination] = [program.slot(), program.slot()];
        program
          .open(source, null, openDirectory, model)
          .open(destination, null, openDirectory, directory);
        program.dress(source, destination);
      }
      await this.#launcher.run(program.finish());
    }
  }

  async removeTree(path: string): Promise<void> {
    try {
      await this.#launcher.removeTree(path);
    } catch (error) {
      if (error instanceof HelperError && error.code === "ENOENT") return;
      throw error;
    }
  }

  #socket(): string {
    return join(this.#socketDir, `${randomBytes(8).toString("hex")}.sock`);
  }
}

function readable(tar: AsyncIterable<Uint8Array> | Readable): Readable {
  return tar instanceof Readable ? tar : Readable.from(tar, { objectMode: false });
}

/** Two of the helper's slots each. */
const pairsAtOnce = 64;
const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
