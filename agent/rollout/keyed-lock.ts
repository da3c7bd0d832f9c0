/** One holder per key at a time, in the order of asking: whoever changes a container holds its name. */
export type KeyedLock = {
  run<T>(key: string, body: () => Promise<T>): Promise<T>;
};

export function createKeyedLock(): KeyedLock {
  const tails = new Map<string, Promise<unknown>>();
  return {
    async run(key, body) {
      const before = tails.get(key);
      const own = (async () => {
        await before?.catch(() => {});
        return body();
      })();
      tails.set(key, own);
      try {
        return await own;
      } finally {
        if (tails.get(key) === own) tails.delete(key);
      }
    },
  };
}
