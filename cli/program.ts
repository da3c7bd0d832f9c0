/** The command line as a whole. */
import { Command } from "commander";
import { declareContainerVerbs } from "./declare-container-verbs.ts";
import { declareImageVerbs } from "./declare-image-verbs.ts";
import { declareInstanceVerbs } from "./declare-instance-verbs.ts";
import { declareManifestVerbs } from "./declare-manifest-verbs.ts";
import { declareRegistryVerbs } from "./declare-registry-verbs.ts";
import { declareResourceVerbs } from "./declare-resource-verbs.ts";
import { declareRolloutVerbs } from "./declare-rollout-verbs.ts";
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
  const declare: Declare = (nameAndArguments, summary, example) => {
    const command = program
      .command(nameAndArguments)
      .description(summary)
      .addHelpText("after", `\nExample:\n  ${example}`);
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
  return program;
}

/** Commander's usage errors in the form of all others; help that it prints to stderr stays as it is. */
function asSentence(text: string): string {
  if (!text.startsWith("error: ")) return text;
  const said = printable(text.slice("error: ".length)).trim();
  return `berth: ${said} ('berth --help' shows the verbs, 'berth VERB --help' the options)\n`;
}
