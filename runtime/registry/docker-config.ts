import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { ImageError } from "../images/image-error.ts";

export type RegistryCredentials = { readonly username: string; readonly password: string };

const CONFIG_BYTES_MAX = 1024 * 1024;
const DOCKER_HUB_KEY = "https://index.docker.io/v1/";

const DockerConfig = z.object({
  auths: z
    .record(
      z.string(),
      z.object({
        auth: z.string().optional(),
        username: z.string().optional(),
        password: z.string().optional(),
      }),
    )
    .optional(),
});

/** `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. */
function dockerConfigPath(environment: NodeJS.ProcessEnv = process.env): string {
  const directory = environment.DOCKER_CONFIG || join(environment.HOME || homedir(), ".docker");
  return join(directory, "config.json");
}

/** The credentials that Docker's configuration has for a registry; undefined without the file or an entry. */
export async function readCredentials(
  registry: string,
  path: string = dockerConfigPath(),
): Promise<RegistryCredentials | undefined> {
  const auths = (await readConfig(path))?.auths;
  for (const key of keysOf(registry)) {
    const entry = auths === undefined || !Object.hasOwn(auths, key) ? undefined : auths[key];
    if (entry?.auth) return decodeAuth(entry.auth, path);
    if (entry?.username !== undefined && entry.password !== undefined) {
      return { username: entry.username, password: entry.password };
    }
  }
  return undefined;
}

function keysOf(registry: string): readonly string[] {
  const keys = [registry, `https://${registry}`, `https://${registry}/`, `http://${registry}`];
  return registry === "docker.io" ? [DOCKER_HUB_KEY, "index.docker.io", ...keys] : keys;
}

async function readConfig(path: string): Promise<z.infer<typeof DockerConfig> | undefined> {
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

function decodeAuth(auth: string, path: string): RegistryCredentials {
  const plain = Buffer.from(auth, "base64").toString("utf8");
  const colon = plain.indexOf(":");
  if (colon < 1) throw unreadable(path, "an auth entry is not base64 of user:password");
  return { username: plain.slice(0, colon), password: plain.slice(colon + 1).replace(/\0+$/, "") };
}

function unreadable(path: string, why: string): ImageError {
  return new ImageError({
    because: `the credentials in ${path} cannot be used (${why})`,
    fix: "write the file again with docker login or remove it",
    kind: "stalled",
  });
}
