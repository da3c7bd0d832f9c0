/** Writes the image of the README's tour: `bin/node examples/tour-image.ts DIRECTORY`, after `make`. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { programImage, writeOciLayout } from "../test/builders/oci-layout.ts";

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error("cannot write the image: name a directory");
const payload = fileURLToPath(new URL("../build/payload", import.meta.url));
const programs = ["web", "probe-net"].map((name) => ({
  path: join(payload, name),
  installAs: `/bin/${name}`,
}));
writeOciLayout(directory, [programImage("localhost/web:1", programs)]);
process.stdout.write(`localhost/web:1 is in ${directory}\n`);
