/** What a `FileReader` rejects a file with that has more bytes than were asked for: its `code` is `EFBIG`. */
export function fileTooLarge(path: string, bytesMax: number): Error {
  const message = `cannot read ${path} because it is too large: at most ${bytesMax} bytes are expected`;
  return Object.assign(new Error(message), { code: "EFBIG" });
}
