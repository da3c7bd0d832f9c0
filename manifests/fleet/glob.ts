/** `*` stands for any text, also none, `?` for one character. Takes time in proportion to both lengths at most. */
export function globMatches(glob: string, text: string): boolean {
  let at = 0;
  let read = 0;
  // Where the last star stands, and how much of the text it has taken so far: only it has to be tried again.
  let star = -1;
  let taken = 0;
  while (read < text.length) {
    if (glob[at] === "*") {
      star = at;
      taken = read;
      at += 1;
    } else if (at < glob.length && (glob[at] === "?" || glob[at] === text[read])) {
      at += 1;
      read += 1;
    } else if (star !== -1) {
      taken += 1;
      read = taken;
      at = star + 1;
    } else return false;
  }
  while (glob[at] === "*") at += 1;
  return at === glob.length;
}

export function isGlob(text: string): boolean {
  return /[*?]/.test(text);
}
