import test from "ava";
import { TagWatcher } from "../../agent/images/tag-watcher.ts";
import type { ImageStore } from "../../runtime/images/image-store.ts";
import { SimulatedClock } from "../simulation/simulated-clock.ts";

const minute = 60_000;

/** A watcher of one tag, asked every minute; `answer` says what the registry does. */
function watch(answer: () => string, random: number) {
  const clock = new SimulatedClock();
  const beginMs = clock.now();
  const asked: number[] = [];
  const told: string[] = [];
  let stored = "sha256:a";
  const image = (digest: string) =>
    ({ digest }) as unknown as ReturnType<ImageStore["list"]>[number]; // all it reads
  const watcher = new TagWatcher({
    images: {
      find: (name) => (name === "web:1" || name === stored ? image(stored) : undefined),
      resolve: async () => {
        asked.push((clock.now() - beginMs) / minute);
        return answer();
      },
      pull: async () => {
        stored = answer();
        return image(stored);
      },
    },
    watched: () => [
      { reference: "web:1", everyMs: minute },
      { reference: "web:1", everyMs: 5 * minute },
    ],
    clock,
    random: () => random,
    onMoved: ({ from, to }) => told.push(`${from} ${to}`),
    onFailed: (_reference, message) => told.push(message),
  });
  const stop = new AbortController();
  const done = watcher.run(stop.signal);
  const end = async () => {
    stop.abort(new Error("done"));
    await done;
  };
  return { clock, asked, told, end };
}

test("a tag is asked for at the shortest interval that is wished, and up to a tenth later", async (t) => {
  const { clock, asked, told, end } = watch(() => "sha256:a", 0.5);
  await clock.advance(3.5 * minute);
  t.deepEqual(asked, [1.05, 2.1, 3.15]);
  t.deepEqual(told, []);
  await end();
});

test("a move is told once, after the image was pulled", async (t) => {
  const { clock, told, end } = watch(() => "sha256:b", 0);
  await clock.advance(5 * minute);
  t.deepEqual(told, ["sha256:a sha256:b"]);
  await end();
});

test("a registry that fails is asked later and later", async (t) => {
  const fail = () => {
    throw new Error("down");
  };
  const { clock, asked, told, end } = watch(fail, 0);
  await clock.advance(16 * minute);
  t.deepEqual(asked, [1, 3, 7, 15]);
  t.is(told.length, 4);
  await end();
});
