/** Passes a stream through and tells why it failed: whoever consumes it often reports only that its input ended. */
export async function* onFailure(
  source: AsyncIterable<Buffer>,
  tell: (error: unknown) => void,
): AsyncGenerator<Buffer> {
  try {
    yield* source;
  } catch (error) {
    tell(error);
    throw error;
  }
}

/**
 * Passes a stream through. `ended` resolves once the stream and all that it holds open have been torn down, at once
 * when it never began: a consumer that gives up does not wait for that.
 */
export function tracked(source: AsyncIterable<Buffer>): {
  readonly stream: AsyncGenerator<Buffer>;
  ended(): Promise<void>;
} {
  const end = Promise.withResolvers<void>();
  let hasBegun = false;
  async function* pass(): AsyncGenerator<Buffer> {
    hasBegun = true;
    try {
      yield* source;
    } finally {
      end.resolve();
    }
  }
  return { stream: pass(), ended: async () => (hasBegun ? end.promise : undefined) };
}
