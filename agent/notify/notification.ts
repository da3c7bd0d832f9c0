import type { AgentEvent } from "../control/control.ts";
import { type Occasion, occasions } from "./notify-config.ts";

/** What is told: names, revisions and reasons as the status shows them; never a value of the environment. */
export type Notification = {
  readonly occasion: Occasion;
  readonly title: string;
  readonly message: string;
  readonly host: string;
  readonly app: string | null;
  readonly revision: string | null;
  /** ISO 8601. */
  readonly time: string;
};

const occasionOf = new Map<string, Occasion>(
  Object.entries(occasions).map(([occasion, kind]) => [kind, occasion as Occasion]), // its own keys
);
const messageCharactersMax = 2_000;

/** Undefined: nobody is told of this event. */
export function describeEvent(event: AgentEvent, host: string): Notification | undefined {
  const occasion = occasionOf.get(event.kind);
  if (occasion === undefined) return undefined;
  const { app, target, fields, time } = event;
  const revision = typeof fields.revision === "string" ? fields.revision : null;
  const subject = app ?? `commit ${target.slice(0, 12)}`;
  return {
    occasion,
    title: `${host}: ${subject} ${words[occasion]}`,
    message: event.message.replaceAll(/\p{Cc}+/gu, " ").slice(0, messageCharactersMax),
    host,
    app,
    revision: app === null ? target : revision,
    time,
  };
}

const words: Readonly<Record<Occasion, string>> = {
  started: "is rolled out",
  healthy: "is healthy",
  failed: "failed",
  "rolled-back": "was rolled back",
  refused: "was refused",
};
