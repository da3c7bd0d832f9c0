import { randomBytes } from "node:crypto";
import { helperPath } from "../helper/helper-path.ts";
import { Launcher } from "../helper/launcher.ts";
import type { HostFeature } from "../host-features.ts";
import type { Log } from "../runtime.ts";
import {
  type NetlinkTransact,
  NetlinkWriter,
  netlinkFamily,
  readAttributes,
} from "./netlink-message.ts";
import { NftBatch, nftDump, nftMessage, readNft, tableNameOf } from "./nfnetlink.ts";
import { removeTables, replaceTables } from "./nft-table.ts";
import { createBridge, deleteLink } from "./rtnetlink.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Tries out on this kernel what networks are made of; nothing stays. Starts a launcher of its own for that. */
export async function networkFeatures(): Promise<HostFeature[]> {
  const launcher = new Launcher({ helperPath, log: silent });
  try {
    await launcher.open();
    return await probeNetworkFeatures((request) => launcher.netlink(request));
  } finally {
    await launcher.close();
  }
}

async function probeNetworkFeatures(transact: NetlinkTransact): Promise<HostFeature[]> {
  return [await nftables(transact), await bridges(transact), ...(await foreignFilters(transact))];
}

/** Makes both tables and removes them in one transaction, so that nobody ever sees them. */
async function nftables(transact: NetlinkTransact): Promise<HostFeature> {
  const table = `berth-doctor-${randomBytes(4).toString("hex")}`;
  const batch = new NftBatch();
  replaceTables(batch, table, { group: 1, guardForwarding: true, metadataAddress: false });
  removeTables(batch, table);
  const { netfilter: family } = netlinkFamily;
  const failure = await refusal(transact({ family, messages: batch.finish(), replies: false }));
  const [name, required] = ["nftables", true];
  if (failure === undefined) {
    return { name, ok: true, required, detail: "port maps, NAT and bridge rules work" };
  }
  const fix =
    "modprobe -a nf_tables nft_chain_nat nft_masq nft_fib_ipv4 nft_ct, or use a kernel with " +
    "CONFIG_NF_TABLES, CONFIG_NF_TABLES_IPV4, CONFIG_NF_TABLES_BRIDGE, CONFIG_NFT_NAT, CONFIG_NFT_FIB_IPV4";
  return { name, ok: false, required, detail: failure, fix };
}

async function bridges(transact: NetlinkTransact): Promise<HostFeature> {
  const link = `bprobe${randomBytes(4).toString("hex")}`;
  const writer = new NetlinkWriter();
  createBridge(writer, { name: link, mac: "02:be:00:00:00:01", group: 1 });
  deleteLink(writer, link);
  const { route: family } = netlinkFamily;
  const failure = await refusal(transact({ family, messages: writer.finish(), replies: false }));
  const [name, required] = ["bridge", true];
  if (failure === undefined) return { name, ok: true, required, detail: "bridges can be made" };
  return { name, ok: false, required, detail: failure, fix: "modprobe -a bridge veth" };
}

/** Another table's verdict to drop a forwarded packet stands, whatever ours says. */
async function foreignFilters(transact: NetlinkTransact): Promise<HostFeature[]> {
  const [policyDrop, forwardHook] = [0, 2];
  const messages = nftDump(nftMessage.getChain, "any");
  const { netfilter: family } = netlinkFamily;
  const reply = await transact({ family, messages, replies: true }).catch(() => undefined);
  if (reply === undefined) return [];
  const chains = readNft(reply, nftMessage.newChain);
  const dropping = chains.filter(
    (chain) =>
      chainHookNumber(chain) === forwardHook && chain.get(5)?.readUInt32BE() === policyDrop,
  );
  const tables = new Set(dropping.map(tableNameOf));
  if (chains.some((chain) => tableNameOf(chain) === "firewalld")) tables.add("firewalld");
  const [name, required] = ["forwarding", false];
  if (tables.size === 0) {
    return [{ name, ok: true, required, detail: "no other nft table drops forwarded packets" }];
  }
  const fix =
    "let the other firewall accept packets from and to the instance's bridges " +
    "(Docker: the DOCKER-USER chain; firewalld: the bridges in the trusted zone)";
  const detail = `containers may not reach or be reached from outside: ${[...tables].join(", ")}`;
  return [{ name, ok: false, required, detail, fix }];
}

function chainHookNumber(chain: ReadonlyMap<number, Buffer>): number | undefined {
  const hook = chain.get(4);
  return hook === undefined ? undefined : readAttributes(hook).get(1)?.readUInt32BE();
}

async function refusal(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
