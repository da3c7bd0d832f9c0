import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { planLabel } from "../../runtime/plan/plan-label.ts";

/** A host whose files say what is given; what is not given is not there. */
function hostWith(t: ExecutionContext, files: Readonly<Record<string, string>>) {
  const dir = mkdtempSync(join(tmpdir(), "bt-label-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return {
    apparmorEnabled: join(dir, "enabled"),
    apparmorProfiles: join(dir, "profiles"),
    selinuxEnforce: join(dir, "enforce"),
    selinuxContexts: [join(dir, "none"), join(dir, "contexts")],
  };
}

const apparmor = { enabled: "Y\n", profiles: "/usr/bin/man (enforce)\nstrict one (complain)\n" };
const selinux = {
  enforce: "1",
  contexts: '# comment\nprocess = "system_u:system_r:container_t:s0"\nfile = "x"\n',
};

test("nothing asked for, or unconfined, changes nothing on any host", (t) => {
  const host = hostWith(t, {});
  t.is(planLabel({}, host), undefined);
  t.is(planLabel({ apparmor: "unconfined", selinuxLabels: ["disable"] }, host), undefined);
  t.is(planLabel({ selinuxLabels: ["type:x", "disable"] }, host), undefined);
});

test("a host without the module refuses what it cannot apply", (t) => {
  const off = hostWith(t, { enabled: "N\n" });
  t.throws(() => planLabel({ apparmor: "strict" }, off), { message: /this host has no AppArmor/ });
  t.throws(() => planLabel({ selinuxLabels: ["type:x"] }, off), { message: /has no SELinux/ });
});

test("a profile has to be loaded; its name may hold spaces", (t) => {
  const host = hostWith(t, apparmor);
  t.deepEqual(planLabel({ apparmor: "strict one" }, host), {
    module: "apparmor",
    text: "exec strict one",
  });
  t.throws(() => planLabel({ apparmor: "strict" }, host), { message: /is not loaded: load it/ });
  t.throws(() => planLabel({ apparmor: "a\nb" }, host), { message: /that is no name/ });
  t.throws(() => planLabel({ apparmor: "strict one", selinuxLabels: ["type:x"] }, host), {
    message: /at once/,
  });
});

test("parts of an SELinux label take the place of those of the host's policy", (t) => {
  const host = hostWith(t, selinux);
  const text = (...selinuxLabels: string[]) => planLabel({ selinuxLabels }, host)?.text;
  t.is(text("type:spc_t"), "system_u:system_r:spc_t:s0");
  t.is(text("level:s0:c1,c2", "user:me_u"), "me_u:system_r:container_t:s0:c1,c2");
  t.throws(() => text("kind:x"), { message: /"kind:x" is none: user:, role:, type: or level:/ });
  t.throws(() => planLabel({ selinuxLabels: ["type:x"] }, hostWith(t, { enforce: "1" })), {
    message: /install container-selinux/,
  });
});
