import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { defaultPolicy, Policy } from "./policy.ts";

const policyFile = "/etc/berth/policy.yaml";
const policyBytesMax = 1_048_576;

/**
 * The file that was named, or the host's own, or the defaults. A file that is named must be there; one that cannot be
 * understood is never passed over. Throws with file, field and what is expected.
 */
export async function loadPolicy(named: string | undefined): Promise<Policy> {
  const path = named ?? policyFile;
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const isAbsent = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    if (named === undefined && isAbsent) return defaultPolicy;
    throw new Error(`cannot read the policy file ${path}`, { cause });
  }
  if (bytes.length > policyBytesMax) {
    throw new Error(`cannot use the policy file ${path} because it is larger than 1 MiB`);
  }
  let document: unknown;
  try {
    document = parse(bytes.toString("utf8"), { maxAliasCount: 20 }) ?? {};
  } catch (cause) {
    throw new Error(`cannot parse the policy file ${path}`, { cause });
  }
  const result = Policy.safeParse(document);
  if (result.success) return result.data;
  const issues = result.error.issues.map(
    (issue) => `${issue.path.join(".") || "(top level)"}: ${issue.message}`,
  );
  throw new Error(`cannot use the policy file ${path} because ${issues.join("; ")}`);
}
