import test from "ava";
import { missingPart } from "../kernel/kernel-test.ts";
import { TestAgent, type TestAgentOptions } from "./test-agent.ts";

/** One agent for the tests of a file, which run one after the other. Taken down at the end, also after a failure. */
export function sharedAgent(options: TestAgentOptions = {}): TestAgent {
  const agent = new TestAgent(options);
  if (missingPart() === undefined) test.before(() => agent.open());
  test.after.always(() => agent.close());
  return agent;
}
