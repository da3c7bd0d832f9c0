import type { FieldChange } from "../agent/control/control.ts";
import { printable } from "./terminal.ts";

/** `environment.PORT: 80 -> 81`. */
export function describeChange({ field, from, to }: FieldChange): string {
  return printable(`${field}: ${describeValue(from)} -> ${describeValue(to)}`);
}

function describeValue(value: unknown): string {
  if (value === undefined || value === null) return "(none)";
  return typeof value === "string" ? value : JSON.stringify(value);
}
