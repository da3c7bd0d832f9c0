/** How images come, and the disk that they lie on. */
import { counter, histogram } from "./agent-series.ts";
import { Counter, Gauge, type Registry } from "./prometheus-client.ts";

const pullResults = ["pulled", "failed"] as const;
const layerResults = ["hit", "unpacked"] as const;

export type PullResult = (typeof pullResults)[number];
/** `hit`: the layer lay here unpacked. */
export type LayerResult = (typeof layerResults)[number];

export type ImageMetrics = {
  pulled(event: { readonly result: PullResult; readonly durationMs: number }): void;
  /** Bytes of layers that came over the network, while they come. */
  received(bytes: number): void;
  layer(result: LayerResult): void;
  unpacked(durationMs: number): void;
  /** The file system that holds the images. */
  setDisk(disk: { readonly totalBytes: number; readonly freeBytes: number }): void;
};

export function imageMetrics(registry: Registry): ImageMetrics {
  const total = counter(registry, {
    name: "berth_image_pull_total",
    help: "Pulls of images by result.",
    labels: { result: pullResults },
  });
  const bytesTotal = new Counter({
    name: "berth_image_pull_bytes_total",
    help: "Bytes of layers that came over the network.",
    registers: [registry],
  });
  const duration = histogram(
    registry,
    "berth_image_pull_duration_seconds",
    "Time of a pull, unpacking included.",
  );
  const layers = counter(registry, {
    name: "berth_image_layers_total",
    help: "Layers that images needed: hit, they lay here unpacked, or unpacked anew.",
    labels: { result: layerResults },
  });
  const unpack = histogram(
    registry,
    "berth_image_unpack_duration_seconds",
    "Time of a layer from its first byte until it is unpacked.",
  );
  const disk = new Gauge({
    name: "berth_image_disk_bytes",
    help: "The file system that holds the images.",
    labelNames: ["state"],
    registers: [registry],
  });
  return {
    pulled({ result, durationMs }) {
      total.inc({ result });
      duration.observe(durationMs / 1000);
    },
    received: (bytes) => bytesTotal.inc(bytes),
    layer: (result) => layers.inc({ result }),
    unpacked: (durationMs) => unpack.observe(durationMs / 1000),
    setDisk({ totalBytes, freeBytes }) {
      disk.set({ state: "used" }, totalBytes - freeBytes);
      disk.set({ state: "free" }, freeBytes);
    },
  };
}
