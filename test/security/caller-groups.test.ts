import { kernelTest } from "../kernel/kernel-test.ts";
import { TestBundle } from "../oci/bundle.ts";

kernelTest(
  "CVE-2022-36109, CVE-2023-25173: supplementary groups of whoever starts a container are not its",
  async (t) => {
    const groupsOf = async (user: Readonly<Record<string, unknown>>) => {
      const bundle = new TestBundle(t);
      bundle.configure(["cat", "/proc/self/status"], { process: { user } });
      const { stdout } = await bundle.runInGroup(4321, "run", bundle.id);
      return /^Groups:\t([\d ]*)$/m.exec(stdout)?.[1]?.trim();
    };
    t.is(await groupsOf({ uid: 1000, gid: 1000 }), "");
    t.is(await groupsOf({ uid: 0, gid: 0 }), "");
    t.is(await groupsOf({ uid: 1000, gid: 1000, additionalGids: [77] }), "77");
  },
);
