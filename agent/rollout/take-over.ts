import { canonicalJson } from "../../manifests/canonical-json.ts";
import { specChanges } from "../plan/field-changes.ts";
import type { WantedApp, WantedContainer } from "../plan/wanted-state.ts";
import type { Enforcement } from "./enforcement.ts";

type Held = Pick<Enforcement, "wanted" | "isByHand">;

const fieldsShownMax = 10;

/**
 * Why a commit does not get an app: it would end a container that an operator runs by hand, or take its name. Names fields
 * and never their values. Empty: what runs by hand goes on as it is.
 */
export function takeOverProblems(wanted: WantedApp, held: Held): readonly string[] {
  return held
    .wanted()
    .apps.filter(({ name }) => held.isByHand(name))
    .flatMap((byHand) =>
      byHand.name === wanted.name
        ? byHand.containers.flatMap((container) => changed(container, { byHand, wanted }))
        : byHand.containers.flatMap((container) => taken(container, { byHand, wanted })),
    );
}

/** The fields in which a commit's app would make a container anew; empty where it goes on. */
export function fieldsThatDiffer(
  container: WantedContainer,
  { byHand, wanted }: { readonly byHand: WantedApp; readonly wanted: WantedApp },
): readonly string[] {
  const found = wanted.containers.find(({ name }) => name === container.name);
  if (found === undefined) return ["container_name"];
  const fields =
    found.specDigest === container.specDigest
      ? []
      : specChanges(container.spec, found.spec).map(({ field }) => field);
  const networks = byHand.networks.filter((network) => {
    const other = wanted.networks.find(({ name }) => name === network.name);
    return canonicalJson(decisive(network)) !== canonicalJson(decisive(other));
  });
  const all = [...fields, ...networks.map(({ name }) => `networks.${name}`)];
  return all.length === 0 && found.specDigest !== container.specDigest ? ["labels"] : all;
}

/** What makes a network another one. */
function decisive(network: WantedApp["networks"][number] | undefined): unknown {
  if (network === undefined) return null;
  const { reserved: _reserved, ...ipam } = network.ipam ?? {};
  return { internal: network.internal, ipam };
}

function changed(
  container: WantedContainer,
  apps: { readonly byHand: WantedApp; readonly wanted: WantedApp },
): string[] {
  const fields = fieldsThatDiffer(container, apps);
  if (fields.length === 0) return [];
  const more = fields.length - fieldsShownMax;
  const shown = `${fields.slice(0, fieldsShownMax).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  const { name } = container;
  return [
    `cannot take over ${name}, which was run by hand, because it would be made anew: ${shown} differ; ` +
      `commit what 'berth adopt ${name}' prints, or end it with 'berth rm -f ${name}'`,
  ];
}

function taken(
  { name }: WantedContainer,
  { byHand, wanted }: { readonly byHand: WantedApp; readonly wanted: WantedApp },
): string[] {
  if (!wanted.containers.some((container) => container.name === name)) return [];
  return [
    `cannot make the container ${name} because one of that name was run by hand: call the app ${byHand.name} ` +
      `to take it over, choose another container_name, or end it with 'berth rm -f ${name}'`,
  ];
}
