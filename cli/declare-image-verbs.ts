/** Images of this host. */
import { Option } from "commander";
import { collectTexts, parseUntilMs } from "./arguments.ts";
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
    "load [file]",
    "read images from an OCI layout, oci-archive or docker-archive; without a file, or with -, from standard input",
    "berth load web.tar",
  )
    .option("-i, --input <file>", "the file, as docker load has it")
    .option("--reference <name>", "name for an image that carries none")
    .action(running(async (...given) => (await import("./verbs/images.ts")).runLoad(...given)));
  declare(
    "save <image...>",
    "write images to a file, for any engine to load",
    "berth save -o web.tar shop/web:1 shop/db:1",
  )
    .option("-o, --output <file>", "where to; standard output otherwise")
    .addOption(
      new Option("--format <format>", "what to write; oci is a directory")
        .choices(["docker-archive", "oci-archive", "oci"])
        .default("docker-archive"),
    )
    .action(running(async (...given) => (await import("./verbs/save.ts")).runSave(...given)));
  declareKeeping(declare);
  declareMaking(declare);
}

function declareMaking(declare: Declare): void {
  declare(
    "import <file> [name]",
    "make an image out of the tar archive of a root file system",
    "berth import -c 'CMD [\"/bin/sh\"]' rootfs.tar.gz debian:own",
  )
    .option("-c, --change <instruction>", "as in a Dockerfile (may be repeated)", collectTexts)
    .option("-m, --message <text>", "what the image's history says")
    .action(
      running(async (...given) => (await import("./verbs/make-image.ts")).runImport(...given)),
    );
  declare(
    "commit <container> [name]",
    "make an image out of a container",
    "berth commit -m 'as it is now' shop/web web:debug",
  )
    .option("-c, --change <instruction>", "as in a Dockerfile (may be repeated)", collectTexts)
    .option("-m, --message <text>", "what the image's history says")
    .option("-a, --author <text>", "who made it")
    .option("--no-pause", "let the container go on while it is read")
    .action(
      running(async (...given) => (await import("./verbs/make-image.ts")).runCommit(...given)),
    );
  declare(
    "export <container>",
    "write the root file system of a container as a tar archive",
    "berth export -o web.tar shop/web",
  )
    .option("-o, --output <file>", "where to; standard output otherwise")
    .option("--pause", "hold the container while it is read")
    .action(
      running(async (...given) => (await import("./verbs/make-image.ts")).runExport(...given)),
    );
}

function declareKeeping(declare: Declare): void {
  declare(
    "tag <image> <name>",
    "give an image another name",
    "berth tag 4f2a91 shop/web:stable",
  ).action(running(async (...given) => (await import("./verbs/keep-images.ts")).runTag(...given)));
  declare(
    "rmi <image...>",
    "remove a name, and the image with its last one",
    "berth rmi shop/web:1",
  ).action(running(async (...given) => (await import("./verbs/keep-images.ts")).runRmi(...given)));
  declare(
    "prune",
    "remove images that nothing needs: no container, no revision held, wanted or before",
    "berth prune --all --filter until=7d --dry-run",
  )
    .option("-a, --all", "images with a name too")
    .option("--filter <until=duration>", "only what lies unused for longer", parseUntilMs)
    .option("--dry-run", "only say what would go")
    .action(
      running(async (...given) => (await import("./verbs/keep-images.ts")).runPrune(...given)),
    );
}
