import test from "ava";
import { createImageControl } from "../../agent/control/control-images.ts";
import type { Image } from "../../runtime/images/image-store.ts";
import { withHost } from "../simulation/simulated-host.ts";
import { controlOf } from "./simulated-control.ts";

test("a pull by hand is told of by the name that was asked for, and counted", (t) =>
  withHost(async (host) => {
    const counted: string[] = [];
    const here = host.runtime.addImage("one.example/web:1");
    const images = {
      ...host.core.runtime.images,
      pull: async (reference: string): Promise<Image> => {
        if (reference.endsWith("none")) throw new Error("cannot pull it");
        return { ...here, references: [...here.references, reference] };
      },
    };
    const core = {
      ...host.core,
      runtime: { ...host.core.runtime, images },
      meters: { ...host.core.meters, pull: (result: string) => void counted.push(result) },
    };
    const control = createImageControl({ ...controlOf(host), core });
    const stop = new AbortController();
    const pull = (name: string) => control.pull(name, { abort: stop.signal, onProgress: () => {} });
    await pull("one.example/web:1");
    await pull("two.example/web:1");
    await t.throwsAsync(pull("one.example/none"), { message: "cannot pull it" });
    stop.abort();
    await t.throwsAsync(pull("two.example/none"));
    const told = host.core.events.recorded().filter(({ kind }) => kind.startsWith("image."));
    t.deepEqual(
      told.map(({ kind, target }) => `${kind} ${target}`),
      [
        "image.pulled one.example/web:1",
        "image.pulled two.example/web:1",
        "image.pull-failed one.example/none",
      ],
    );
    t.deepEqual(counted, ["pulled", "pulled", "failed"]);
  }));
