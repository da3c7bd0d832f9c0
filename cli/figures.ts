/** Figures as people read them. */

/** `12s`, `3m`, `2h`, `5d`: the largest unit that fits, rounded down; never negative. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** How long ago an ISO 8601 time was; `-` for null. */
export function formatSince(time: string | null): string {
  if (time === null) return "-";
  const ms = Date.parse(time);
  return Number.isNaN(ms) ? time : `${formatAge(Date.now() - ms)} ago`;
}

/** Binary units with one decimal: `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** The first twelve digits of a commit, digest or id; `-` for none. */
export function formatShort(digest: string | null): string {
  if (digest === null || digest === "") return "-";
  return digest.replace(/^sha256:/, "").slice(0, 12);
}
