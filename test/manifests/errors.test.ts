import test from "ava";
import { errorsOf } from "./compile.ts";

/** A service called web with an image; the lines begin at line 4, column 5. */
const web = (lines: string) =>
  `services:\n  web:\n    image: nginx\n    ${lines}\nvolumes:\n  data:\n`;

/** Lines of a service -> the one error, without its file; § stands for the dollar sign. */
const refused: readonly (readonly [string, string])[] = [
  [
    "build: {contxt: .}",
    '4:13: services.web.build.contxt: Compose knows no such key; did you mean "context"?',
  ],
  [
    "container_name: -x",
    '4:21: services.web.container_name: "-x" is not a name of a container: letters, digits, _ . - and a letter or digit first',
  ],
  [
    "container_name: xx\n    scale: 2",
    "4:5: services.web.container_name: 2 replicas cannot have one name: remove it",
  ],
  [
    "env_file: [a.env, {path: b.env, required: false}]",
    "4:16: services.web.env_file[0]: there is no file app/a.env in the repository: add it, or say required: false",
  ],
  [
    "env_file: ../../x.env",
    '4:15: not supported by berth: services.web.env_file[0]: the file "../../x.env" is not one of the repository: name one below its root',
  ],
  [
    "env_file: {path: x}",
    "4:15: services.web.env_file: a string or a list is expected, not a mapping",
  ],
  [
    "logging: {driver: syslog}",
    '4:23: not supported by berth: services.web.logging.driver: "syslog": logs are kept as json-file',
  ],
  [
    "logging: {options: {tag: x, max-size: 1m}}",
    "4:25: not supported by berth: services.web.logging.options.tag: lines are kept without a tag, remove it",
  ],
  ["links: [db]", '4:13: services.web.depends_on: there is no service "db"'],
  [
    "volumes: [{type: bind, source: /a, target: /a, bind: {recursive: readonly}}]",
    '4:70: not supported by berth: services.web.volumes[0].bind.recursive: "readonly": use enabled or disabled',
  ],
  [
    "pull_policy: refresh",
    "4:18: not supported by berth: services.web.pull_policy: the policy refresh: use always, daily, weekly or every_N",
  ],
  [
    "cpu_period: 10s",
    '4:17: services.web.cpu_period: "10s" is not a number of microseconds from 1000 to 1000000, or a duration such as 50ms',
  ],
  [
    "pull_policy: every_day",
    '4:18: services.web.pull_policy: "every_day" is not always, missing, if_not_present, never, daily, weekly or every_N with a unit of w, d, h, m or s',
  ],
  [
    "profiles: ['a b']",
    '4:16: services.web.profiles[0]: "a b" is not a profile: letters, digits, _ . - and a letter or digit first',
  ],
  [
    "restart: always\n    deploy: {restart_policy: {condition: none}}",
    "4:5: services.web.restart: it contradicts condition: none of deploy.restart_policy",
  ],
  [
    "deploy: {update_config: {order: sideways}}",
    "4:37: services.web.deploy.update_config.order: stop-first or start-first is expected",
  ],
  [
    "deploy: {rollback_config: {failure_action: rollback}}",
    "4:48: services.web.deploy.rollback_config.failure_action: pause or continue is expected",
  ],
  [
    "deploy: {placement: {constraints: [disk=ssd]}}",
    '4:40: services.web.deploy.placement.constraints[0]: "disk=ssd" is not a constraint: node.labels.NAME, node.hostname, node.role, node.platform.os or node.platform.arch, == or !=, and a value',
  ],
  [
    "network_mode: host\n    ports: ['80:80']",
    "5:5: services.web.ports: it contradicts network_mode: host: keep one of them",
  ],
  ["pid: service:nobody", '3:5: services.web.depends_on: there is no service "nobody"'],
  [
    "security_opt: ['seccomp=profile.json']",
    '4:5: services.web.security_opt: the seccomp profile "profile.json" is a path: write the profile\'s JSON itself, or unconfined',
  ],
  [
    "oom_kill_disable: true",
    "4:5: not supported by berth: services.web.oom_kill_disable: remove it",
  ],
  [
    "healthcheck: {x-ok: 1, tests: []}",
    '4:28: services.web.healthcheck.tests: Compose knows no such key; did you mean "test"?',
  ],
  [
    "enviroment: {}",
    '4:5: services.web.enviroment: Compose knows no such key; did you mean "environment"?',
  ],
  [
    "memLimit: 1m",
    '4:5: services.web.memLimit: Compose knows no such key; did you mean "mem_limit"?',
  ],
  ["zzz: 1", "4:5: services.web.zzz: Compose knows no such key"],
  ["ports: 80", "4:12: services.web.ports: a list is expected, not a number"],
  [
    "ports: [80]",
    '4:13: not supported by berth: services.web.ports[0]: a port that the host chooses: write "HOST:80" with a fixed host port',
  ],
  [
    "ports: ['127.0.0.1::80']",
    '4:13: not supported by berth: services.web.ports[0]: a port that the host chooses: write "HOST:80" with a fixed host port',
  ],
  [
    "ports: ['a:80']",
    '4:13: services.web.ports[0]: "a" is not a host port: a number from 1 to 65535 or a range such as 8000-8010 is expected',
  ],
  [
    "ports: ['70000:80']",
    '4:13: services.web.ports[0]: "70000" is not a host port: a number from 1 to 65535 or a range such as 8000-8010 is expected',
  ],
  [
    "ports: ['1.2.3:80:80']",
    '4:13: services.web.ports[0]: "1.2.3" is not an IP address of the host',
  ],
  [
    "ports: ['80:80/icmp']",
    '4:13: services.web.ports[0]: "icmp" is not a protocol: tcp or udp is expected',
  ],
  [
    "ports: ['80-82:80-81']",
    "4:13: services.web.ports[0]: 80-82 and 80-81 are ranges of different lengths",
  ],
  [
    "ports: ['80-82:80']",
    "4:13: not supported by berth: services.web.ports[0]: a choice of host ports (80-82): name the one port to publish 80 on",
  ],
  [
    "ports: ['[::1]:80:80']",
    "4:13: not supported by berth: services.web.ports[0]: the IPv6 host address ::1: use an IPv4 address",
  ],
  [
    "ports: ['80:80', '80:81']",
    "4:22: app/web: the host port 80/tcp is already published by the same service at app/compose.yaml:4:13",
  ],
  [
    "ports: [{target: 80, published: 80, publish: 80}]",
    '4:41: services.web.ports[0].publish: Compose knows no such key; did you mean "published"?',
  ],
  ["ports: [{published: 80}]", "4:13: services.web.ports[0]: target is missing"],
  [
    "volumes: [./x:/x]",
    '4:15: not supported by berth: services.web.volumes[0]: the writable bind mount of "./x": files of the repository are mounted read-only, add :ro (read_only: true), or use a named volume for data',
  ],
  [
    "volumes: [./x:/x:ro]",
    '4:15: services.web.volumes[0]: there is no "app/x" in the revision: add it to git',
  ],
  [
    "volumes: [{type: bind, source: ../../x, target: /x, read_only: true}]",
    '4:15: services.web.volumes[0]: "../x" leads out of the repository: keep the file in it',
  ],
  [
    "volumes: ['~/x:/x']",
    '4:15: not supported by berth: services.web.volumes[0]: "~/x" depends on whose home that is: write the absolute path',
  ],
  [
    "volumes: [dat:/x]",
    '4:15: services.web.volumes[0]: the volume "dat" is not declared in volumes; did you mean "data"?',
  ],
  ["volumes: [data:x]", '4:15: services.web.volumes[0]: the target "x" is not an absolute path'],
  ["volumes: [data:/]", '4:15: services.web.volumes[0]: the target must not be "/"'],
  [
    "volumes: ['data:/x:rw:ro']",
    '4:15: services.web.volumes[0]: "data:/x:rw:ro" is not a mount: [SOURCE:]TARGET[:ro] is expected',
  ],
  [
    "network_mode: container:other",
    "4:19: not supported by berth: services.web.network_mode: the container other is none of this app's: put its service here and write service:NAME",
  ],
  [
    "volumes: [data:/x, data:/x/]",
    "4:24: services.web.volumes[1]: another mount of the service is already at /x",
  ],
  [
    "volumes: [{type: image, source: a, target: /x}]",
    "4:15: not supported by berth: services.web.volumes[0]: mounts of type image: use volume, bind or tmpfs",
  ],
  [
    "scale: 2\n    volumes: [/x]",
    "5:15: not supported by berth: services.web.volumes[0]: an anonymous volume with 2 replicas: name the volume",
  ],
  [
    "scale: 2\n    ports: ['80:80']",
    "5:5: services.web.ports: 2 replicas cannot share the host port 80: publish it from a service with one replica",
  ],
  [
    "scale: 2\n    deploy: {replicas: 3}",
    "4:5: services.web.scale: 2 differs from 3 in deploy.replicas: keep one of them",
  ],
  [
    "mem_limit: 1m\n    mem_reservation: 2m",
    "5:5: services.web.mem_reservation: the memory reservation of 2097152 bytes is above the limit of 1048576",
  ],
  [
    "mem_limit: 64q",
    '4:16: services.web.mem_limit: "64q" is not a size in bytes such as 1048576, 512k, 64m or 2g',
  ],
  ["cpus: -1", "4:11: services.web.cpus: -1 is not a number of CPUs from 0 to 4096"],
  ["cpus: .inf", "4:11: services.web.cpus: +Inf is not a finite number"],
  [
    "stop_grace_period: 10",
    "4:24: services.web.stop_grace_period: a string is expected, not a number",
  ],
  [
    "stop_grace_period: '10'",
    '4:24: services.web.stop_grace_period: "10" is not a duration such as 10s, 1m30s or 1.5h (a number needs its unit), at most 24 days',
  ],
  [
    "stop_signal: SIGNOPE",
    '4:18: services.web.stop_signal: "SIGNOPE" is not a signal such as SIGTERM, SIGRTMIN+3 or 15',
  ],
  [
    "restart: sometimes",
    '4:14: services.web.restart: "sometimes" is not "no", always, unless-stopped, on-failure or on-failure:N',
  ],
  ["restart: false", "4:14: services.web.restart: a string is expected, not a boolean"],
  ["user: 1000", "4:11: services.web.user: a string is expected, not a number: write it in quotes"],
  ["working_dir: srv", '4:18: services.web.working_dir: "srv" is not an absolute path'],
  [
    "hostname: a+b",
    '4:15: services.web.hostname: "a+b" is not a host name: letters, digits, dots, hyphens and _, at most 64',
  ],
  ["tty: maybe", '4:10: services.web.tty: "maybe" is not true or false'],
  [
    "command: a && b",
    '4:14: services.web.command: "a && b" has an unquoted &, which needs a shell: use ["sh", "-c", "…"] or quote it',
  ],
  ["command: 'a \"b'", '4:14: services.web.command: "a \\"b" has no closing "'],
  [
    "environment: [' A=1', 'A =1']",
    '4:18: services.web.environment: the key "A " is not allowed: no "=" and no white space at its end',
  ],
  [
    "environment: {A: [1]}",
    "4:22: services.web.environment.A: a string, number, boolean or null is expected",
  ],
  [
    "environment: x",
    "4:18: services.web.environment: a mapping or a list is expected, not a string",
  ],
  [
    "healthcheck: {test: [echo, hi]}",
    '4:25: services.web.healthcheck.test: ["CMD", PROGRAM, …], ["CMD-SHELL", TEXT] or ["NONE"] is expected',
  ],
  [
    "healthcheck: {retries: 1.5}",
    "4:28: services.web.healthcheck.retries: 1.5 is not a whole number from 0 to 1000000",
  ],
  [
    "deploy: {mode: global, replicas: 2}",
    "4:5: services.web.deploy: mode: global is one container on a host, not 2: keep one of them",
  ],
  [
    "deploy: {mode: global-job}",
    '4:20: not supported by berth: services.web.deploy.mode: the mode global-job: use replicated with restart: "no"',
  ],
  [
    "deploy: {resources: {limits: {memory: 5}}}",
    "4:43: services.web.deploy.resources.limits.memory: a string is expected, not a number: write it in quotes",
  ],
  [
    "depends_on: [wbe]",
    '4:18: services.web.depends_on: there is no service "wbe"; did you mean "web"?',
  ],
  [
    "depends_on: [web]",
    "4:18: services.web.depends_on: the dependencies go round in a circle: web -> web",
  ],
  ["depends_on: {web: {}}", "4:23: services.web.depends_on.web: condition is missing"],
  [
    "networks: [front]",
    '4:16: services.web.networks: the network "front" is not declared in networks',
  ],
  [
    "labels: {a: 1\n",
    "6:1: not valid YAML: Flow map in block collection must be sufficiently indented and end with a }",
  ],
  [
    "hostname: §{H?set the host}",
    "4:15: the required variable H is not set: set the host: set it in .env",
  ],
  ["hostname: x${-y", '4:16: "${-y" names no variable: write $$ for a literal dollar sign'],
  [
    "label_file: [a.labels]",
    "4:18: services.web.label_file[0]: there is no file app/a.labels in the repository: add it",
  ],
  [
    "network_mode: bridge\n    networks: [default]",
    "5:5: services.web.networks: it contradicts network_mode: bridge: keep one of them",
  ],
  [
    "logging: {options: {syslog-address: 'tcp://x'}}",
    "4:25: not supported by berth: services.web.logging.options.syslog-address: an option of another log driver: remove it",
  ],
  [
    "hostname: 'x§{A!b}'",
    '4:17: "§{A!b}" is not a variable: one of } :- - :? ? :+ + is expected after the name',
  ],
  ["80: x", "4:5: a key must be a string, not a number: write it in quotes"],
  ["tty: true\n    tty: true", '5:5: the key "tty" is there twice'],
  ["user: !custom x", "4:19: the tag !custom is unknown: leave it out"],
  ["ports: !rest []", "4:18: the tag !rest is unknown: leave it out"],
  ["<<: [1]", "4:5: << merges mappings, not a number"],
  ["user: *nobody", "4:11: the alias *nobody has no complete anchor &nobody before it"],
];

