/** To whom files of a repository are encrypted. */
import { stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { collectDiagnostics, formatDiagnostic } from "../../manifests/diagnostics.ts";
import { fleetFile, readFleet } from "../../manifests/fleet/read-fleet.ts";
import { isRecipient } from "../../manifests/secrets/age.ts";
import { CliError } from "../cli-error.ts";
import { createDirectoryReader } from "../directory-reader.ts";

/**
 * Those that were given, else those that the `berth.yaml` above the file names: `secrets.recipients` and the hosts'
 * own. Throws a `CliError` when there are none, or one is no age recipient.
 */
export async function recipientsFor(
  file: string,
  given: readonly string[],
): Promise<readonly string[]> {
  const recipients = given.length > 0 ? given : await fleetRecipients(file);
  if (recipients.length === 0) {
    throw new CliError(
      1,
      `cannot encrypt ${file} because nobody is named who may read it: give --recipient age1…, or set secrets.recipients and hosts.NAME.recipient in ${fleetFile}`,
    );
  }
  const odd = recipients.find((recipient) => !isRecipient(recipient));
  if (odd === undefined) return [...new Set(recipients)];
  throw new CliError(
    1,
    `cannot encrypt to '${odd}' because it is no age recipient: age1… is expected`,
  );
}

async function fleetRecipients(file: string): Promise<readonly string[]> {
  const root = await rootAbove(dirname(file));
  if (root === undefined) return [];
  const { report, finish } = collectDiagnostics();
  const fleet = await readFleet({ reader: createDirectoryReader(root), report });
  const [error] = finish().errors;
  if (fleet === undefined || error !== undefined) {
    const where = join(relative(process.cwd(), root), fleetFile);
    const what = error === undefined ? "it cannot be read" : formatDiagnostic(error);
    throw new CliError(1, `cannot read the recipients of ${where}: ${what}`);
  }
  const { secrets, hosts } = fleet.model;
  const ofHosts = [...(hosts?.values() ?? [])].flatMap(({ recipient }) => recipient ?? []);
  return [...(secrets?.recipients ?? []), ...ofHosts];
}

async function rootAbove(directory: string): Promise<string | undefined> {
  const found = await stat(join(directory, fleetFile)).catch(() => undefined);
  if (found?.isFile()) return directory;
  const parent = dirname(directory);
  return parent === directory ? undefined : rootAbove(parent);
}
