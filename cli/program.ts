/** The command line as a whole. */
import { Command } from "commander";
import { declareContainerVerbs } from "./declare-container-verbs.ts";
import { declareImageVerbs } from "./declare-image-verbs.ts";
import { declareInstanceVerbs } from "./declare-instance-verbs.ts";
import { declareManifestVerbs } from "./declare-manifest-verbs.ts";
import { declareRegistryVerbs } from "./declare-registry-verbs.ts";
import { declareResourceVerbs } from "./declare-resource-verbs.ts";
import { declareRolloutVerbs } from "./declare-rollout-verbs.ts";
import { declareRunVerbs } from "./declare-run-verbs.ts";
import { printable } from "./terminal.ts";
import { addGlobalOptions, type Declare } from "./verb.ts";

export function createProgram(): Command {
  const program = new Command("berth")
    .description(
      "Moors containers to a git commit: a GitOps agent for one host, with its own runtime.",
    )
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(asSentence(text)) })
    .addHelpText("after", "\nExit codes: 0 done, 1 failed, 2 usage, 3 there are changes (plan).");
  addGlobalOptions(program);
  // `berth nope --help` and `berth help nope` are about a verb that is none.
  program.addHelpText("beforeAll", ({ command }) => {
    if (command === program) refuseUnknownVerb(program);
    return "";
  });
  const declare: Declare = (nameAndArguments, summary, example) => {
    const command = program
      .command(nameAndArguments)
      .description(summary)
      .addHelpText("after", `\nExample:\n  ${example}`)
      .configureOutput({
        writeErr: (text) => process.stderr.write(asSentence(text, nameAndArguments)),
      });
    addGlobalOptions(command);
    return command;
  };
  declareInstanceVerbs(declare);
  declareManifestVerbs(declare);
  declareContainerVerbs(declare);
  declareImageVerbs(declare);
  declareResourceVerbs(declare);
  declareRegistryVerbs(declare);
  declareRolloutVerbs(declare);
  declareRunVerbs(declare);
  return program;
}

function refuseUnknownVerb(program: Command): void {
  const [first = "", second = ""] = program.args;
  const verb = first === "help" ? second : first;
  if (verb === "" || verb.startsWith("-")) return;
  program.error(`error: unknown command '${verb}'`, { code: "commander.unknownCommand" });
}

/** Commander's usage errors in the form of all others; help that it prints to stderr stays as it is. */
function asSentence(text: string, verb?: string): string {
  if (!text.startsWith("error: ")) return text;
  const said = printable(text.slice("error: ".length)).trim().replace(/\.$/, "");
  const choice = /^command-argument value ('.*') is invalid for argument .*choices are (.*)$/.exec(
    said,
  );
  if (choice !== null && verb !== undefined) {
    return `berth: ${choice[1]} is nothing that 'berth ${verb}' does: ${choice[2]} are expected\n`;
  }
  const help =
    verb === undefined
      ? "'berth --help' shows the verbs, 'berth VERB --help' what each takes"
      : `berth ${verb} is expected, and 'berth ${verb.split(" ")[0]} --help' shows its options`;
  return `berth: ${said}: ${help}\n`;
}