for (const [lines, expected] of refused) {
  test(`refuses ${lines.replaceAll(/\s+/g, " ")}`, async (t) => {
    const errors = await errorsOf({ "app/compose.yaml": web(lines.replaceAll("§", "$")) });
    t.deepEqual(
      errors.map((error) => error.replace(/^app\/compose\.yaml:/, "")),
      [expected.replaceAll("§", "$")],
    );
  });
}

/** Whole files -> every error. */
const documents: readonly (readonly [string, readonly string[]])[] = [
  ["", ["1:1: the file is empty: a mapping with services is expected"]],
  ["- a", ["1:1: a mapping with services is expected, not a list"]],
  ["{}", ["1:1: services is missing"]],
  ["services:", ["1:1: services: a mapping is expected, not null"]],
  ["services: {a: {}}", ["1:12: services.a: image is missing"]],
  [
    "services: {a: {build: .}}",
    [
      "1:16: not supported by berth: services.a.build: without an image: build it elsewhere, push it and name it in image",
    ],
  ],
  [
    "services: {a: {image: x, container_name: app-b-1}, b: {image: x}}",
    [
      '1:26: app/a: the container name "app-b-1" is already that of app/b: give one of them another name',
    ],
  ],
  [
    "services: {a: {image: x, depends_on: [b]}, b: {image: x, profiles: [p]}}",
    [
      '1:39: services.a.depends_on: the service "b" does not run here, by its profiles or constraints',
    ],
  ],
  ["services: {a: }", ["1:12: services.a: a mapping is expected, not null"]],
  [
    "services: {'a b': {image: x}}",
    ['1:12: services: "a b" is not a name: letters, digits, . _ - are expected, 63 at most'],
  ],
  [
    "service: {}",
    [
      '1:1: service: Compose knows no such key; did you mean "services"?',
      "1:1: services is missing",
    ],
  ],
  [
    "name: .\nservices: {}",
    [
      '1:7: name: "." is not a name for an app: lower-case letters, digits, - and _, beginning with a letter or digit',
    ],
  ],
  [
    "services: {}\nvolumes: {v: {driver: nfs}}",
    ['2:23: not supported by berth: volumes.v.driver: "nfs": local is the only driver'],
  ],
  [
    "services: {a: {image: A, tty: 1}, b: {image: x, user: 1}}",
    [
      '1:23: services.a.image: "A" is not an image reference such as nginx:1.27 or registry.example:5000/team/web@sha256:…',
      "1:31: services.a.tty: a boolean or a string is expected, not a number",
      "1:55: services.b.user: a string is expected, not a number: write it in quotes",
    ],
  ],
  [
    "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: {c: {condition: service_healthy}}}\n  c: {image: x, depends_on: [a], healthcheck: {disable: true}}",
    [
      '3:30: services.b.depends_on: "c" can never be healthy: its healthcheck is switched off',
      "4:30: services.c.depends_on: the dependencies go round in a circle: a -> b -> c -> a",
    ],
  ],
];

for (const [text, expected] of documents) {
  test(`names every error of ${JSON.stringify(text)}`, async (t) => {
    const errors = await errorsOf({ "app/compose.yaml": text });
    t.deepEqual(
      errors.map((error) => error.replace(/^app\/compose\.yaml:/, "")),
      expected,
    );
  });
}

test("a wrong element of a list hides no mistake of its neighbours, and all keep their places", async (t) => {
  const errors = await errorsOf({
    "a/compose.yaml": `services:
  a:
    image: x:1
    volumes: ["nope:/y", "./rel:/x", "nope3:/z"]
    ports: ["8080:80", "bad::port::x", "8080:81"]
`,
  });
  t.deepEqual(
    errors.map((error) => error.split(": ", 2)[0]),
    ["4:15", "4:26", "4:38", "5:24", "5:40"].map((place) => `a/compose.yaml:${place}`),
  );
});
