/** The Compose values of what is run by hand, with what the host has to say to them. */
import { writeCompose } from "../../manifests/convert/conversion.ts";
import type { App } from "../../manifests/desired-state.ts";
import { wantedApp } from "../plan/wanted-state.ts";
import { runRevision } from "../store/rollout-store.ts";
import type { RunSource } from "../store/run-store.ts";
import { choosePorts, exposedPorts, type TakenPorts } from "./choose-ports.ts";
import { compileAlone } from "./compile-run.ts";
import type { ControlContext } from "./control-context.ts";

export type CompiledRun = { readonly app: App; readonly compose: RunSource };

/** Volumes that are there belong to who made them; ports without one of the host get a free one. Throws on mistakes. */
export async function compileRun(
  context: ControlContext,
  { name, source }: { readonly name: string; readonly source: RunSource },
): Promise<CompiledRun> {
  const compose = await withPorts(context, name, await withPresentVolumes(context, source));
  const text = writeCompose({ compose, notes: [] });
  const app = await compileAlone({ directory: name, text, host: context.core.settings().host });
  return { app, compose };
}

/** The same with what its image and `expose` name published, too, unless it is already. */
export async function publishExposed(
  context: ControlContext,
  { app, compose }: CompiledRun,
  images: Readonly<Record<string, string>>,
): Promise<CompiledRun> {
  const [service] = app.services;
  if (service === undefined) return { app, compose };
  const { name } = service;
  const image = context.core.runtime.images.list().find(({ digest }) => digest === images[name]);
  const values = serviceOf(compose, name);
  const exposed = [...(image?.config.exposedPorts ?? []), ...listOf(values.expose).map(String)];
  const [container] = wantedApp({ app, revision: runRevision, images }).containers;
  const further = exposedPorts(exposed, container?.spec.ports ?? []);
  const ports = [...listOf(values.ports), ...further];
  return compileRun(context, { name, source: withService(compose, name, { ...values, ports }) });
}

async function withPorts(
  context: ControlContext,
  name: string,
  compose: RunSource,
): Promise<RunSource> {
  const values = serviceOf(compose, name);
  const asked = listOf(values.ports);
  if (asked.length === 0) return compose;
  const ports = choosePorts(asked, await takenPorts(context));
  return withService(compose, name, { ...values, ports });
}

async function takenPorts({ core }: ControlContext): Promise<TakenPorts> {
  const containers = core.enforcement.wanted().apps.flatMap((app) => app.containers);
  return {
    listeners: await core.host.listeners(),
    published: containers.flatMap(({ spec }) => spec.ports),
  };
}

async function withPresentVolumes(
  { core }: ControlContext,
  compose: RunSource,
): Promise<RunSource> {
  const { volumes } = compose;
  if (!isMapping(volumes)) return compose;
  const present = new Set((await core.view.observe()).volumes.map(({ name }) => name));
  const named = Object.entries(volumes).map(([key, value]) => [
    key,
    present.has(key) ? { name: key, external: true } : value,
  ]);
  return { ...compose, volumes: Object.fromEntries(named) };
}

function serviceOf({ services }: RunSource, name: string): Readonly<Record<string, unknown>> {
  const values = isMapping(services) ? services[name] : undefined;
  return isMapping(values) ? values : {};
}

function withService(compose: RunSource, name: string, values: RunSource): RunSource {
  return { ...compose, services: { [name]: values } };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
