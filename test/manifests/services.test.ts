import test from "ava";
import type { Healthcheck, PublishedPort, Service } from "../../manifests/desired-state.ts";
import { plainService, serviceOf } from "./compile.ts";

const port = (hostPort: number, containerPort: number, more: Partial<PublishedPort> = {}) =>
  ({ hostIp: "0.0.0.0", hostPort, containerPort, protocol: "tcp", ...more }) as const;

const health = (fields: Partial<Healthcheck>): Healthcheck => ({
  test: [],
  intervalMs: 30_000,
  timeoutMs: 30_000,
  retries: 3,
  startPeriodMs: 0,
  startIntervalMs: 5000,
  ...fields,
});

const started = { condition: "service_started", required: true, restart: false } as const;

/** Lines of one service -> the fields that differ from the defaults. */
const accepted: readonly (readonly [string, Partial<Service>])[] = [
  ["", {}],
  [
    "command: serve --name 'a b' \"c d\" e\\ f",
    { command: ["serve", "--name", "a b", "c d", "e f"] },
  ],
  ["command: [sh, -c, 'echo $$HOME; id']", { command: ["sh", "-c", "echo $HOME; id"] }],
  ["command:", {}],
  ["command: []", { command: [] }],
  ["entrypoint: ''", { entrypoint: [] }],
  ["entrypoint: /run.sh", { entrypoint: ["/run.sh"] }],
  [
    "environment: {A: 1, B: true, C: 1.10, D: 0755, E: '', F: yes, G: 1e3, H: 0x1F}",
    {
      environment: { A: "1", B: "true", C: "1.1", D: "493", E: "", F: "yes", G: "1000", H: "31" },
    },
  ],
  ["environment: [A=1, A=2, B==x=]", { environment: { A: "2", B: "=x=" } }],
  ["environment: [A, NOT_SET]", { environment: { A: "from-env" } }],
  ["environment: {A: , NOT_SET: ~}", { environment: { A: "from-env" } }],
  ["ports: ['8080:80']", { ports: [port(8080, 80)] }],
  ["ports: [3000:3000]", { ports: [port(3000, 3000)] }],
  [
    "ports: ['127.0.0.1:53:53/udp', '53:53']",
    { ports: [port(53, 53, { hostIp: "127.0.0.1", protocol: "udp" }), port(53, 53)] },
  ],
  ["ports: ['9000-9002:80-82']", { ports: [port(9000, 80), port(9001, 81), port(9002, 82)] }],
  [
    "ports: [{target: 80, published: '8080', protocol: udp, host_ip: 127.0.0.1, mode: host}]",
    { ports: [port(8080, 80, { hostIp: "127.0.0.1", protocol: "udp" })] },
  ],
  ["ports: [{target: 80, published: 8080}]", { ports: [port(8080, 80)] }],
  [
    "volumes: [data:/data/, 'data:/more:ro,nocopy']",
    {
      mounts: [
        { type: "volume", volume: "data", target: "/data", readOnly: false, copy: true },
        { type: "volume", volume: "data", target: "/more", readOnly: true, copy: false },
      ],
    },
  ],
  [
    "volumes: ['/etc/x/:/etc/x:ro', {type: bind, source: /a/../b, target: /c, bind: {create_host_path: false}}]",
    {
      mounts: [
        { type: "bind", source: "/etc/x", target: "/etc/x", readOnly: true, createHostPath: true },
        { type: "bind", source: "/b", target: "/c", readOnly: false, createHostPath: false },
      ],
    },
  ],
  [
    "volumes: [/cache, {type: volume, source: data, target: /d, volume: {nocopy: true}}]",
    {
      mounts: [
        { type: "volume", volume: "web:/cache", target: "/cache", readOnly: false, copy: true },
        { type: "volume", volume: "data", target: "/d", readOnly: false, copy: false },
      ],
    },
  ],
  [
    "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 64m, mode: 0o1777}}]\n    tmpfs: ['/u:size=1k,mode=700,ro', /v]",
    {
      mounts: [
        { type: "tmpfs", target: "/t", readOnly: false, sizeBytes: 67_108_864, mode: 0o1777 },
        { type: "tmpfs", target: "/u", readOnly: true, sizeBytes: 1024, mode: 0o700 },
        { type: "tmpfs", target: "/v", readOnly: false },
      ],
    },
  ],
  ["tmpfs: /run", { mounts: [{ type: "tmpfs", target: "/run", readOnly: false }] }],
  ["restart: no", { restart: { condition: "no" } }],
  ["restart: 'no'", { restart: { condition: "no" } }],
  ["restart: always", { restart: { condition: "always" } }],
  ["restart: unless-stopped", { restart: { condition: "unless-stopped" } }],
  ["restart: on-failure", { restart: { condition: "on-failure" } }],
  ["restart: on-failure:5", { restart: { condition: "on-failure", attemptsMax: 5 } }],
  ["mem_limit: 64m", { resources: { memoryBytesMax: 67_108_864 } }],
  ["mem_limit: 1.5GiB", { resources: { memoryBytesMax: 1_610_612_736 } }],
  ["mem_limit: 0\n    pids_limit: -1\n    cpus: 0", { resources: { pidsMax: -1 } }],
  [
    "cap_add: [net_admin]\n    cap_drop: [ALL]\n    privileged: true",
    {
      options: {
        security: {
          privileged: true,
          capabilitiesAdded: ["NET_ADMIN"],
          capabilitiesDropped: ["ALL"],
        },
      },
    },
  ],
  [
    "security_opt: ['no-new-privileges:false', seccomp=unconfined, systempaths=unconfined, 'label:disable']",
    {
      options: {
        security: {
          noNewPrivileges: false,
          seccomp: "unconfined",
          systemPathsShown: true,
          selinuxLabels: ["disable"],
        },
      },
    },
  ],
  [
    "devices: ['/dev/a', '/dev/a:/dev/b:r', {source: /dev/c}]\n    device_cgroup_rules: ['c 1:* r']",
    {
      options: {
        devices: [
          { source: "/dev/a", target: "/dev/a", permissions: "rwm" },
          { source: "/dev/a", target: "/dev/b", permissions: "r" },
          { source: "/dev/c", target: "/dev/c", permissions: "rwm" },
        ],
        deviceRules: ["c 1:* r"],
      },
    },
  ],
  [
    "sysctls: {net.core.somaxconn: 1024}\n    ulimits: {nproc: 65535, nofile: {soft: 20, hard: -1}}",
    {
      options: {
        sysctls: { "net.core.somaxconn": "1024" },
        ulimits: { nproc: { soft: 65_535, hard: 65_535 }, nofile: { soft: 20, hard: -1 } },
      },
    },
  ],
  [
    "network_mode: host\n    pid: host\n    ipc: host\n    uts: host\n    cgroup: host\n    userns_mode: host",
    {
      networks: {},
      options: {
        namespaces: {
          network: "host",
          pid: "host",
          ipc: "host",
          uts: "host",
          cgroup: "host",
          user: "host",
        },
      },
    },
  ],
  ["network_mode: none", { networks: {}, options: { namespaces: { network: "none" } } }],
  [
    "shm_size: 1m\n    group_add: [video, 44]\n    oom_score_adj: -10\n    domainname: example.test",
    {
      options: {
        shmBytes: 1_048_576,
        groups: ["video", "44"],
        oomScoreAdj: -10,
        domainname: "example.test",
      },
    },
  ],
  [
    "extra_hosts: ['a:10.0.0.1', 'b=host-gateway']\n    dns: 9.9.9.9\n    dns_search: [x]\n    dns_opt: [ndots:1]",
    {
      options: {
        extraHosts: [
          { name: "a", address: "10.0.0.1" },
          { name: "b", address: "host-gateway" },
        ],
        dns: { servers: ["9.9.9.9"], search: ["x"], options: ["ndots:1"] },
      },
    },
  ],
  [
    "mem_limit: 2m\n    memswap_limit: 4m\n    mem_swappiness: 3\n    cpu_shares: 512\n    cpuset: 0-1\n    cpu_period: 50000\n    cpu_quota: 20ms\n    blkio_config: {weight: 300, device_read_bps: [{path: /dev/sda, rate: 1m}]}",
    {
      resources: {
        memoryBytesMax: 2_097_152,
        memorySwapBytesMax: 4_194_304,
        memorySwappiness: 3,
        cpuShares: 512,
        cpuset: "0-1",
        cpuPeriodUs: 50_000,
        cpuQuotaUs: 20_000,
        blockIo: { weight: 300, readBytes: [{ path: "/dev/sda", rate: 1_048_576 }] },
      },
    },
  ],
  ["annotations: {a: 1}", { options: { annotations: { a: "1" } } }],
  [
    "mem_limit: 1048576\n    mem_reservation: 512kb\n    cpus: '0.5'\n    pids_limit: 100",
    {
      resources: {
        memoryBytesMax: 1_048_576,
        memoryReservationBytes: 524_288,
        cpus: 0.5,
        pidsMax: 100,
      },
    },
  ],
  [
    "cpus: 2\n    deploy: {replicas: 3, resources: {limits: {cpus: '2', memory: 1g, pids: 7}, reservations: {memory: 1m}}}",
    {
      replicas: 3,
      resources: {
        memoryBytesMax: 1_073_741_824,
        memoryReservationBytes: 1_048_576,
        cpus: 2,
        pidsMax: 7,
      },
    },
  ],
  ["scale: 0", { replicas: 0 }],
  ["deploy:\n      mode: replicated\n    scale: '4'", { replicas: 4 }],
  [
    "stop_signal: SIGINT\n    stop_grace_period: 1h2m3.5s",
    { stopSignal: "SIGINT", stopGraceMs: 3_723_500 },
  ],
  ["stop_grace_period: 250ms", { stopGraceMs: 250 }],
  ["stop_grace_period: 1us", { stopGraceMs: 1 }],
  ["stop_grace_period: '0'", { stopGraceMs: 0 }],
  [
    "user: '1000:staff'\n    working_dir: /srv\n    hostname: box.example",
    { user: "1000:staff", workingDir: "/srv", hostname: "box.example" },
  ],
  ["labels: [a=b, c]", { labels: { a: "b", c: "" } }],
  ["labels: {a: 1, b: ~, x-c: d}", { labels: { a: "1", b: "", "x-c": "d" } }],
  [
    "read_only: true\n    init: 'yes'\n    tty: on\n    stdin_open: True",
    { readOnlyRoot: true, init: true, tty: true, stdinOpen: true },
  ],
  ["networks: [default]", { networks: { default: [] } }],
  ["networks: {default: {aliases: [www, api]}}", { networks: { default: ["www", "api"] } }],
  ["networks: {default: }", { networks: { default: [] } }],
  [
    "healthcheck: {test: curl -f localhost}",
    { healthcheck: health({ test: ["CMD-SHELL", "curl -f localhost"] }) },
  ],
  [
    "healthcheck: {test: [CMD, /probe], interval: 5s, timeout: 1s, retries: 7, start_period: 1m, start_interval: 500ms}",
    {
      healthcheck: health({
        test: ["CMD", "/probe"],
        intervalMs: 5000,
        timeoutMs: 1000,
        retries: 7,
        startPeriodMs: 60_000,
        startIntervalMs: 500,
      }),
    },
  ],
  ["healthcheck: {disable: true}", { healthcheck: health({ test: ["NONE"] }) }],
  ["healthcheck: {test: [NONE]}", { healthcheck: health({ test: ["NONE"] }) }],
  ["healthcheck: {interval: 9s}", { healthcheck: health({ intervalMs: 9000 }) }],
  ["depends_on: [other]", { dependsOn: { other: started } }],
  [
    "depends_on: {other: {condition: service_completed_successfully, restart: true, required: false}}",
    {
      dependsOn: {
        other: { condition: "service_completed_successfully", restart: true, required: false },
      },
    },
  ],
  ["depends_on: {gone: {condition: service_started, required: false}}", {}],
  ["x-note: {anything: [at, all]}\n    deploy: {x-more: 1}", {}],
];

