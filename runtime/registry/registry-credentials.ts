import { askHelper, emptyHelper, tellHelper } from "./credential-helper.ts";
import {
  type AuthEntry,
  configKeys,
  type DockerConfig,
  dockerConfigPath,
  readDockerConfig,
  unreadable,
  writeDockerConfig,
} from "./docker-config.ts";

/** `identityToken` is a refresh token of OAuth2, which some registries give out instead of a password. */
export type RegistryCredentials =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string };

/** The name of a user that stands for: the secret is an identity token. */
const TOKEN_USER = "<token>";

/** One writer at a time: each reads, changes and replaces the file. */
let writing: Promise<unknown> = Promise.resolve();

/**
 * The credentials that Docker's configuration has for a registry: of its helper (`credHelpers`, `credsStore`), else of
 * `auths`. Undefined without any.
 */
export async function readCredentials(
  registry: string,
  path: string = dockerConfigPath(),
): Promise<RegistryCredentials | undefined> {
  const config = await readDockerConfig(path);
  if (config === undefined) return undefined;
  const helper = helperOf(config, registry);
  const found = helper === undefined ? undefined : await askHelper(helper.name, helper.server);
  if (found !== undefined) {
    return found.username === TOKEN_USER
      ? { identityToken: found.secret }
      : { username: found.username, password: found.secret };
  }
  const { auths = {} } = config;
  const key = configKeys(registry).find((name) => Object.hasOwn(auths, name));
  const entry = key === undefined ? undefined : auths[key];
  return entry === undefined ? undefined : credentialsOf(entry, path);
}

/** Keeps credentials where Docker would: in the registry's helper, else in the file. */
export function keepCredentials(
  registry: string,
  { username, password }: { readonly username: string; readonly password: string },
  path: string = dockerConfigPath(),
): Promise<void> {
  return exclusively(async () => {
    const config = (await readDockerConfig(path)) ?? {};
    const helper = helperOf(config, registry);
    const auths = withoutRegistry(config.auths ?? {}, registry);
    const [key = registry] = configKeys(registry);
    if (helper !== undefined) {
      await tellHelper(helper.name, helper.server, { username, secret: password });
      // Docker leaves an empty entry: it says that there are credentials, without saying which.
      auths[key] = {};
    } else {
      auths[key] = { auth: Buffer.from(`${username}:${password}`).toString("base64") };
    }
    await writeDockerConfig(path, { ...config, auths });
  });
}

/** Forgets what is kept for a registry. False when nothing was. */
export function dropCredentials(
  registry: string,
  path: string = dockerConfigPath(),
): Promise<boolean> {
  return exclusively(async () => {
    const config = await readDockerConfig(path);
    if (config === undefined) return false;
    const helper = helperOf(config, registry);
    const had = helper !== undefined && (await emptyHelper(helper.name, helper.server));
    const { auths = {} } = config;
    const left = withoutRegistry(auths, registry);
    if (Object.keys(left).length === Object.keys(auths).length) return had;
    await writeDockerConfig(path, { ...config, auths: left });
    return true;
  });
}

function helperOf(
  { credHelpers = {}, credsStore }: DockerConfig,
  registry: string,
): { readonly name: string; readonly server: string } | undefined {
  const keys = configKeys(registry);
  const key = keys.find((name) => Object.hasOwn(credHelpers, name));
  const name = (key === undefined ? undefined : credHelpers[key]) || credsStore;
  return name ? { name, server: keys[0] ?? registry } : undefined;
}

function credentialsOf(entry: AuthEntry, path: string): RegistryCredentials | undefined {
  if (entry.identitytoken) return { identityToken: entry.identitytoken };
  if (entry.auth) return decodeAuth(entry.auth, path);
  const { username, password } = entry;
  return username === undefined || password === undefined ? undefined : { username, password };
}

function decodeAuth(auth: string, path: string): RegistryCredentials {
  const plain = Buffer.from(auth, "base64").toString("utf8");
  const colon = plain.indexOf(":");
  if (colon < 1) throw unreadable(path, "an auth entry is not base64 of user:password");
  return { username: plain.slice(0, colon), password: plain.slice(colon + 1).replace(/\0+$/, "") };
}

function withoutRegistry(
  auths: Readonly<Record<string, AuthEntry>>,
  registry: string,
): Record<string, AuthEntry> {
  const keys = configKeys(registry);
  return Object.fromEntries(Object.entries(auths).filter(([name]) => !keys.includes(name)));
}

function exclusively<T>(work: () => Promise<T>): Promise<T> {
  const turn = writing.then(work, work);
  writing = turn.catch(() => {});
  return turn;
}
