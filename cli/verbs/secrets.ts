import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { readIdentities } from "../../agent/secrets/identity-file.ts";
import { identityFileDefault } from "../../agent/settings/settings.ts";
import { encryptAge, newIdentity } from "../../manifests/secrets/age.ts";
import { secretFormat, sopsFormatOf } from "../../manifests/secrets/secret-file.ts";
import { encryptSops } from "../../manifests/secrets/sops-file.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { editText } from "../secrets/edit-text.ts";
import {
  decryptFile,
  encryptLike,
  ownRecipients,
  readBounded,
  readEncrypted,
  replaceFile,
} from "../secrets/encrypted-file.ts";
import { recipientsFor } from "../secrets/recipients.ts";
import { print, printJson, printNote } from "../terminal.ts";

type Options = {
  readonly recipient?: readonly string[];
  readonly identity?: string;
  readonly sops?: boolean;
};

type Request = {
  readonly files: readonly string[];
  readonly options: Options;
  readonly json: boolean;
};

const actions: Readonly<Record<string, (request: Request) => Promise<void>>> = {
  keygen,
  encrypt,
  edit,
  rekey,
};

export async function runSecrets({ json }: Context, command: Command): Promise<undefined> {
  const [name = "", ...files] = command.args;
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action === undefined) {
    const known = Object.keys(actions).join(", ");
    throw new CliError(2, `cannot do '${name}' with secrets: ${known} is expected`);
  }
  await action({ files, options: command.opts<Options>(), json });
}

/** The recipient is printed; the identity never is. */
async function keygen({ files, options, json }: Request): Promise<void> {
  const path = files[0] ?? options.identity ?? identityFileDefault;
  const { identity, recipient } = await newIdentity();
  const text = `# created: ${new Date().toISOString()}\n# public key: ${recipient}\n${identity}\n`;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFile(path, text, { mode: 0o600, flag: "wx" }).catch((cause: unknown) => {
    const taken = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    const why = taken ? "it is there already: name another file" : "it cannot be written";
    throw new CliError(1, `cannot make the identity file ${path} because ${why}`, { cause });
  });
  if (json) printJson({ file: path, recipient });
  else {
    printNote(`the identity is in ${path}; files are encrypted to:`);
    print(recipient);
  }
}

async function encrypt({ files, options }: Request): Promise<void> {
  for (const path of required(files)) {
    const bytes = await readBounded(path);
    if (secretFormat(path, bytes) !== "plain")
      throw new CliError(
        1,
        `cannot encrypt ${path} because it is encrypted already: \`berth secrets rekey\` changes who reads it`,
      );
    const recipients = await recipientsFor(path, options.recipient ?? []);
    if (options.sops === true) {
      const plain = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      const request = { format: sopsFormatOf(path), plain, recipients, now: () => new Date() };
      await replaceFile(path, await encryptSops(request).catch(named(path)));
      printNote(`${path} is encrypted now, to ${countOf(recipients)}`);
    } else {
      await replaceFile(`${path}.age`, await encryptAge(bytes, recipients));
      await rm(path);
      printNote(`${path}.age takes the place of ${path}, encrypted to ${countOf(recipients)}`);
    }
  }
}

/** What did not change stays as it is: a new file would be a change in git for nothing. */
async function edit({ files, options }: Request): Promise<void> {
  const identities = await identitiesOf(options);
  for (const path of required(files)) {
    const file = await readEncrypted(path);
    const own = ownRecipients(file);
    const given = options.recipient ?? [];
    const recipients = await recipientsFor(path, given.length > 0 ? given : own);
    const before = await decryptFile(file, identities);
    const after = await editText(path, before);
    if (Buffer.from(before).equals(after)) {
      printNote(`${path} was not changed`);
      continue;
    }
    await replaceFile(path, await encryptLike(file, after, recipients).catch(named(path)));
    printNote(`${path} was changed`);
  }
}

/** Encrypts with new keys to the recipients of today; of a directory, every encrypted file in it. */
async function rekey({ files, options }: Request): Promise<void> {
  const identities = await identitiesOf(options);
  for (const path of (await Promise.all(required(files).map(encryptedBelow))).flat()) {
    const file = await readEncrypted(path);
    const recipients = await recipientsFor(path, options.recipient ?? []);
    const plain = await decryptFile(file, identities);
    await replaceFile(path, await encryptLike(file, plain, recipients).catch(named(path)));
    printNote(`${path} is encrypted to ${countOf(recipients)} now`);
  }
}

function required(files: readonly string[]): readonly string[] {
  if (files.length > 0) return files;
  throw new CliError(2, "cannot tell what to do it with: name a file");
}

async function identitiesOf({
  identity = identityFileDefault,
}: Options): Promise<readonly string[]> {
  const identities = await readIdentities(identity);
  if (identities.length > 0) return identities;
  throw new CliError(
    1,
    `cannot decrypt anything because ${identity} is not there: \`berth secrets keygen\` makes it, --identity names another`,
  );
}

async function encryptedBelow(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/(?:^|\/)(?:\.git|node_modules)\//.test(file))
    .sort();
  const kept: string[] = [];
  for (const file of paths) {
    const bytes = await readBounded(file).catch(() => undefined);
    if (bytes !== undefined && secretFormat(file, bytes) !== "plain") kept.push(file);
  }
  return kept;
}

function named(path: string): (cause: unknown) => never {
  return (cause) => {
    throw new CliError(1, `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  };
}

function countOf(recipients: readonly string[]): string {
  return recipients.length === 1 ? "1 recipient" : `${recipients.length} recipients`;
}
