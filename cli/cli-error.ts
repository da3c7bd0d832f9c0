/** A failure that is told in one sentence on stderr and ends the command with `exitCode` (1 failed, 2 usage). */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}
