import { formatReference, parseReference } from "../../runtime/images/reference.ts";
import type { Core } from "../core.ts";

type Needs = Pick<Core, "enforcement" | "state" | "runtime">;

/**
 * Image digest -> who needs it: containers, what is held of each app, what the newest revision wants, and what each app
 * ran before its images changed last, so that it can go back.
 */
export async function neededImages(core: Needs): Promise<() => ReadonlyMap<string, string>> {
  const { containers } = await core.runtime.observe();
  const ofContainers = containers.map(({ spec }): [string, string] => [
    spec.image.digest,
    `the container ${spec.name}`,
  ]);
  // Asked again when something is about to go: containers that came meanwhile are those of held apps.
  return () => new Map([...imagesOfRevisions(core), ...ofContainers]);
}

/** The service of the newest revision, or of what runs, whose manifest has this name of an image. */
export function serviceNaming({ enforcement }: Needs, reference: string): string | undefined {
  const wanted = formatReference(parseReference(reference));
  const apps = [
    ...(enforcement.desired()?.apps ?? []),
    ...enforcement.apps().map(({ app }) => app),
  ];
  for (const { name: app, services } of apps) {
    const service = services.find(({ image }) => formatReference(parseReference(image)) === wanted);
    if (service !== undefined) return `${app}/${service.name}`;
  }
  return undefined;
}

function* imagesOfRevisions({ enforcement, state, runtime }: Needs): Generator<[string, string]> {
  for (const [app, digests] of state.previousImages()) {
    for (const digest of digests) yield [digest, `the revision before of ${app}`];
  }
  for (const [app, digests] of state.goodImages()) {
    for (const digest of digests) yield [digest, `a good revision of ${app}`];
  }
  for (const { name, services } of enforcement.desired()?.apps ?? []) {
    for (const service of services) {
      const image = runtime.images.find(service.image);
      if (image !== undefined) yield [image.digest, `the newest revision of ${name}`];
    }
  }
  for (const { app, images } of enforcement.apps()) {
    for (const digest of Object.values(images)) yield [digest, `the app ${app.name}`];
  }
}
