import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Where the manifests come from, checked. */
export type SourceUrl = {
  /** What git is given: never with credentials in it. */
  readonly fetchUrl: string;
  /** For status and logs. */
  readonly displayUrl: string;
  /** Transports that git may use, as GIT_ALLOW_PROTOCOL takes them. */
  readonly allowedProtocols: string;
  /** Absolute path when the repository is on this machine. */
  readonly localPath?: string;
  readonly credentials?: { readonly username: string; readonly password: string };
};

const loopbackHosts = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Accepts `https://…`, `ssh://…`, `user@host:path`, an absolute or relative path and `file:///…`; plain `http://`
 * to loopback only. Everything else (`ext::`, `git://`, an option in disguise) is refused: see gitremote-helpers(7)
 * for what a transport prefix could run.
 */
export function parseSourceUrl(text: string): SourceUrl {
  if (text === "" || text.startsWith("-")) throw refused(text, "a URL or a path");
  // A decoded newline would inject a line into the credential protocol (gitcredentials(7)).
  if (/\p{Cc}/u.test(text) || /%(0[0-9a-f]|1[0-9a-f]|7f)/i.test(text)) {
    throw refused(text.replaceAll(/\p{Cc}/gu, "?"), "an address without control characters");
  }
  if (/^[a-z][a-z0-9+.-]*::/i.test(text)) throw refused(text, "https, ssh or a path");
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return parseUrl(text);
  const scp = /^(?:[\w.-]+@)?([\w.-]+):(?!\/\/).+$/.exec(text);
  if (scp !== null && !text.startsWith(".") && !isAbsolute(text)) {
    if (scp[1]?.startsWith("-") === true) throw refused(text, "a host name");
    return { fetchUrl: text, displayUrl: text, allowedProtocols: "ssh" };
  }
  return localSource(resolve(text));
}

/**
 * A branch, tag or full ref name; gitrevisions(7) expressions are refused. Throws when it is not a name that
 * git-check-ref-format(1) allows.
 */
export function checkRefName(ref: string): string {
  const bad =
    ref === "" ||
    ref.length > 255 ||
    ref.startsWith("-") ||
    ref.startsWith("+") ||
    ref.startsWith("/") ||
    ref.endsWith("/") ||
    ref.endsWith(".") ||
    ref === "@" ||
    /[\p{Cc} ~^:?*[\\]|\.\.|@\{|\/\/|(^|\/)\.|\.lock(\/|$)/u.test(ref);
  if (bad) {
    throw new Error(
      `cannot follow the ref ${JSON.stringify(ref)} because it is not a ref name: a branch or tag is expected`,
    );
  }
  return ref;
}

function parseUrl(text: string): SourceUrl {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new Error(`cannot use the repository ${text} because it is not a valid URL`, { cause });
  }
  if (url.protocol === "file:") return localSource(fileURLToPath(url));
  if (url.hostname === "" || url.hostname.startsWith("-")) throw refused(text, "a host name");
  if (url.protocol === "ssh:") {
    if (url.username.startsWith("-") || decodeURIComponent(url.username).startsWith("-")) {
      throw refused(text, "a user name that does not begin with -");
    }
    return { fetchUrl: text, displayUrl: withoutPassword(url), allowedProtocols: "ssh" };
  }
  const plain = url.protocol === "http:" && loopbackHosts.has(url.hostname);
  if (url.protocol !== "https:" && !plain)
    throw refused(withoutPassword(url), "https, ssh or a path");
  const allowedProtocols = plain ? "http:https" : "https";
  if (url.password === "") return { fetchUrl: text, displayUrl: text, allowedProtocols };
  const credentials = {
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
  const fetchUrl = withoutPassword(url);
  return { fetchUrl, displayUrl: fetchUrl, allowedProtocols, credentials };
}

function localSource(localPath: string): SourceUrl {
  return { fetchUrl: localPath, displayUrl: localPath, allowedProtocols: "file", localPath };
}

function withoutPassword(url: URL): string {
  const clean = new URL(url);
  clean.password = "";
  return clean.href;
}

function refused(text: string, expected: string): Error {
  return new Error(
    `cannot use the repository ${JSON.stringify(text)} because its address is not allowed: ${expected} is expected`,
  );
}
