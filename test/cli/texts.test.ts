import test from "ava";
import {
  collectEnvironment,
  parseDurationMs,
  parseSinceMs,
  parseTail,
} from "../../cli/arguments.ts";
import { formatAge, formatBytes, formatShort } from "../../cli/figures.ts";
import { describePorts } from "../../cli/port-list.ts";
import { displayWidth, formatTable } from "../../cli/table.ts";
import { printable } from "../../cli/terminal.ts";

test("columns align by what a terminal shows, not by characters", (t) => {
  t.is(displayWidth("日本"), 4);
  t.is(displayWidth("e\u0301"), 1);
  const [heading = "", wide = "", narrow = ""] = formatTable(
    ["NAME", "N"],
    [
      ["日本", "1"],
      ["ab", "2"],
    ],
  ).split("\n");
  t.is(heading, "NAME  N");
  t.is(wide, "日本  1");
  t.is(narrow, "ab    2");
});

test("a cell cannot break its line or command the terminal", (t) => {
  t.is(formatTable(["A", "B"], [["x\ny\u001b[2J", "\u202ez"]]), "A    B\nx y  z");
  t.is(printable("a\u0000\u0007\u009bb\u001b]0;t\u0007c"), "abc");
});

test("neighbouring ports are one range, others stand alone", (t) => {
  const port = (hostPort: number, containerPort: number, protocol: "tcp" | "udp" = "tcp") => ({
    hostIp: "0.0.0.0",
    hostPort,
    containerPort,
    protocol,
  });
  t.is(describePorts([]), "");
  t.is(
    describePorts([
      port(8081, 80),
      port(9000, 9000),
      port(9001, 9001),
      port(9002, 9003),
      port(9003, 9004, "udp"),
      { ...port(9004, 9005, "udp"), hostIp: "::1" },
    ]),
    "0.0.0.0:8081->80/tcp, 0.0.0.0:9000-9001->9000-9001/tcp, 0.0.0.0:9002->9003/tcp, " +
      "0.0.0.0:9003->9004/udp, [::1]:9004->9005/udp",
  );
});

test("durations are read in the usual units, a bare number as seconds", (t) => {
  t.is(parseDurationMs("1h30m"), 5_400_000);
  t.is(parseDurationMs("250ms"), 250);
  t.is(parseDurationMs("10"), 10_000);
  for (const text of ["", "soon", "-1s", "1s ", "1y", "s"])
    t.throws(() => parseDurationMs(text), { message: /duration/ });
});

test("--since takes a duration before now or an RFC 3339 time", (t) => {
  t.is(parseSinceMs("2026-01-31T12:00:00+01:00"), Date.UTC(2026, 0, 31, 11));
  t.true(Math.abs(parseSinceMs("10m") - (Date.now() - 600_000)) < 1000);
  for (const text of ["yesterday", "2026-13-01", "2026-01-31T12:00", ""])
    t.throws(() => parseSinceMs(text));
});

test("--tail takes a number of lines or all", (t) => {
  t.is(parseTail("0"), 0);
  t.is(parseTail("all"), undefined);
  t.throws(() => parseTail("1.5"));
});

test("-e takes KEY=VALUE, and the own value of KEY alone", (t) => {
  t.deepEqual(collectEnvironment("B=2=3", { A: "1" }), { A: "1", B: "2=3" });
  t.deepEqual(collectEnvironment("PATH"), { PATH: process.env.PATH ?? "" });
  t.deepEqual(collectEnvironment("BERTH_TEST_UNSET"), {});
  t.throws(() => collectEnvironment("=1"));
});

test("figures are short", (t) => {
  t.is(formatBytes(1023), "1023 B");
  t.is(formatBytes(1_572_864), "1.5 MiB");
  t.is(formatAge(59_999), "59s");
  t.is(formatAge(90_000_000), "1d");
  t.is(formatAge(-5), "0s");
  t.is(formatShort(`sha256:${"a".repeat(64)}`), "a".repeat(12));
});