for (const [lines, fields] of accepted) {
  test(`accepts ${lines === "" ? "an image alone" : lines.replaceAll(/\s+/g, " ")}`, async (t) => {
    const yaml = [
      "services:",
      "  web:",
      "    image: nginx",
      ...(lines === "" ? [] : [`    ${lines}`]),
      "  zother:",
      "    image: redis",
      "volumes:",
      "  data:",
    ].join("\n");
    const renamed = yaml.replaceAll(/\bother\b/g, "zother");
    const expected = JSON.stringify(plainService(fields)).replaceAll('"other"', '"zother"');
    t.deepEqual(await serviceOf(renamed, "A=from-env\n"), JSON.parse(expected));
  });
}

test("keeps an image reference as it is written", async (t) => {
  const digest = `sha256:${"a".repeat(64)}`;
  for (const image of [
    "nginx:1.27",
    "registry.example:5000/team/web:v1",
    `localhost/a__b/c-d@${digest}`,
    "[::1]:5000/x",
  ])
    t.is((await serviceOf(`services: {web: {image: "${image}"}}`)).image, image);
});

test("free keys such as __proto__ and constructor are ordinary keys", async (t) => {
  const service = await serviceOf(
    "services: {web: {image: nginx, environment: {__proto__: a, constructor: b}, labels: [__proto__=c]}}",
  );
  t.deepEqual(Object.entries(service.environment), [
    ["__proto__", "a"],
    ["constructor", "b"],
  ]);
  t.deepEqual(Object.entries(service.labels), [["__proto__", "c"]]);
  t.is(Object.getPrototypeOf(service.environment), Object.prototype);
});
