/** Images of this host. */
import { type Declare, running } from "./verb.ts";

export function declareImageVerbs(declare: Declare): void {
  declare("images", "images on this host", "berth images").action(
    running(async (context) => (await import("./verbs/images.ts")).runImages(context)),
  );
  declare(
    "pull <reference>",
    "fetch an image from its registry",
    "berth pull docker.io/library/nginx:1.27",
  ).action(running(async (...given) => (await import("./verbs/pull.ts")).runPull(...given)));
  declare(
    "load <file>",
    "read images from an OCI layout, oci-archive or docker-archive",
    "berth load web.tar",
  )
    .option("--reference <name>", "name for an image that carries none")
    .action(running(async (...given) => (await import("./verbs/images.ts")).runLoad(...given)));
}
