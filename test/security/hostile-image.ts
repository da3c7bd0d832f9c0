import { join } from "node:path";
import type { ContainerSpec } from "../../runtime/container-spec.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { type ImageRecipe, programImage, writeOciLayout } from "../builders/oci-layout.ts";
import type { TarEntry } from "../builders/tar.ts";
import { type Bench, payloadPath, probeSpec, withRuntime } from "../kernel/runtime-harness.ts";

export type HostileBench = Bench & {
  /** A container of the hostile image; `argv` goes to the probe. */
  spec(argv: readonly string[], more?: Partial<ContainerSpec>): ContainerSpec;
};

/** An instance with an image of the probes and, over them, a layer of the attacker's. */
export async function withHostileImage(
  hostile: { readonly layer: readonly TarEntry[]; readonly config?: ImageRecipe["config"] },
  work: (bench: HostileBench) => Promise<void>,
): Promise<void> {
  await withRuntime(async (bench) => {
    await loadImage(bench.runtime, bench.root, hostile);
    const image = bench.runtime.images.find(reference);
    if (image === undefined) throw new Error("cannot find the hostile image: it was just loaded");
    const spec = (argv: readonly string[], more: Partial<ContainerSpec> = {}) =>
      probeSpec(bench.runtime, argv, { image: { reference, digest: image.digest }, ...more });
    // The bench has getters: a copy would freeze what they give.
    await work(Object.assign(bench, { spec }));
  });
}

const reference = "localhost/hostile:test";

async function loadImage(
  runtime: Runtime,
  root: string,
  hostile: { readonly layer: readonly TarEntry[]; readonly config?: ImageRecipe["config"] },
): Promise<void> {
  const names = ["probe", "probe-attack", "probe-kernel"];
  const programs = names.map((name) => ({ path: payloadPath(name), installAs: `/bin/${name}` }));
  const base = programImage(reference, programs, hostile.config);
  const layout = join(root, "hostile-layout");
  writeOciLayout(layout, [{ ...base, layers: [...base.layers, hostile.layer] }]);
  await runtime.images.load(layout, { abort: AbortSignal.timeout(30_000) });
}
