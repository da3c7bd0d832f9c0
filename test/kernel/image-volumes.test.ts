import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { imageVolumes } from "../../runtime/containers/image-volumes.ts";
import type { Image } from "../../runtime/images/image-store.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "./kernel-test.ts";
import { payloadPath, payloadSpec, runToEnd, withRuntime } from "./runtime-harness.ts";

const soon = () => AbortSignal.timeout(60_000);

/** The probe as an image with something at `/data`, which is declared as a volume. */
async function imageWithVolume(runtime: Runtime, root: string): Promise<Image> {
  const archive = join(root, "rootfs.tar");
  const script = `set -e; mkdir -p "$1/bin" "$1/data"; cp "$2" "$1/bin/probe"
    echo from the image >"$1/data/seed"; chmod 0750 "$1/data"
    tar -C "$1" --numeric-owner --owner=7 --group=0 -cf "$3" .`;
  const words = [join(root, "rootfs"), payloadPath("probe"), archive];
  await promisify(execFile)("sh", ["-c", script, "sh", ...words]);
  return runtime.images.importRoot(archive, {
    reference: "own/volume:1",
    changes: ['VOLUME ["/data", "/", "relative", "/proc/x"]', 'ENTRYPOINT ["/bin/probe"]'],
    abort: soon(),
  });
}

kernelTest("a volume that an image declares is filled from it and outlives its container", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const image = await imageWithVolume(runtime, root);
    const run = async (name: string, argv: readonly string[], mounts: readonly never[] = []) => {
      const spec = payloadSpec(runtime, "probe", argv, {
        name,
        image: { reference: "own/volume:1", digest: image.digest },
        mounts,
      });
      const result = await runToEnd(runtime, spec);
      await runtime.removeContainer(spec.id);
      return result;
    };
    t.is((await run("app-db-1", ["cat", "/data/seed"])).stdout, "from the image\n");
    await run("app-db-1", ["write", "/data/own", "kept"]);
    t.regex((await run("app-db-1", ["cat", "/data/own"])).stdout, /kept/);
    t.not((await run("app-db-2", ["cat", "/data/own"])).exit?.code, 0);
    t.regex((await run("app-db-1", ["stat", "/data"])).stdout, /750/);
    const { volumes } = await runtime.observe();
    t.deepEqual(
      volumes.map(({ labels }) => labels["io.berth.image-volume-of"]),
      ["app-db-1", "app-db-2"],
    );
    const tmpfs = [{ type: "tmpfs", target: "/data/", readOnly: false }] as never[];
    t.not((await run("app-db-3", ["cat", "/data/seed"], tmpfs)).exit?.code, 0);
    t.is((await runtime.observe()).volumes.length, 2);
  }),
);

test("places that a container mounts itself, or that are none for a volume, get no other", (t) => {
  const volumes = [
    "/a",
    "/b/",
    "//c/../d",
    "/",
    "e",
    "../f",
    "/proc/1",
    "/dev",
    "/sys/",
    "/a\0b",
    "/a",
  ];
  const mounts = [{ type: "tmpfs", target: "/b", readOnly: false }] as const;
  t.deepEqual(
    imageVolumes({ name: "web", mounts }, { volumes }).map(({ target }) => target),
    ["/a", "/d"],
  );
  const many = Array.from({ length: 65 }, (_, index) => `/v${index}`);
  t.throws(() => imageVolumes({ name: "web", mounts: [] }, { volumes: many }), {
    message: /declares 65 volumes: 64 at most/,
  });
  const [one, other] = ["a".repeat(200), `${"a".repeat(199)}b`].map(
    (name) => imageVolumes({ name, mounts: [] }, { volumes: ["/x"] })[0]?.volume,
  );
  t.not(one, other);
  t.true((one?.length ?? 0) <= 128);
});
