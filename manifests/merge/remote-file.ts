import { quoteValue } from "../diagnostics.ts";

/** True for what Compose would fetch from elsewhere: git, https, OCI. */
export function isRemote(path: string): boolean {
  return /^(?:[a-z][a-z0-9+.-]*:|git@)/i.test(path);
}

/** Why a file that is not one of the repository is not read. */
export function remoteMessage(place: string, path: string): string {
  return (
    `not supported by berth: ${place}: ${quoteValue(path)} is not a file of the repository: ` +
    "copy it there and name it by its relative path"
  );
}
