import test from "ava";
import type { App } from "../../manifests/desired-state.ts";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import { compile, errorsOf } from "./compile.ts";

async function appOf(yaml: string): Promise<App> {
  const result = await compile({ "app/compose.yaml": yaml });
  if (!result.ok) throw new Error(result.errors.map(formatDiagnostic).join("\n"));
  const [app] = result.desired.apps;
  if (app === undefined) throw new Error("there is no app");
  return app;
}

test("a service is on the networks that it names, with addresses and ranks", async (t) => {
  const app = await appOf(`
services:
  a: {image: x, networks: [front, back]}
  b:
    image: x
    networks:
      default:
      back: {aliases: [db], ipv4_address: 10.9.0.5, mac_address: 02-42-AC-11-65-43, priority: 5}
      front: {gw_priority: 1}
  c: {image: x}
networks:
  front: {name: shared, external: true}
  back:
    driver: bridge
    internal: true
    attachable: true
    driver_opts: {com.docker.network.bridge.enable_icc: "true"}
    ipam: {driver: default, config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1, ip_range: 10.9.0.128/25, aux_addresses: {router: 10.9.0.9}}]}
  unused: {driver: bridge}
`);
  t.deepEqual(app.networks, {
    back: {
      name: "app_back",
      internal: true,
      labels: {},
      addresses: {
        subnet: "10.9.0.0/24",
        gateway: "10.9.0.1",
        range: "10.9.0.128/25",
        reserved: ["10.9.0.5", "10.9.0.9"],
      },
    },
    default: { name: "app_default", internal: false, labels: {} },
    front: { name: "shared", internal: false, labels: {}, external: true },
  });
  const [a, b, c] = app.services;
  t.deepEqual(a?.networks, { front: [], back: [] });
  t.deepEqual(b?.networks, { default: [], back: ["db"], front: [] });
  t.deepEqual(b?.endpoints, {
    back: { ipv4Address: "10.9.0.5", macAddress: "02:42:ac:11:65:43", priority: 5 },
    front: { gatewayPriority: 1 },
  });
  t.deepEqual(c?.networks, { default: [] });
});

test("mac_address of a service is that of its first network", async (t) => {
  const app = await appOf(
    "services: {a: {image: x, mac_address: '02:42:00:00:00:01', networks: {b: {priority: 1}, a: }}}\nnetworks: {a: , b: }",
  );
  t.deepEqual(app.services[0]?.endpoints, {
    b: { priority: 1, macAddress: "02:42:00:00:00:01" },
  });
});

test("volumes with options are bind mounts and tmpfs, and need no directory", async (t) => {
  const app = await appOf(`
services:
  a: {image: x, volumes: ["host:/h", "fast:/f:ro", {type: volume, source: data, target: /d, volume: {subpath: a/b}}]}
  b: {image: x, volumes: ["/srv:/s:rshared,cached", "host:/h:ro"]}
volumes:
  host: {driver: local, driver_opts: {type: none, o: bind, device: /srv/host}}
  fast: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=1m,uid=1000"}}
  data: {external: {name: old}}
`);
  t.deepEqual(app.volumes, { data: { name: "old", labels: {}, external: true } });
  const bind = { type: "bind", source: "/srv/host", target: "/h", createHostPath: false } as const;
  t.deepEqual(app.services[0]?.mounts, [
    { ...bind, readOnly: false },
    { type: "tmpfs", target: "/f", sizeBytes: 1_048_576, uid: 1000, readOnly: true },
    {
      type: "volume",
      volume: "data",
      target: "/d",
      readOnly: false,
      copy: false,
      subpath: "a/b",
    },
  ]);
  t.deepEqual(app.services[1]?.mounts, [
    {
      type: "bind",
      source: "/srv",
      target: "/s",
      readOnly: false,
      createHostPath: true,
      propagation: "rshared",
    },
    { ...bind, readOnly: true },
  ]);
});

