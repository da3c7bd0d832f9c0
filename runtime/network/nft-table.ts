import { createHash } from "node:crypto";
import { messageFlag, readText } from "./netlink-message.ts";
import {
  NftBatch,
  type NftFamily,
  nftDump,
  nftFamily,
  nftMessage,
  readNft,
  tableNameOf,
} from "./nfnetlink.ts";
import {
  type ChainDefinition,
  chainDefinitions,
  dataType,
  type RulesetOptions,
  type SetDefinition,
  setDefinitions,
} from "./ruleset.ts";

const [setConcatenation, setInterval, setMap] = [0x80, 0x4, 0x8];
const typeBits = 6;
/** NFTNL_UDATA_SET_KEYBYTEORDER = host: without it nft lists the interface names backwards. */
const keyInHostOrder = Buffer.of(0, 4, 1, 0, 0, 0);
const policyAccept = 1;
const listElement = 1;
const chainName = 3;
const [chainHook, chainPolicy, chainType] = [4, 5, 7];
const [ruleChain, ruleHandle, ruleExpressions] = [2, 3, 4];
const tables = Object.values(nftFamily);

/** Removes the tables of that name, whether or not they are there. */
export function removeTables(batch: NftBatch, table: string): void {
  for (const family of tables) {
    newTable(batch, family, table);
    batch.change(nftMessage.deleteTable, family, 0, (writer) => writer.attributeString(1, table));
  }
}

/** Makes both tables anew, without elements; what stood there under that name goes in the same transaction. */
export function replaceTables(batch: NftBatch, table: string, options: RulesetOptions): void {
  removeTables(batch, table);
  for (const family of tables) newTable(batch, family, table);
  for (const [index, set] of setDefinitions.entries()) newSet(batch, table, set, index + 1);
  const chains = chainDefinitions(options);
  for (const chain of chains) newChain(batch, table, chain);
  for (const chain of chains) newRules(batch, table, chain);
}

/** A digest of what `replaceTables` asks for: it differs when the rules of this version or the options do. */
export function rulesetDigest(table: string, options: RulesetOptions): string {
  const batch = new NftBatch();
  replaceTables(batch, table, options);
  return createHash("sha256").update(batch.finish()).digest("hex");
}

/** What `readFingerprint` needs to see: two dumps per family. */
export function fingerprintRequests(table: string): readonly Buffer[] {
  return tables.flatMap((family) => [
    nftDump(nftMessage.getChain, family, table),
    nftDump(nftMessage.getRule, family, table),
  ]);
}

/**
 * A digest of the chains and rules as the kernel shows them, handles included, so that a table someone else made
 * anew has another one. Undefined when there is no rule at all.
 */
export function readFingerprint(table: string, replies: readonly Buffer[]): string | undefined {
  const hash = createHash("sha256");
  let rules = 0;
  for (const reply of replies) {
    for (const chain of readNft(reply, nftMessage.newChain)) {
      if (tableNameOf(chain) !== table) continue;
      for (const type of [2, chainName, chainHook, chainPolicy, chainType]) {
        hash.update(`${type}:`).update(chain.get(type) ?? "");
      }
    }
    for (const rule of readNft(reply, nftMessage.newRule)) {
      if (tableNameOf(rule) !== table) continue;
      rules += 1;
      hash.update(readText(rule.get(ruleChain)));
      hash.update(rule.get(ruleHandle) ?? "").update(rule.get(ruleExpressions) ?? "");
    }
  }
  return rules === 0 ? undefined : hash.digest("hex");
}

/** Length of a concatenation of these types: each is padded to a register of four bytes. */
export function paddedLength(types: SetDefinition["key"]): number {
  return types.reduce((bytes, type) => bytes + registersOf(type.bytes), 0);
}

export function registersOf(bytes: number): number {
  return (bytes + 3) & ~3;
}

function newTable(batch: NftBatch, family: NftFamily, table: string): void {
  batch.change(nftMessage.newTable, family, messageFlag.create, (writer) =>
    writer.attributeString(1, table).attributeU32be(2, 0),
  );
}

function newSet(batch: NftBatch, table: string, set: SetDefinition, id: number): void {
  const isConcatenation = set.key.length > 1;
  const flags =
    (isConcatenation ? setConcatenation : 0) |
    (set.interval ? setInterval : 0) |
    (set.data === undefined ? 0 : setMap);
  batch.change(nftMessage.newSet, set.family, messageFlag.create, (writer) => {
    writer
      .attributeString(1, table)
      .attributeString(2, set.name)
      .attributeU32be(3, flags)
      .attributeU32be(4, typeNumber(set.key))
      .attributeU32be(5, paddedLength(set.key));
    if (set.data !== undefined) {
      writer.attributeU32be(6, typeNumber(set.data)).attributeU32be(7, paddedLength(set.data));
    }
    if (isConcatenation) {
      // NFTA_SET_DESC with the length of every field: intervals need it, listings read it.
      writer.nested(9, () =>
        writer.nested(2, () => {
          for (const field of set.key) {
            writer.nested(listElement, () => writer.attributeU32be(1, field.bytes));
          }
        }),
      );
    }
    writer.attributeU32be(10, id);
    if (set.key.length === 1 && set.key[0]?.id === dataType.interface.id) {
      writer.attributeBytes(13, keyInHostOrder);
    }
  });
}

function typeNumber(types: SetDefinition["key"]): number {
  return types.reduce((number, type) => (number << typeBits) | type.id, 0);
}

function newChain(batch: NftBatch, table: string, chain: ChainDefinition): void {
  const { hook } = chain;
  batch.change(nftMessage.newChain, chain.family, messageFlag.create, (writer) => {
    writer.attributeString(1, table).attributeString(chainName, chain.name);
    if (hook === undefined) return;
    writer
      .nested(chainHook, () =>
        writer.attributeU32be(1, hook.number).attributeU32be(2, hook.priority >>> 0),
      )
      .attributeU32be(chainPolicy, policyAccept)
      .attributeString(chainType, hook.type);
  });
}

function newRules(batch: NftBatch, table: string, chain: ChainDefinition): void {
  const flags = messageFlag.create | messageFlag.append;
  for (const rule of chain.rules) {
    batch.change(nftMessage.newRule, chain.family, flags, (writer) =>
      writer
        .attributeString(1, table)
        .attributeString(ruleChain, chain.name)
        .nested(ruleExpressions, () => {
          for (const step of rule) {
            writer.nested(listElement, () =>
              writer.attributeString(1, step.name).nested(2, () => step.write(writer)),
            );
          }
        }),
    );
  }
}
