import { existsSync, readFileSync } from "node:fs";

type LockedPackage = {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
};

/** What the tests in the guest import beside berth's own dependencies. */
const testPackages = ["ava", "fast-check", "@fast-check/ava"];

/** Folders below node_modules that berth and its tests need, with everything those depend on; prints one a line. */
const lock: { readonly packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(
  readFileSync("package-lock.json", "utf8"),
);
const needed = new Set<string>();
const own = lock.packages[""] ?? {};
for (const name of [...namesOf(own), ...testPackages]) add("", name);
const paths = [...needed].map((path) =>
  path.startsWith("node_modules/node-linux-") ? `${path}/bin/node` : path,
);
console.log(paths.filter((path) => existsSync(path)).join("\n"));

/** Node looks for a package beside the one that asks, then in each folder further up. */
function add(from: string, name: string): void {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf("/node_modules/")))) {
    const path = base === "" ? `node_modules/${name}` : `${base}/node_modules/${name}`;
    const found = lock.packages[path];
    if (found !== undefined) {
      if (needed.has(path)) return;
      needed.add(path);
      for (const dependency of namesOf(found)) add(path, dependency);
      return;
    }
    if (base === "") return;
  }
}

function namesOf(found: LockedPackage): readonly string[] {
  return Object.keys({
    ...found.dependencies,
    ...found.optionalDependencies,
    ...found.peerDependencies,
  });
}
