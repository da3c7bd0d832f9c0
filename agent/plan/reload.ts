import { posix } from "node:path";
import { hasSameContent } from "../../manifests/canonical-json.ts";
import type { Mount } from "../../runtime/container-spec.ts";
import type { Reload } from "../../runtime/runtime.ts";
import type { ActualContainer } from "../observe.ts";
import { isAlive } from "./plan-keys.ts";
import { digestWithMounts, type WantedContainer } from "./wanted-state.ts";

type FileMount = Reload["mounts"][number];

/**
 * Pure. How a running container becomes what is wanted without being made anew: undefined where anything differs but
 * the files that it mounts of the commit, or secrets, or where its service does not ask for it.
 */
export function reloadOf(wanted: WantedContainer, actual: ActualContainer): Reload | undefined {
  const { service, spec } = wanted;
  const { status } = actual;
  if (service.onConfigChange === undefined || !isAlive(status.state)) return undefined;
  if (status.isHeldBack === true || status.reload === "failed") return undefined;
  const before = new Map(status.spec.mounts.map((mount) => [mount.target, mount]));
  const asItWas = spec.mounts.map((mount) => {
    const old = before.get(mount.target);
    return isFile(mount) && old?.type === mount.type ? old : mount;
  });
  if (digestWithMounts(wanted, asItWas) !== actual.specDigest) return undefined;
  const files = spec.mounts.filter(isFile);
  // What was cut short may have reached any of them.
  const isAny = status.reload === "pending";
  const differs = (mount: FileMount) => isAny || !hasSameContent(mount, before.get(mount.target));
  const hasSecret = files.some((mount) => mount.type === "secret" && differs(mount));
  const mounts = files.filter((mount) => (mount.type === "secret" ? hasSecret : differs(mount)));
  if (mounts.length === 0 || hidesOthers(mounts, status.spec.mounts)) return undefined;
  return { mounts, labels: spec.labels, signal: service.onConfigChange.signal };
}

function isFile(mount: Mount): mount is FileMount {
  return mount.type === "tree" || mount.type === "secret";
}

const secretsDirectory = "/run/secrets";
const ownFiles = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/** What is mounted below a place would be below the new mount, where nobody finds it. */
function hidesOthers(replaced: readonly FileMount[], all: readonly Mount[]): boolean {
  const places = replaced.map(({ target }) => target);
  if (replaced.some(({ type }) => type === "secret")) places.push(secretsDirectory);
  const isOwn = ({ type, target }: Mount) =>
    type === "secret" && posix.dirname(target) === secretsDirectory;
  const others = [...all.filter((mount) => !isOwn(mount)).map(({ target }) => target), ...ownFiles];
  return places.some((place) => others.some((other) => other.startsWith(`${place}/`)));
}
