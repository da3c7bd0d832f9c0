import type { Report } from "../diagnostics.ts";
import type { Position } from "../yaml/node.ts";
import { type LoadedApp, type LoadRequest, loadApp } from "./load-app.ts";

type Finding = {
  readonly kind: "error" | "warn";
  readonly at: Position;
  readonly message: string;
};

/** One loading of an app, and all that decided how it went. */
type Loading = {
  readonly app: LoadedApp | undefined;
  readonly findings: readonly Finding[];
  /** Variables of the host that were asked for, with the answers. */
  readonly answers: ReadonlyMap<string, string | undefined>;
  /** The host's name or labels decided something. */
  readonly isOfHost: boolean;
  /** What it takes of the budget. */
  readonly bytes: number;
  readonly expansion: number;
};

/**
 * Loads the apps of one revision for one host after the other. An app that no answer would make another one is loaded
 * once: what was found in it is told to each host's report again, and counts against each host's budgets.
 */
export class SharedApps {
  /** By what a source says apart from its variables; the newest first. */
  readonly #known = new Map<string, readonly Loading[]>();

  /** As `loadApp`. */
  async load(request: LoadRequest): Promise<LoadedApp | undefined> {
    const { variables, ...rest } = request.source;
    const key = JSON.stringify(rest);
    const known = this.#known.get(key) ?? [];
    const same = known.find(
      ({ isOfHost, answers }) =>
        !isOfHost && [...answers].every(([name, value]) => variables?.get(name) === value),
    );
    if (same !== undefined && countAgain(same, request)) {
      for (const { kind, at, message } of same.findings) request.report[kind](at, message);
      return same.app;
    }
    const loading = await loadRecorded(request);
    this.#known.set(key, [loading, ...known].slice(0, variantsKept));
    return loading.app;
  }
}

/** Apps that are another one on every host are not worth keeping. */
const variantsKept = 2;
const findingsMax = 2_000;

function countAgain({ bytes, expansion }: Loading, { budget }: LoadRequest): boolean {
  if (budget.bytesLeft < bytes || budget.expansionLeft < expansion) return false;
  budget.bytesLeft -= bytes;
  budget.expansionLeft -= expansion;
  return true;
}

async function loadRecorded(request: LoadRequest): Promise<Loading> {
  const { source, host, budget, report } = request;
  const answers = new Map<string, string | undefined>();
  const variables = {
    get: (name: string) => {
      const value = source.variables?.get(name);
      answers.set(name, value);
      return value;
    },
  };
  let isOfHost = false;
  const asked = {
    get name() {
      isOfHost = true;
      return host.name;
    },
    get labels() {
      isOfHost = true;
      return host.labels;
    },
  };
  const findings: Finding[] = [];
  const tell = (kind: Finding["kind"]) => (at: Position, message: string) => {
    if (findings.length < findingsMax) findings.push({ kind, at, message });
    report[kind](at, message);
  };
  const own: Report = { error: tell("error"), warn: tell("warn") };
  const before = { ...budget };
  const app = await loadApp({
    ...request,
    source: { ...source, variables },
    host: asked,
    report: own,
  });
  return {
    app,
    findings,
    answers,
    isOfHost,
    bytes: before.bytesLeft - budget.bytesLeft,
    expansion: before.expansionLeft - budget.expansionLeft,
  };
}
