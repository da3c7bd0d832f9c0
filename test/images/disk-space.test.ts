import { tmpdir } from "node:os";
import test from "ava";
import { DiskSpace, spaceMissing } from "../../runtime/images/disk-space.ts";
import { imageFailure } from "../../runtime/images/image-error.ts";

const space = () => new DiskSpace(tmpdir());

/** So much of the disk that it fits once and not twice, however others fill it meanwhile. */
async function most(): Promise<number> {
  return Math.floor((await space().measure()).freeBytes * 0.7);
}

test("space that was promised to one is not promised to another", async (t) => {
  const disk = space();
  const bytes = await most();
  const first = await disk.reserve([{ key: "a", bytes }]);
  const error = await t.throwsAsync(disk.reserve([{ key: "b", bytes }]), {
    message: /MiB free, of which others under way take \d+ MiB, and it needs \d+ MiB at least/,
  });
  t.true((spaceMissing(imageFailure("pull x", error, { directory: "/" }))?.bytes ?? 0) > 0);
  first.release();
  (await disk.reserve([{ key: "b", bytes }])).release();
});

test("what several want counts once, and until the last of them is done", async (t) => {
  const disk = space();
  const bytes = await most();
  const [first, second] = [
    await disk.reserve([{ key: "a", bytes }]),
    await disk.reserve([{ key: "a", bytes }]),
  ];
  first.release();
  first.release();
  await t.throwsAsync(disk.reserve([{ key: "b", bytes }]));
  second.release();
  (await disk.reserve([{ key: "b", bytes }])).release();
});

test("what is written already is not counted a second time", async (t) => {
  const disk = space();
  const bytes = await most();
  const first = await disk.reserve([{ key: "a", bytes }]);
  first.remaining("a", 1000);
  const second = await disk.reserve([{ key: "b", bytes }]);
  t.pass();
  first.release();
  second.release();
});

test("more than there is is refused before anything is written", async (t) => {
  const { totalBytes } = await space().measure();
  await t.throwsAsync(space().reserve([{ key: "a", bytes: totalBytes }]), {
    message: /^cannot use the image because the disk of .* MiB free and it needs .* nothing was/,
  });
});
