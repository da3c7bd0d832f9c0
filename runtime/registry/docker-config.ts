import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import * as z from "zod";
import { ImageError } from "../images/image-error.ts";

const CONFIG_BYTES_MAX = 1024 * 1024;
const DOCKER_HUB_KEY = "https://index.docker.io/v1/";

// Docker and others keep more in this file: it is passed through.
const AuthEntry = z.looseObject({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});
export type AuthEntry = z.infer<typeof AuthEntry>;

const DockerConfig = z.looseObject({
  auths: z.record(z.string(), AuthEntry).optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
  credsStore: z.string().optional(),
});
export type DockerConfig = z.infer<typeof DockerConfig>;

/** `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. */
export function dockerConfigPath(environment: NodeJS.ProcessEnv = process.env): string {
  const directory = environment.DOCKER_CONFIG || join(environment.HOME || homedir(), ".docker");
  return join(directory, "config.json");
}

/** Under which names a registry may stand in the file; the first is the one that Docker writes. */
export function configKeys(registry: string): readonly string[] {
  const keys = [registry, `https://${registry}`, `https://${registry}/`, `http://${registry}`];
  return registry === "docker.io" ? [DOCKER_HUB_KEY, "index.docker.io", ...keys] : keys;
}

/** The file's content; undefined when there is none. */
export async function readDockerConfig(path: string): Promise<DockerConfig | undefined> {
  try {
    const { size } = await stat(path);
    if (size > CONFIG_BYTES_MAX) throw new Error("it is larger than 1 MiB");
    return DockerConfig.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    // The parser's message may quote the file, and the file holds secrets.
    throw unreadable(path, "it is not readable as Docker's configuration");
  }
}

/** Replaces the file in one step, readable by its owner alone. A link to it stays a link. */
export async function writeDockerConfig(path: string, config: DockerConfig): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const target = await realpath(path).catch(() => path);
  const temporary = join(dirname(target), `.config.json.${randomUUID()}`);
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(config, null, "\t")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new ImageError({
      because: `${path} cannot be written (${error instanceof Error ? error.message : String(error)})`,
      fix: "make its directory writable for the agent, or name another with DOCKER_CONFIG",
      kind: "stalled",
      cause: error,
    });
  }
}

export function unreadable(path: string, why: string): ImageError {
  return new ImageError({
    because: `the credentials in ${path} cannot be used (${why})`,
    fix: "write the file again with berth login or docker login, or remove it",
    kind: "stalled",
  });
}
