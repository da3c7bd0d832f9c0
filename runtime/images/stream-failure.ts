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
