import type { PlanReport } from "../../agent/control/control.ts";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { describeChange } from "../field-change.ts";
import { formatShort } from "../figures.ts";
import { print, printable, printJson, style } from "../terminal.ts";

const EXIT_CHANGES = 3;

export async function runPlan(context: Context): Promise<number | undefined> {
  const plan = await call<PlanReport>(context, "GET /v1/plan");
  if (context.json) printJson(plan);
  else printPlan(plan);
  return plan.steps.length === 0 ? undefined : EXIT_CHANGES;
}

function printPlan({ revision, steps, heldBack }: PlanReport): void {
  for (const { app, runs, reason } of heldBack) {
    const stays = runs === null ? "is not here" : `stays at ${formatShort(runs)}`;
    const held = `${formatShort(revision)} is held back: ${printable(reason)}`;
    print(`${printable(app)} ${stays}, because ${held}`);
  }
  if (steps.length === 0) {
    print(heldBack.length > 0 ? "Nothing to do." : `Nothing to do: ${formatShort(revision)} runs.`);
    return;
  }
  print(
    `Revision ${formatShort(revision)}: ${steps.length} ${steps.length === 1 ? "step" : "steps"}.`,
  );
  for (const [index, { kind, target, reason }] of steps.entries()) {
    print(
      `${String(index + 1).padStart(3)}. ${style("bold", printable(kind))} ${printable(target)}`,
    );
    for (const change of reason) print(`       ${describeChange(change)}`);
  }
}
