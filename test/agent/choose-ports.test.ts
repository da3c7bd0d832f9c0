import test from "ava";
import { choosePorts, exposedPorts } from "../../agent/control/choose-ports.ts";

const nobody = { listeners: [], published: [] };

test("a port without one of the host gets the first that nobody has", (t) => {
  const listeners = [{ protocol: "tcp", port: 49_152, address: undefined }] as const;
  const published = [
    { hostIp: "127.0.0.1", hostPort: 49_153, containerPort: 1, protocol: "tcp" },
  ] as const;
  t.deepEqual(choosePorts(["80", "80/udp"], { listeners, published }), [
    "0.0.0.0:49154:80/tcp",
    "0.0.0.0:49152:80/udp",
  ]);
});

test("ports that other entries of the list name are passed over, whatever stands first", (t) => {
  t.deepEqual(choosePorts(["127.0.0.1::81", "49152-49153:8000-8001", "7-8"], nobody), [
    "127.0.0.1:49154:81/tcp",
    "49152-49153:8000-8001",
    "0.0.0.0:49155:7/tcp",
    "0.0.0.0:49156:8/tcp",
  ]);
});

test("what is no port is left for the manifest to refuse, and no port left is said", (t) => {
  const strange = ["8080:80", "web", "99999", "80/sctp", { target: 80 }];
  t.deepEqual(choosePorts(strange, nobody), strange);
  const published = Array.from({ length: 16_384 }, (_, index) => ({
    hostIp: "0.0.0.0",
    hostPort: 49_152 + index,
    containerPort: 80,
    protocol: "tcp" as const,
  }));
  t.throws(() => choosePorts(["80"], { listeners: [], published }), { message: /name one below/ });
});

test("what is exposed and not published yet is to be published, once", (t) => {
  const published = [{ containerPort: 80, protocol: "tcp" }] as const;
  t.deepEqual(exposedPorts(["80", "80/tcp", "80/udp", "90-91/tcp", "90", "x"], published), [
    "80/udp",
    "90/tcp",
    "91/tcp",
  ]);
});