test("volumes_from brings the mounts of another service, and of those that it borrows from", async (t) => {
  const app = await appOf(`
services:
  a: {image: x, volumes: [/cache, "data:/d"]}
  b: {image: x, volumes_from: ["a:ro"], volumes: ["own:/d"]}
  c: {image: x, volumes_from: [b]}
volumes: {data: , own: }
`);
  const mount = (volume: string, target: string, readOnly: boolean) =>
    ({ type: "volume", volume, target, readOnly, copy: true }) as const;
  t.deepEqual(app.services[2]?.mounts, [
    mount("own", "/d", false),
    mount("a:/cache", "/cache", true),
  ]);
  t.deepEqual(app.services[2]?.dependsOn, {
    b: { condition: "service_started", required: true, restart: false },
  });
  t.deepEqual(Object.keys(app.volumes), ["a:/cache", "data", "own"]);
});

/** Files -> errors without the file's name. */
const wrong: readonly (readonly [string, readonly string[]])[] = [
  [
    "services: {a: {image: x, networks: [fornt]}}\nnetworks: {front: }",
    [
      '1:37: services.a.networks: the network "fornt" is not declared in networks; did you mean "front"?',
    ],
  ],
  [
    "services: {a: {image: x, networks: {n: {ipv4_address: 10.0.0.2}}}}\nnetworks: {n: }",
    [
      "1:41: services.a.networks.n.ipv4_address: the network has no subnet of its own: set networks.n.ipam.config",
    ],
  ],
  [
    "services: {a: {image: x, scale: 2, networks: {n: {ipv4_address: 10.1.0.2}}}}\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/16}]}}}",
    [
      "1:51: services.a.networks.n.ipv4_address: 10.1.0.2 does not lie in 10.0.0.0/16",
      "1:51: services.a.networks.n.ipv4_address: 2 replicas cannot share it",
    ],
  ],
  [
    "services: {}\nnetworks: {n: {driver: overlay, enable_ipv6: true, driver_opts: {mtu: 9000}, ipam: {config: [{subnet: fd00::/64}, {gateway: 10.0.0.1}]}}}",
    [
      '2:24: not supported by berth: networks.n.driver: "overlay": bridge is the only driver',
      "2:46: not supported by berth: networks.n.enable_ipv6: IPv6 in a network: remove it",
      "2:71: not supported by berth: networks.n.driver_opts.mtu: this option of a driver: remove it",
      "2:103: not supported by berth: networks.n.ipam.config[0].subnet: the IPv6 subnet fd00::/64",
      "2:125: networks.n.ipam.config[1].gateway: it needs a subnet beside it",
    ],
  ],
  [
    "services: {}\nvolumes: {v: {driver_opts: {type: nfs, o: addr=10.0.0.1, device: ':/x'}}}",
    [
      "2:35: not supported by berth: volumes.v.driver_opts.type: a volume of type nfs: mount it on the host and bind-mount it (type: none, o: bind), or use tmpfs",
    ],
  ],
  [
    "services: {a: {image: x, volumes: ['v:/a'], scale: 2}}\nvolumes: {v: {driver_opts: {type: tmpfs}}}",
    [
      "2:15: not supported by berth: volumes.v: a tmpfs that 2 containers share: use a volume without options",
    ],
  ],
  [
    "services: {a: {image: x, volumes_from: [b, 'container:c']}}",
    [
      "1:44: not supported by berth: services.a.volumes_from[1]: volumes of a container that is no service: name the volumes",
      '1:41: services.a.volumes_from[0]: there is no service "b"; did you mean "a"?',
    ].sort(),
  ],
  [
    "services: {a: {image: x, volumes: [{type: volume, source: v, target: /a, volume: {subpath: ../b}}]}}\nvolumes: {v: }",
    [
      '1:92: services.a.volumes[0].volume.subpath: "../b" is not a path below the volume\'s root, without . and ..',
    ],
  ],
];

for (const [yaml, expected] of wrong) {
  test(`names what is wrong in ${JSON.stringify(yaml)}`, async (t) => {
    const errors = await errorsOf({ "app/compose.yaml": yaml });
    t.deepEqual(
      errors.map((error) => error.replace(/^app\/compose\.yaml:/, "")),
      expected,
    );
  });
}

test("a network has one owner", async (t) => {
  const yaml = "services: {a: {image: x}}\nnetworks: {default: {name: shared}}";
  t.deepEqual(await errorsOf({ "a/compose.yaml": yaml, "b/compose.yaml": yaml }), [
    'b/compose.yaml:2:12: networks.default: the network "shared" is already that of a: say external: true here',
  ]);
});
