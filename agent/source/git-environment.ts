import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SourceUrl } from "./source-url.ts";

/** How git reaches a server, where the defaults of ssh and curl do not do. Absolute paths without quotes or blanks. */
export type GitTransport = {
  /** Private key without a passphrase; no other is offered then. */
  readonly sshKey?: string | undefined;
  /** In the form of known_hosts(5), instead of the user's own. */
  readonly knownHosts?: string | undefined;
  /** Certificates of the authorities to trust for https, in PEM. */
  readonly caFile?: string | undefined;
};

export type ObjectFormat = "sha1" | "sha256";

export type GitPlace = {
  /** Bare repository. */
  readonly gitDir: string;
  readonly environment: Readonly<Record<string, string>>;
};

/** Taken from the agent's own environment: what ssh and curl need to reach a server. */
const inherited = [
  "PATH",
  "HOME",
  "SSH_AUTH_SOCK",
  "HTTPS_PROXY",
  "https_proxy",
  "HTTP_PROXY",
  "http_proxy",
  "NO_PROXY",
  "no_proxy",
  "ALL_PROXY",
  "all_proxy",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
];

/** Names of the GIT_* variables that `prepareGitPlace` sets, for simple-git's guard. */
export const gitVariables = [
  "GIT_ALLOW_PROTOCOL",
  "GIT_CONFIG_GLOBAL",
  "GIT_CONFIG_NOSYSTEM",
  "GIT_NO_LAZY_FETCH",
  "GIT_NO_REPLACE_OBJECTS",
  "GIT_OPTIONAL_LOCKS",
  "GIT_PROTOCOL_FROM_USER",
  "GIT_TERMINAL_PROMPT",
] as const;

/**
 * Makes the bare mirror (without `git init`: no template, no hooks) and the only configuration file that git will
 * read besides the mirror's own. The settings stand in the file that GIT_CONFIG_GLOBAL names rather than in `-c`
 * options, because git removes the latter before it starts `upload-pack` on a local repository.
 */
export function prepareGitPlace(options: {
  readonly libDir: string;
  readonly source: SourceUrl;
  readonly objectFormat: ObjectFormat;
  readonly transport?: GitTransport | undefined;
}): GitPlace {
  const { libDir, source, objectFormat, transport = {} } = options;
  const gitDir = join(libDir, "source.git");
  for (const directory of ["objects/info", "objects/pack", "refs/heads", "refs/tags"]) {
    mkdirSync(join(gitDir, directory), { recursive: true, mode: 0o700 });
  }
  chmodSync(gitDir, 0o700);
  writePrivate(join(gitDir, "HEAD"), "ref: refs/heads/none\n");
  writePrivate(join(gitDir, "config"), mirrorConfig(objectFormat));
  const configFile = join(libDir, "source.gitconfig");
  const credentialsFile = join(libDir, "source.credentials");
  writePrivate(credentialsFile, source.credentials === undefined ? "" : credentialLine(source));
  writePrivate(configFile, guardConfig(source, credentialsFile, transport));
  const environment: Record<string, string> = {
    LC_ALL: "C",
    GIT_ALLOW_PROTOCOL: source.allowedProtocols,
    GIT_CONFIG_GLOBAL: configFile,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_NO_LAZY_FETCH: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_PROTOCOL_FROM_USER: "0",
    GIT_TERMINAL_PROMPT: "0",
  };
  for (const name of inherited) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return { gitDir, environment };
}

/** What the mirror in `libDir` hashes with; SHA-1 where there is none yet. */
export function mirrorFormat(libDir: string): ObjectFormat {
  try {
    const config = readFileSync(join(libDir, "source.git", "config"), "utf8");
    return /^\tobjectFormat = sha256$/m.test(config) ? "sha256" : "sha1";
  } catch {
    return "sha1";
  }
}

function mirrorConfig(objectFormat: ObjectFormat): string {
  const version = objectFormat === "sha256" ? 1 : 0;
  const extension = objectFormat === "sha256" ? "[extensions]\n\tobjectFormat = sha256\n" : "";
  return `[core]\n\trepositoryformatversion = ${version}\n\tbare = true\n${extension}`;
}

function guardConfig(source: SourceUrl, credentialsFile: string, transport: GitTransport): string {
  const sections = [
    "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\tsymlinks = false\n\tattributesFile = /dev/null",
    `\tsshCommand = ${quote(sshCommand(transport))}`,
    "[protocol]\n\tallow = never\n\tversion = 2",
    ...source.allowedProtocols.split(":").map((name) => `[protocol "${name}"]\n\tallow = always`),
    '[protocol "ext"]\n\tallow = never',
    "[transfer]\n\tfsckObjects = true\n\tbundleURI = false\n\tcredentialsInUrl = die",
    "[fetch]\n\tfsckObjects = true\n\trecurseSubmodules = false",
    "[submodule]\n\trecurse = false",
    "[gc]\n\tauto = 0",
    "[maintenance]\n\tauto = false",
    "[http]\n\tlowSpeedLimit = 1000\n\tlowSpeedTime = 30",
    ...(transport.caFile === undefined ? [] : [`\tsslCAInfo = ${quote(transport.caFile)}`]),
    // Empty first: it clears helpers named in any other file.
    `[credential]\n\thelper =\n\thelper = ${quote(`store --file=${credentialsFile}`)}`,
  ];
  if (source.localPath !== undefined) {
    // The operator named this repository; it may belong to another user (CVE-2022-24765's check would refuse).
    const paths = [source.localPath, join(source.localPath, ".git")];
    sections.push(`[safe]\n${paths.map((path) => `\tdirectory = ${quote(path)}`).join("\n")}`);
  }
  return `${sections.join("\n")}\n`;
}

/** Host keys must be known, and nobody is there to type a passphrase. git gives this text to a shell. */
function sshCommand({ sshKey, knownHosts }: GitTransport): string {
  const words = ["ssh", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes"];
  if (sshKey !== undefined) words.push("-oIdentitiesOnly=yes", "-i", shellPath(sshKey));
  if (knownHosts !== undefined) words.push(`-oUserKnownHostsFile=${shellPath(knownHosts)}`);
  return words.join(" ");
}

function shellPath(path: string): string {
  if (!/^\/[\w./@+-]+$/.test(path)) {
    throw new Error(
      `cannot use the path ${JSON.stringify(path)} for ssh: an absolute path of letters, digits and ./@+_- is expected`,
    );
  }
  return path;
}

function credentialLine(source: SourceUrl): string {
  const url = new URL(source.fetchUrl);
  url.username = encodeURIComponent(source.credentials?.username ?? "");
  url.password = encodeURIComponent(source.credentials?.password ?? "");
  return `${url.protocol}//${url.username}:${url.password}@${url.host}\n`;
}

function quote(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
}
