import { grammar } from "./by-kind.ts";

/** As it is written. */
export const Signal = grammar({
  parse: (text) => (isSignal(text) ? text : undefined),
  expected: "a signal such as SIGTERM, SIGRTMIN+3 or 15",
});

/** The signals of Linux with and without SIG, the real-time ones, and numbers from 1 to 64. */
export function isSignal(text: string): boolean {
  return signalPattern.test(text);
}

const signals =
  "ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|" +
  "STKFLT|STOP|SYS|TERM|TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ";

const signalPattern = new RegExp(
  `^(?:(?:SIG)?(?:${signals}|RTMIN(?:\\+[0-9]{1,2})?|RTMAX(?:-[0-9]{1,2})?)|[1-9]|[1-5][0-9]|6[0-4])$`,
  "i",
);
