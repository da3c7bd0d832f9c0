import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import { type Conversion, writeCompose } from "../../manifests/convert/conversion.ts";
import { convertKubernetes } from "../../manifests/convert/kubernetes.ts";
import { convertQuadlet } from "../../manifests/convert/quadlet.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { printJson, printNote } from "../terminal.ts";

const fileBytesMax = 1024 * 1024;

/** The Compose file on stdout; what could not be carried over on stderr, one a line. */
export async function runConvert({ json }: Context, command: Command): Promise<undefined> {
  const files = await Promise.all(command.args.map(readInput));
  const isYaml = files.map(({ name }) => /\.(?:ya?ml|json)$/.test(name));
  if (isYaml.includes(true) && isYaml.includes(false))
    throw new CliError(
      2,
      "cannot convert Quadlet and Kubernetes files together: convert one kind at a time",
    );
  const conversion = isYaml.includes(true) ? convertKubernetes(files) : convertQuadlet(files);
  if (!hasServices(conversion)) {
    const names = files.map(({ name }) => name).join(", ");
    throw new CliError(
      1,
      `cannot convert ${names} because there is no container in it: .container files, or YAML with a Pod or a Deployment, are expected`,
    );
  }
  if (json) printJson(conversion);
  else process.stdout.write(writeCompose(conversion));
  for (const note of conversion.notes) printNote(`not carried over: ${note}`);
}

function hasServices({ compose }: Conversion): boolean {
  return typeof compose.services === "object" && compose.services !== null;
}

async function readInput(path: string): Promise<{ readonly name: string; readonly text: string }> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory())
    throw new CliError(1, `cannot read ${path} because it is a directory: name the files in it`);
  if (!found?.isFile())
    throw new CliError(1, `cannot read ${path} because there is no such file: name a file`);
  if (found.size > fileBytesMax)
    throw new CliError(1, `cannot read ${path} because it is larger than 1 MiB`);
  return { name: basename(path), text: await readFile(path, "utf8") };
}
