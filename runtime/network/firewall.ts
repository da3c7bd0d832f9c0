import { errnoOf, type NetlinkTransact, netlinkFamily } from "./netlink-message.ts";
import {
  dumpElements,
  NftBatch,
  nftFamily,
  nftGet,
  nftMessage,
  readElements,
  readGeneration,
  type SetElement,
  type SetReference,
} from "./nfnetlink.ts";
import {
  fingerprintRequests,
  readFingerprint,
  removeTables,
  replaceTables,
  rulesetDigest,
} from "./nft-table.ts";
import type { NamedElement } from "./published-ports.ts";
import {
  type RulesetOptions,
  type SetDefinition,
  type SetName,
  setDefinitions,
} from "./ruleset.ts";

/** What should be in the sets, derived from the inventory each time it is asked for. */
export type ExpectedElements = () => readonly NamedElement[];

export type FirewallOptions = {
  readonly instance: string;
  /** What the rules should be now. */
  readonly ruleset: () => RulesetOptions;
  readonly transact: NetlinkTransact;
  readonly expected: ExpectedElements;
  /** Keeps a digest of the rules as they were asked for and as the kernel showed them when they were made. */
  readonly fingerprint: { read(): string | undefined; write(value: string): void };
};

export type SetDifference = {
  readonly set: SetName;
  /** Expected, and not in the kernel with that data. */
  readonly missing: readonly SetElement[];
  /** In the kernel, and not expected with that data. */
  readonly foreign: readonly SetElement[];
};

export type FirewallState = {
  /** The rules are as they were made. */
  readonly intact: boolean;
  readonly differences: readonly SetDifference[];
  readonly elements: ReadonlyMap<SetName, readonly SetElement[]>;
};

/** What was found well, at which generation of the kernel's rules, and what they should have been. */
type Verified = {
  readonly generation: number;
  readonly wanted: string;
  readonly state: FirewallState;
};

const enoent = 2;
/** The kernel's element is not what the inventory said: ENOENT, EBUSY, EEXIST. */
const outOfStep: ReadonlySet<number | undefined> = new Set([enoent, 16, 17]);

/**
 * The instance's two nft tables. Not safe against itself: callers run one method at a time, so that the inventory
 * and the kernel are compared at rest.
 */
export class Firewall {
  readonly #options: FirewallOptions;
  #verified: Verified | undefined;

  constructor(options: FirewallOptions) {
    this.#options = options;
  }

