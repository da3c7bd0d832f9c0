import type { ExecutionContext } from "ava";
import { checkEmulation } from "./emulation-fault.ts";
import type { Machine } from "./machine.ts";
import { vmTest } from "./vm-test.ts";

const manifest = `services:
  web:
    image: localhost/web:test
    restart: always
`;

/** As docs/systemd.md says it, with the checkout below /usr/lib. */
const install = `
  mv /berth /usr/lib/berth
  ln -s /usr/lib/berth /berth
  ln -s /usr/lib/berth/bin/berth /usr/bin/berth
  install -d -m 0700 /etc/berth
  printf 'repo: /srv/fleet\\ninterval: 1h\\n' >/etc/berth/berth.yaml
  install -m 0644 /berth/systemd/berth.service /etc/systemd/system/berth.service
  systemctl daemon-reload
  systemctl enable berth`;

const commit = `
  git init --quiet --initial-branch=main /srv/fleet
  mkdir /srv/fleet/hello
  cat >/srv/fleet/hello/compose.yaml <<'END'
${manifest}END
  cd /srv/fleet
  git add .
  git -c user.name=lab -c user.email=lab@example.org commit --quiet -m 'Moor a web server'`;

const loadImage = `
  cat >/berth/layout.ts <<'END'
import { programImage, writeOciLayout } from "./test/builders/oci-layout.ts";
const web = { path: "/berth/build/payload/web", installAs: "/bin/web" };
writeOciLayout("/tmp/layout", [programImage("localhost/web:test", [web])]);
END
  /berth/bin/node /berth/layout.ts
  berth load /tmp/layout`;

vmTest(
  "under systemd the agent comes and goes, and its containers stay",
  { often: true },
  async (t, guest) => {
    await moor(guest);
    const pid = await containerPid(guest);
    t.is(
      await guest.run("systemctl show -p Type,ActiveState --value berth | xargs"),
      "notify active",
    );
    t.regex(await guest.run(`cat /proc/${pid}/cgroup`), /^0::\/berth\//, "outside of the unit");

    await guest.run("systemctl restart berth");
    await isAdopted(t, guest, pid, "after a restart");

    const agent = await agentPid(guest);
    await guest.run(`kill -9 ${agent}`);
    await guest.eventually(
      `[ "$(systemctl show -p MainPID,ActiveState --value berth | xargs)" != "${agent} active" ] && systemctl -q is-active berth`,
    );
    t.not(await agentPid(guest), agent);
    await isAdopted(t, guest, pid, "after the agent was killed");

    await guest.run("systemctl stop berth");
    t.is((await guest.try("systemctl is-active berth")).output.trim(), "inactive");
    t.is(await guest.run(`cat /proc/${pid}/comm`), "web");
    await guest.run("systemctl start berth");
    await isAdopted(t, guest, pid, "after a stop and a start");
    await hasNoComplaints(t, guest);
  },
);

vmTest(
  "after a reboot the containers come back",
  { often: false, reboots: true },
  async (t, guest) => {
    await moor(guest);
    await guest.reboot();
    await guest.eventually("systemctl -q is-active berth");
    await guest.eventually("berth ps | grep -q running");
    t.is(await guest.run(`cat /proc/${await containerPid(guest)}/comm`), "web");
    await hasNoComplaints(t, guest);
  },
);

vmTest(
  "an agent that hangs is ended by the watchdog and started again",
  { often: false },
  async (t, guest) => {
    await moor(guest);
    const [pid, agent] = [await containerPid(guest), await agentPid(guest)];
    await guest.run(`kill -STOP ${agent}`);
    await guest.eventually("journalctl -u berth | grep -q 'Watchdog timeout'");
    await guest.eventually(
      `[ "$(systemctl show -p MainPID --value berth)" != ${agent} ] && systemctl -q is-active berth`,
    );
    await isAdopted(t, guest, pid, "after the watchdog");
  },
);

/** Installs berth, starts its unit, and waits until the commit's container runs. */
async function moor(guest: Machine): Promise<void> {
  await guest.run(`set -e; ${install}`);
  await guest.run(`set -e; ${commit}`);
  await guest.run("systemctl start berth || { journalctl -u berth; false; }");
  await guest.run(`set -e; ${loadImage}`);
  await guest.run("berth sync --timeout 100s");
}

async function containerPid(guest: Machine): Promise<string> {
  return guest.run("pgrep -x web");
}

async function agentPid(guest: Machine): Promise<string> {
  return guest.run("systemctl show -p MainPID --value berth");
}

async function isAdopted(
  t: ExecutionContext,
  guest: Machine,
  pid: string,
  when: string,
): Promise<void> {
  await checkEmulation(guest);
  t.is(await containerPid(guest), pid, `the same process ${when}`);
  t.regex(await guest.eventually("berth ps | tail -n +2 | grep running"), /hello-web-1/, when);
}

async function hasNoComplaints(t: ExecutionContext, guest: Machine): Promise<void> {
  await checkEmulation(guest);
  t.not(await guest.run("journalctl -q --no-pager -b -u berth | grep -c berth"), "0");
  t.is(await guest.run("journalctl -q --no-pager -b -u berth -p err"), "");
  // The commit comes before its image is loaded: one try to pull it fails.
  const complaints = await guest.run(
    "journalctl -q --no-pager -u berth | grep -E 'level=(warn|error)' | grep -v 'image cannot be pulled' || true",
  );
  t.is(complaints, "");
  t.is(await guest.run("systemctl --failed --no-legend"), "");
}
