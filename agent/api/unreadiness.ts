import type { StatusReport } from "../control/control.ts";

/** One line for people: why the wanted revision does not run healthy here. */
export function describeUnreadiness(status: StatusReport): string {
  const app = status.apps.find(
    ({ verdict, state }) => verdict !== "healthy" || state !== "running",
  );
  if (status.wanted === null) return status.source.error ?? "no revision was fetched yet";
  if (status.errors.length > 0) return `the newest commit was refused: ${status.errors[0]}`;
  if (app !== undefined) {
    return `app ${app.name} is ${app.state}, verdict ${app.verdict}${app.reason === "" ? "" : `: ${app.reason}`}`;
  }
  if (status.running !== status.wanted) {
    return `revision ${status.wanted} is wanted, ${status.running ?? "none"} is running`;
  }
  return status.source.error ?? "the agent is starting";
}
