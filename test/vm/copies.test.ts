import { vmTest } from "./vm-test.ts";

vmTest(
  "files are copied and changes told on a pure cgroup v2 host",
  { often: false },
  async (t, guest) => {
    const files = "test/kernel/copies.test.ts test/kernel/changes.test.ts";
    const command = `cd /berth && MUST_WORK=1 test/run --serial ${files}`;
    const { code, output } = await guest.try(command, 600_000);
    t.is(code, 0, output);
    t.regex(output, /\d+ tests passed/);
  },
);
