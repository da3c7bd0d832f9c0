import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { admitService } from "../../agent/policy/admit-service.ts";
import { loadPolicy } from "../../agent/policy/load-policy.ts";
import { defaultPolicy, Policy } from "../../agent/policy/policy.ts";
import { compileRevision } from "../../manifests/compile-revision.ts";
import type { CommitSha } from "../../manifests/desired-state.ts";

const refuses = "the policy of this host does not allow";

async function errorsOf(lines: string, policy = defaultPolicy): Promise<readonly string[]> {
  const text = `services:\n  web:\n    image: nginx\n    ${lines}\n`;
  const result = await compileRevision({
    revision: "0".repeat(40) as CommitSha,
    reader: {
      list: async () => ["app/compose.yaml"],
      read: async () => Buffer.from(text),
      isExecutable: async () => false,
      others: async () => [],
    },
    host: "h",
    path: ".",
    abort: AbortSignal.timeout(5000),
    admit: admitService(policy, { ports: [9477] }),
  });
  if (result.ok) return [];
  return result.errors.map(
    ({ line, column, message }) => `${line}:${column}: ${message.replace("services.web.", "")}`,
  );
}

/** Lines of a service, what the default policy says of them, and the policy that allows them. */
const wishes: readonly (readonly [lines: string, error: string, allowing: unknown])[] = [
  [
    "privileged: true",
    `4:5: privileged: ${refuses} privileged containers: \`privileged: true\` in its policy would`,
    { privileged: true },
  ],
  [
    "cap_add: [CHOWN, NET_ADMIN]",
    `4:22: cap_add[1]: ${refuses} the capability NET_ADMIN: \`capabilities: [${defaultPolicy.capabilities.join(", ")}, NET_ADMIN]\` in its policy would`,
    { capabilities: ["CHOWN", "NET_ADMIN"] },
  ],
  [
    "network_mode: host",
    `4:5: network_mode: ${refuses} the host's network namespace: \`hostNamespaces: [network]\` in its policy would`,
    { hostNamespaces: ["network"] },
  ],
  [
    "userns_mode: host",
    `4:5: userns_mode: ${refuses} the host's user namespace: \`hostNamespaces: [user]\` in its policy would`,
    { hostNamespaces: ["user"] },
  ],
  [
    "volumes: ['/etc:/host:ro']",
    `4:15: volumes[0]: ${refuses} a bind mount of /etc: \`bindMounts: [{path: /etc, readOnly: true}]\` in its policy would`,
    { bindMounts: [{ path: "/etc", readOnly: true }] },
  ],
  [
    "volumes: ['/etc/localtime:/etc/localtime']",
    `4:15: volumes[0]: ${refuses} a bind mount of /etc/localtime with write access: \`bindMounts: [{path: /etc/localtime}]\` in its policy would`,
    { bindMounts: [{ path: "/etc" }] },
  ],
  [
    "volumes: ['/srvx:/x']",
    `4:15: volumes[0]: ${refuses} a bind mount of /srvx with write access: \`bindMounts: [{path: /srvx}]\` in its policy would`,
    { bindMounts: [{ path: "/" }] },
  ],
  [
    "devices: [/dev/kvm]",
    `4:15: devices[0]: ${refuses} the device /dev/kvm: \`devices: [/dev/kvm]\` in its policy would`,
    { devices: ["/dev/kvm"] },
  ],
  [
    "devices: ['/dev/dri/../kvm:/dev/kvm']",
    `4:15: devices[0]: ${refuses} the device /dev/dri/../kvm: \`devices: [/dev/dri/../kvm]\` in its policy would`,
    { devices: ["ALL"] },
  ],
  [
    "device_cgroup_rules: ['c 1:1 r']",
    `4:27: device_cgroup_rules[0]: ${refuses} the device rule "c 1:1 r": \`devices: [ALL]\` in its policy would`,
    { devices: ["ALL"] },
  ],
  [
    "security_opt: [seccomp=unconfined]",
    `4:5: security_opt: ${refuses} seccomp=unconfined: \`seccompUnconfined: true\` in its policy would`,
    { seccompUnconfined: true },
  ],
  [
    "security_opt: [systempaths=unconfined]",
    `4:5: security_opt: ${refuses} systempaths=unconfined: \`systemPathsUnconfined: true\` in its policy would`,
    { systemPathsUnconfined: true },
  ],
  [
    "oom_score_adj: -500",
    `4:5: oom_score_adj: ${refuses} an oom_score_adj of -500: \`oomScoreAdjMin: -500\` in its policy would`,
    { oomScoreAdjMin: -500 },
  ],
];

for (const [lines, error, allowing] of wishes) {
  test(`${lines} is refused at its place, and the policy it names allows it`, async (t) => {
    t.deepEqual(await errorsOf(lines), [error]);
    t.deepEqual(await errorsOf(lines, Policy.parse(allowing)), []);
  });
}

test("what a homelab usually asks for is allowed without a policy", async (t) => {
  const lines = [
    "volumes: ['/srv/data:/data', '/etc/localtime:/etc/localtime:ro', '/mnt/disk/films:/films']",
    "ports: ['80:80', '443:443/udp']",
    "cap_add: [CHOWN]",
    "cap_drop: [ALL]",
    "ipc: private",
    "pid: service:web2",
    "sysctls: {net.core.somaxconn: 1024}",
    "ulimits: {nofile: 1024}",
  ];
  const errors = await errorsOf(`${lines.join("\n    ")}\n  web2: {image: nginx}`);
  t.deepEqual(errors, []);
});

test("the agent's own port cannot be published, whatever the policy says", async (t) => {
  const [error] = await errorsOf("ports: ['0.0.0.0:9477:80']", Policy.parse({ privileged: true }));
  t.regex(error ?? "", /^4:5: ports: port 9477 is the agent's own/);
  t.deepEqual(await errorsOf("ports: ['9477:80/udp']"), []);
});

test("a policy file with a mistake is refused with its field, and one that is named must be there", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "bt-policy-"));
  t.teardown(() => rmSync(root, { recursive: true }));
  const file = join(root, "policy.yaml");
  writeFileSync(file, "privilegd: true\nbindMounts: [{path: /srv/../etc}]\n");
  const error = await t.throwsAsync(loadPolicy(file));
  t.regex(error?.message ?? "", /bindMounts\.0\.path: an absolute path/);
  t.regex(error?.message ?? "", /privilegd/);
  await t.throwsAsync(loadPolicy(join(root, "none.yaml")), { message: /cannot read the policy/ });
  writeFileSync(file, "ports: {min: 1024}\n");
  t.is((await loadPolicy(file)).ports.min, 1024);
});

test("a platform that is not the host's is refused whatever the policy allows", async (t) => {
  const own = process.arch === "x64" ? "amd64" : process.arch;
  const other = own === "amd64" ? "arm64" : "amd64";
  t.deepEqual(await errorsOf(`platform: linux/${own}`), []);
  t.deepEqual(await errorsOf(`platform: ${own}`), []);
  t.deepEqual(await errorsOf(`platform: linux/${other}`), [
    `4:5: platform: this host runs linux/${own}: remove it, or run the service elsewhere`,
  ]);
});
