/** At most so many at a time, in the order of asking. */
export type Slots = { run<T>(body: () => Promise<T>): Promise<T> };

export function createSlots(countMax: number): Slots {
  let taken = 0;
  const queue: (() => void)[] = [];
  return {
    async run(body) {
      if (taken < countMax) taken += 1;
      // Handed over by whoever leaves.
      else await new Promise<void>((resolve) => void queue.push(resolve));
      try {
        return await body();
      } finally {
        const next = queue.shift();
        if (next === undefined) taken -= 1;
        else next();
      }
    },
  };
}
