import type { FileReader } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import type { Position } from "../yaml/node.ts";
import { type LoadedApp, type LoadRequest, loadApp } from "./load-app.ts";
import { RecordedTrees, type TreeWish } from "./recorded-trees.ts";

type Finding = {
  readonly kind: "error" | "warn";
  readonly at: Position;
  readonly message: string;
};

/** One loading of an app, and all that decided how it went. */
export type Loading = {
  readonly app: LoadedApp | undefined;
  readonly findings: readonly Finding[];
  /** Variables of the host that were asked for, with the answers. */
  readonly answers: ReadonlyMap<string, string | undefined>;
  /** The host's name or labels decided something. */
  readonly isOfHost: boolean;
  /** Files that were asked for, with the names of their content. */
  readonly files: ReadonlyMap<string, string | undefined>;
  /** What was asked of the revision's trees, with the answers. */
  readonly trees: readonly TreeWish[];
  /** What it takes of the budget. */
  readonly bytes: number;
  readonly expansion: number;
  readonly ports: number;
};

const findingsMax = 2_000;

/** Loads an app as `loadApp` does, and takes down what the outcome depends on. */
export async function loadRecorded(request: LoadRequest): Promise<Loading> {
  const { source, budget, report } = request;
  const answers = new Map<string, string | undefined>();
  const variables = {
    get: (name: string) => {
      const value = source.variables?.get(name);
      answers.set(name, value);
      return value;
    },
  };
  const host = watchedHost(request.host);
  const findings: Finding[] = [];
  const tell = (kind: Finding["kind"]) => (at: Position, message: string) => {
    if (findings.length < findingsMax) findings.push({ kind, at, message });
    report[kind](at, message);
  };
  const own: Report = { error: tell("error"), warn: tell("warn") };
  const files = new Map<string, string | undefined>();
  const trees = new RecordedTrees(request.trees);
  const before = { ...budget };
  const app = await loadApp({
    ...request,
    source: { ...source, variables },
    host: host.asked,
    reader: watchedReader(request.reader, files),
    trees,
    report: own,
  });
  return {
    app,
    findings,
    answers,
    isOfHost: host.wasAsked(),
    files,
    trees: trees.wishes,
    bytes: before.bytesLeft - budget.bytesLeft,
    expansion: before.expansionLeft - budget.expansionLeft,
    ports: before.portsLeft - budget.portsLeft,
  };
}

/** All that a source says apart from its variables, which are compared as far as they were asked for. */
export function sourceKey(source: LoadRequest["source"]): string {
  return JSON.stringify({ ...source, variables: undefined });
}

/** True when the source's variables are those that the loading asked for. */
export function hasSameVariables(
  { answers }: Loading,
  { source }: Pick<LoadRequest, "source">,
): boolean {
  return [...answers].every(([name, value]) => source.variables?.get(name) === value);
}

/** Tells what was found to another report, against another budget; undefined, with nothing told, where that has too little left. */
export function replay(
  loading: Loading,
  { budget, report }: LoadRequest,
): { readonly app: LoadedApp | undefined } | undefined {
  const { app, bytes, expansion, ports, findings } = loading;
  if (budget.bytesLeft < bytes || budget.expansionLeft < expansion || budget.portsLeft < ports)
    return undefined;
  budget.bytesLeft -= bytes;
  budget.expansionLeft -= expansion;
  budget.portsLeft -= ports;
  for (const { kind, at, message } of findings) report[kind](at, message);
  return { app };
}

function watchedHost(host: LoadRequest["host"]) {
  let isAsked = false;
  const asked = {
    get name() {
      isAsked = true;
      return host.name;
    },
    get labels() {
      isAsked = true;
      return host.labels;
    },
  };
  return { asked, wasAsked: () => isAsked };
}

function watchedReader(reader: FileReader, files: Map<string, string | undefined>): FileReader {
  return {
    list: () => reader.list(),
    others: () => reader.others(),
    isExecutable: (path) => reader.isExecutable(path),
    read(path, bytesMax) {
      files.set(path, reader.contentName?.(path));
      return reader.read(path, bytesMax);
    },
  };
}
