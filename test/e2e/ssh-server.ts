/** git over ssh on loopback: a real sshd(8) with keys of its own. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { freePort } from "../builders/free-port.ts";

export type SshServer = {
  /** Begin of the addresses of this machine's repositories. */
  readonly url: string;
  readonly clientKey: string;
  readonly knownHosts: string;
  close(): Promise<void>;
};

/** Where sshd keeps itself before a login; it insists on it. */
const separation = "/run/sshd";

/** Its keys, files and log lie in `dir`. Whoever has the client's key logs in as the tests' user. */
export async function serveSsh(dir: string): Promise<SshServer> {
  const [hostKey, clientKey] = ["host_key", "client_key"].map((name) => makeKey(join(dir, name)));
  if (hostKey === undefined || clientKey === undefined) throw new Error("no key was made");
  const port = await freePort();
  const [knownHosts, config] = [join(dir, "known_hosts"), join(dir, "sshd_config")];
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${readFileSync(`${hostKey}.pub`, "utf8")}`);
  writeFileSync(config, configText({ port, hostKey, authorized: `${clientKey}.pub` }));
  const isOurs = !existsSync(separation);
  if (isOurs) mkdirSync(separation, { mode: 0o755 });
  const log = ["-E", join(dir, "sshd.log")];
  const server = spawn("/usr/sbin/sshd", ["-D", "-f", config, ...log], { stdio: "ignore" });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const close = async () => {
    server.kill();
    await ended;
    if (isOurs) rmdirSync(separation);
  };
  try {
    await untilListening(port, () => server.exitCode !== null);
  } catch (error) {
    await close();
    throw error;
  }
  const url = `ssh://${userInfo().username}@127.0.0.1:${port}`;
  return { url, clientKey, knownHosts, close };
}

function configText(options: {
  readonly port: number;
  readonly hostKey: string;
  readonly authorized: string;
}): string {
  return [
    `Port ${options.port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${options.hostKey}`,
    `AuthorizedKeysFile ${options.authorized}`,
    "AuthenticationMethods publickey",
    "PermitRootLogin prohibit-password",
    "StrictModes no",
    "UsePAM no",
    "PidFile none",
    "",
  ].join("\n");
}

export function makeKey(path: string): string {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
  return path;
}

async function untilListening(port: number, isOver: () => boolean): Promise<void> {
  for (;;) {
    const answered = await new Promise<boolean>((resolve) => {
      const socket = createConnection(port, "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (answered) return;
    if (isOver()) throw new Error("cannot start sshd: its log says why");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
