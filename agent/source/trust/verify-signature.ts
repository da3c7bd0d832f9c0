import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CommitObject } from "./commit-object.ts";
import { runVerifier } from "./run-verifier.ts";

export type TrustedKeys = {
  /** File in the form of ssh-keygen(1), ALLOWED SIGNERS. */
  readonly allowedSigners?: string | undefined;
  /** Keys as `gpg --export` writes them. */
  readonly gpgKeyring?: string | undefined;
};

type Judged = { readonly commit: CommitObject; readonly file: string; readonly abort: AbortSignal };

/**
 * Why the commit is not signed by one of the keys; undefined when it is. ssh signatures are for the namespace `git`,
 * and the signer's times of validity are held against the committer's clock, as git does.
 */
export async function verifySignature(
  commit: CommitObject,
  keys: TrustedKeys,
  abort: AbortSignal,
): Promise<string | undefined> {
  const { signature } = commit;
  if (signature === undefined) return "it is not signed";
  const dir = await mkdtemp(join(tmpdir(), "berth-signature-"));
  try {
    const file = join(dir, "signature");
    await writeFile(file, signature.text, { mode: 0o600 });
    if (signature.kind === "ssh" && keys.allowedSigners !== undefined) {
      return await verifySsh({ commit, file, abort }, keys.allowedSigners);
    }
    if (signature.kind === "openpgp" && keys.gpgKeyring !== undefined) {
      return await verifyOpenPgp({ commit, file, abort }, keys.gpgKeyring);
    }
    return `its signature is of the kind ${signature.kind}, for which no keys are named`;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function verifySsh(
  { commit, file, abort }: Judged,
  allowedSigners: string,
): Promise<string | undefined> {
  const program = "ssh-keygen";
  const time = `-Overify-time=${sshTime(commit.committedAtSeconds)}`;
  const common = ["-f", allowedSigners, "-s", file, time];
  const found = await runVerifier({
    program,
    args: ["-Y", "find-principals", ...common],
    input: Buffer.alloc(0),
    abort,
  });
  const [principal] = found.output.split("\n");
  if (!found.ok || principal === undefined || principal === "") {
    return `its ssh key is none of ${allowedSigners}`;
  }
  const args = ["-Y", "verify", "-n", "git", "-I", principal, ...common];
  const { ok, output } = await runVerifier({ program, args, input: commit.payload, abort });
  return ok ? undefined : `its ssh signature is not good (${firstLine(output)})`;
}

async function verifyOpenPgp(
  { commit, file, abort }: Judged,
  keyring: string,
): Promise<string | undefined> {
  const args = ["--status-fd", "1", "--keyring", keyring, file, "-"];
  const { ok, output } = await runVerifier({ program: "gpgv", args, input: commit.payload, abort });
  const has = (word: string) => new RegExp(`^\\[GNUPG:\\] ${word}\\b`, "m").test(output);
  if (has("NO_PUBKEY")) return `its OpenPGP key is none of ${keyring}`;
  // A good signature by an expired or revoked key ends gpgv with 0, too.
  if (["EXPKEYSIG", "REVKEYSIG", "EXPSIG"].some(has)) {
    return "its OpenPGP key or signature has expired or was revoked";
  }
  if (ok && has("VALIDSIG") && has("GOODSIG")) return undefined;
  return `its OpenPGP signature is not good (${firstLine(output.replace(/^\[GNUPG:\].*\n/gm, ""))})`;
}

/** `YYYYMMDDHHMMSSZ`. */
function sshTime(seconds: number): string {
  const time = new Date(seconds * 1000).toISOString();
  return `${time.slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0]?.slice(0, 200) ?? "";
}
