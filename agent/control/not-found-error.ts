/** Nothing has the name that was given. The API answers it with 404. */
export class NotFoundError extends Error {
  override readonly name = "NotFoundError";
  readonly kind = "not-found";
}
