import { vmTest } from "./vm-test.ts";

vmTest("AppArmor profiles confine containers in the guest", { often: false }, async (t, guest) => {
  t.is(await guest.run("cat /sys/module/apparmor/parameters/enabled"), "Y");
  const command = "cd /berth && MUST_WORK=1 test/run --serial test/kernel/apparmor.test.ts";
  const { code, output } = await guest.try(command, 300_000);
  t.is(code, 0, output);
  t.regex(output, /2 tests passed/);
});
