import test from "ava";
import * as fc from "fast-check";
import { parseSocketTable } from "../../runtime/network/listening-sockets.ts";
import {
  NetlinkWriter,
  readAttributeList,
  readAttributes,
  readMessages,
} from "../../runtime/network/netlink-message.ts";
import { NftBatch, nftFamily, readElements } from "../../runtime/network/nfnetlink.ts";
import { portElement, readPortElement } from "../../runtime/network/published-ports.ts";
import { createVeth, linkAttribute, routeMessage } from "../../runtime/network/rtnetlink.ts";
import { readAddresses, readLinks, readRoutes } from "../../runtime/network/rtnetlink-dump.ts";

const attribute = fc.record({
  type: fc.integer({ min: 0, max: 0x3fff }),
  value: fc.uint8Array({ maxLength: 3000 }),
});

test("messages and attributes are read back as they were written", (t) => {
  const messages = fc.array(
    fc.record({ type: fc.integer({ min: 16, max: 0xffff }), attributes: fc.array(attribute) }),
  );
  fc.assert(
    fc.property(messages, (written) => {
      const writer = new NetlinkWriter();
      for (const { type, attributes } of written) {
        writer.begin(type, 1);
        for (const { type, value } of attributes) writer.attributeBytes(type, value);
      }
      const read = readMessages(writer.finish());
      t.deepEqual(
        read.map(({ type, sequence, payload }) => ({
          type,
          sequence,
          attributes: readAttributeList(payload).map((found) => ({
            type: found.type,
            value: new Uint8Array(found.value),
          })),
        })),
        written.map((message, index) => ({ ...message, sequence: index + 1 })),
      );
    }),
  );
});

test("no reply, however broken, is read beyond its end", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const buffer = Buffer.from(bytes);
      for (const read of [readMessages, readAttributeList, readLinks, readAddresses, readRoutes]) {
        try {
          read(buffer);
        } catch (error) {
          t.true(error instanceof RangeError, String(error));
        }
      }
    }),
  );
});

test("an attribute that does not fit its length field is refused", (t) => {
  const writer = new NetlinkWriter().begin(16, 1);
  t.throws(() => writer.attributeBytes(1, Buffer.alloc(0xffff)), { instanceOf: RangeError });
});

test("the writer grows at any field", (t) => {
  for (let padding = 0; padding < 64; padding += 1) {
    const writer = new NetlinkWriter().begin(16, 1).raw(Buffer.alloc(960 + padding));
    for (let index = 0; index < 20; index += 1) writer.u32be(index);
    const bytes = writer.finish();
    const start = 16 + 960 + padding;
    t.is(bytes.readUInt32LE(0), start + 80);
    for (let index = 0; index < 20; index += 1) t.is(bytes.readUInt32BE(start + index * 4), index);
  }
});

test("elements of every number survive a batch", (t) => {
  for (const count of [0, 1, 399, 400, 401, 1234]) {
    const elements = Array.from({ length: count }, (_, index) => {
      const key = Buffer.alloc(8);
      key.writeUInt32BE(index);
      return { key, data: Buffer.alloc(8, index & 0xff) };
    });
    const batch = new NftBatch();
    batch.addElements({ family: nftFamily.ip, table: "t", set: "s" }, elements);
    t.is(batch.isEmpty, count === 0);
    t.deepEqual(readElements(batch.finish()), elements);
  }
});

test("a published port is read back from its element", (t) => {
  const port = fc.integer({ min: 1, max: 0xffff });
  fc.assert(
    fc.property(
      fc.record({
        hostIp: fc.ipV4(),
        hostPort: port,
        containerPort: port,
        protocol: fc.constantFrom("tcp", "udp"),
        address: fc.ipV4(),
      }),
      (route) => {
        const { set, element } = portElement(route);
        t.is(set, route.hostIp === "0.0.0.0" ? "published_any" : "published");
        t.deepEqual(readPortElement(set, element), route);
      },
    ),
  );
});

test("the pid of a container's init goes where its namespace is named", (t) => {
  const writer = new NetlinkWriter();
  const patchOffset = createVeth(writer, {
    hostName: "vhost-1",
    hostIndex: 0x40000001,
    peerName: "eth0",
    peerIndex: 1000,
    peerMac: "02:be:0a:d2:00:02",
    bridgeIndex: 7,
    group: 42,
    ipv6: true,
  });
  const messages = writer.finish();
  messages.writeUInt32LE(0x12345678, patchOffset);
  const [create] = readMessages(messages);
  t.is(create?.type, routeMessage.newLink);
  const nested = [linkAttribute.linkInfo, 2, 1];
  let attributes = readAttributes(create?.payload.subarray(16) ?? Buffer.alloc(0));
  for (const [depth, type] of nested.entries()) {
    // The peer's attributes come after a struct ifinfomsg of its own.
    const value = attributes.get(type)?.subarray(depth === nested.length - 1 ? 16 : 0);
    attributes = readAttributes(value ?? Buffer.alloc(0));
  }
  t.is(attributes.get(linkAttribute.netNsPid)?.readUInt32LE(), 0x12345678);
});

test("sockets that wait are found in the kernel's tables, others are not", (t) => {
  const header =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";
  const rest = "00000000:00000000 00:00000000 00000000     0        0";
  const tcp4 = [
    `   0: 0100007F:1F90 00000000:0000 0A ${rest} 77 1`,
    `   1: 00000000:0050 00000000:0000 0A ${rest} 78 1`,
    `   2: 0100007F:1F90 0100007F:C350 01 ${rest} 79 1`,
  ];
  t.deepEqual(parseSocketTable([header, ...tcp4, ""].join("\n"), "tcp"), [
    { protocol: "tcp", address: "127.0.0.1", port: 8080, inode: 77 },
    { protocol: "tcp", address: "0.0.0.0", port: 80, inode: 78 },
  ]);
  const zero = "0".repeat(32);
  const tcp6 = [
    `   0: ${zero}:0016 ${zero}:0000 0A ${rest} 80 1`,
    `   1: 0000000000000000FFFF00000100007F:0017 ${zero}:0000 0A ${rest} 81 1`,
    `   2: 00000000000000000000000001000000:0018 ${zero}:0000 0A ${rest} 82 1`,
  ];
  t.deepEqual(parseSocketTable([header, ...tcp6].join("\n"), "tcp"), [
    { protocol: "tcp", address: "0.0.0.0", port: 22, inode: 80 },
    { protocol: "tcp", address: "127.0.0.1", port: 23, inode: 81 },
  ]);
});
