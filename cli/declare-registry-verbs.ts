/** Registries, as the agent speaks to them. */
import { type Declare, running } from "./verb.ts";

export function declareRegistryVerbs(declare: Declare): void {
  declare(
    "login [registry]",
    "keep credentials for a registry (default: Docker Hub), once it has taken them",
    "echo $TOKEN | berth login -u robot --password-stdin registry.example:5000",
  )
    .option("-u, --username <name>", "user name (default: asked for)")
    .option("--password-stdin", "read the password from standard input (default: asked for)")
    .action(running(async (...given) => (await import("./verbs/login.ts")).runLogin(...given)));
  declare(
    "logout [registry]",
    "forget the credentials for a registry (default: Docker Hub)",
    "berth logout registry.example:5000",
  ).action(running(async (...given) => (await import("./verbs/login.ts")).runLogout(...given)));
  declare(
    "push <image> [name]",
    "send an image of this host to the registry that its name, or the other name, says",
    "berth push shop/web:1 registry.example:5000/shop/web:1",
  ).action(running(async (...given) => (await import("./verbs/push.ts")).runPush(...given)));
  declare(
    "copy <from> <to>",
    "copy an image from registry to registry",
    "berth copy --all nginx:1.27 registry.example:5000/nginx:1.27",
  )
    .option("-a, --all", "every platform of it (default: the image for this host)")
    .action(running(async (...given) => (await import("./verbs/push.ts")).runCopy(...given)));
  declare(
    "tags <repository>",
    "the tags that a repository has in its registry",
    "berth tags registry.example:5000/shop/web",
  ).action(running(async (...given) => (await import("./verbs/remote.ts")).runTags(...given)));
  declare(
    "delete <reference>",
    "delete a tag in its registry, or by digest a manifest with all of its tags",
    "berth delete registry.example:5000/shop/web@sha256:…",
  ).action(running(async (...given) => (await import("./verbs/remote.ts")).runDelete(...given)));
}