  /** One transaction. When the kernel does not hold what the inventory said, the whole is compared and put right. */
  async change(changes: {
    readonly remove: readonly NamedElement[];
    readonly add: readonly NamedElement[];
  }): Promise<void> {
    const batch = new NftBatch();
    for (const [set, elements] of bySet(changes.remove)) {
      batch.deleteElements(this.#reference(set), elements);
    }
    for (const [set, elements] of bySet(changes.add)) {
      batch.addElements(this.#reference(set), elements);
    }
    if (batch.isEmpty) return;
    try {
      await this.#send(batch);
    } catch (error) {
      if (!outOfStep.has(errnoOf(error))) throw error;
      await this.settle();
    }
  }

  /** Makes the kernel hold exactly what is expected: missing rules mean a new table, else elements are changed. */
  async settle(): Promise<void> {
    const state = await this.#inspect();
    if (!state.intact) {
      await this.#build();
      return;
    }
    const batch = new NftBatch();
    for (const { set, foreign } of state.differences) {
      batch.deleteElements(this.#reference(set), foreign);
    }
    for (const { set, missing } of state.differences) {
      batch.addElements(this.#reference(set), missing);
    }
    if (!batch.isEmpty) await this.#send(batch);
  }

  /** Compares; one message where nobody changed any ruleset since the last comparison that found all well. */
  async observe(): Promise<FirewallState> {
    const generation = await this.#generation();
    const wanted = JSON.stringify(this.#options.ruleset());
    const verified = this.#verified;
    if (verified?.generation === generation && verified?.wanted === wanted) return verified.state;
    const state = await this.#inspect();
    const isClean = state.intact && state.differences.length === 0;
    this.#verified =
      isClean && generation !== undefined ? { generation, wanted, state } : undefined;
    return state;
  }

  async elements(set: SetName): Promise<readonly SetElement[]> {
    return (await this.#dumpSet(this.#reference(set))) ?? [];
  }

  /** Idempotent. */
  async destroy(): Promise<void> {
    const batch = new NftBatch();
    removeTables(batch, this.#options.instance);
    await this.#send(batch);
  }

  async #build(): Promise<void> {
    const { instance, ruleset, expected, fingerprint } = this.#options;
    const batch = new NftBatch();
    replaceTables(batch, instance, ruleset());
    for (const [set, elements] of bySet(expected())) {
      batch.addElements(this.#reference(set), elements);
    }
    await this.#send(batch);
    const made = await this.#fingerprint();
    if (made === undefined) {
      throw new Error(`cannot make nft table ${instance}: it vanished as soon as it was made`);
    }
    fingerprint.write(made);
  }

  async #inspect(): Promise<FirewallState> {
    const [fingerprint, ...dumps] = await Promise.all([
      this.#fingerprint(),
      ...setDefinitions.map((set) => this.#dumpSet(this.#reference(set.name))),
    ]);
    const elements = new Map(setDefinitions.map((set, index) => [set.name, dumps[index] ?? []]));
    const wanted = bySet(this.#options.expected());
    const differences = setDefinitions.flatMap((set) => {
      const difference = compare(set, wanted.get(set.name) ?? [], elements.get(set.name) ?? []);
      return difference.missing.length + difference.foreign.length === 0 ? [] : difference;
    });
    const intact =
      fingerprint !== undefined &&
      fingerprint === this.#options.fingerprint.read() &&
      !dumps.includes(undefined);
    return { intact, differences, elements };
  }

  async #fingerprint(): Promise<string | undefined> {
    const { instance } = this.#options;
    const replies = await Promise.all(
      fingerprintRequests(instance).map((messages) => this.#ask(messages)),
    );
    const present = replies.filter((reply) => reply !== undefined);
    if (present.length < replies.length) return undefined;
    const shown = readFingerprint(instance, present);
    const wanted = rulesetDigest(instance, this.#options.ruleset());
    return shown === undefined ? undefined : `${wanted} ${shown}`;
  }

  async #generation(): Promise<number | undefined> {
    const reply = await this.#ask(nftGet(nftMessage.getGeneration, nftFamily.ip));
    return reply === undefined ? undefined : readGeneration(reply);
  }

  async #dumpSet(set: SetReference): Promise<SetElement[] | undefined> {
    const reply = await this.#ask(dumpElements(set));
    return reply === undefined ? undefined : readElements(reply);
  }

  /** Undefined when what is asked about does not exist. */
  async #ask(messages: Buffer): Promise<Buffer | undefined> {
    try {
      return await this.#options.transact({
        family: netlinkFamily.netfilter,
        messages,
        replies: true,
      });
    } catch (error) {
      if (errnoOf(error) === enoent) return undefined;
      throw error;
    }
  }

  async #send(batch: NftBatch): Promise<void> {
    await this.#options.transact({
      family: netlinkFamily.netfilter,
      messages: batch.finish(),
      replies: false,
    });
  }

  #reference(name: SetName): SetReference {
    return { family: familyOf(name), table: this.#options.instance, set: name };
  }
}

export function isClean(state: FirewallState): boolean {
  return state.intact && state.differences.length === 0;
}

function familyOf(name: SetName): SetDefinition["family"] {
  return name === "pins" ? nftFamily.bridge : nftFamily.ip;
}

function bySet(elements: readonly NamedElement[]): Map<SetName, SetElement[]> {
  const sets = new Map<SetName, SetElement[]>();
  for (const { set, element } of elements) {
    const list = sets.get(set);
    if (list === undefined) sets.set(set, [element]);
    else list.push(element);
  }
  return sets;
}

function compare(
  { name }: SetDefinition,
  wanted: readonly SetElement[],
  found: readonly SetElement[],
): SetDifference {
  const wantedNames = new Set(wanted.map(elementName));
  const foundNames = new Set(found.map(elementName));
  return {
    set: name,
    missing: wanted.filter((element) => !foundNames.has(elementName(element))),
    foreign: found.filter((element) => !wantedNames.has(elementName(element))),
  };
}

function elementName({ key, keyEnd, data }: SetElement): string {
  const parts = [key, keyEnd, data].map((part) => part?.toString("latin1") ?? "");
  return parts.join("\u{100}");
}
