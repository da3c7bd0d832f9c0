/** Questions on a terminal. */
import { CliError } from "./cli-error.ts";

const LINE_CHARACTERS_MAX = 4096;
const keys = { interrupt: "\u0003", endOfInput: "\u0004", eraseLine: "\u0015" } as const;
const erase: readonly string[] = ["\u007f", "\b"];

/** One line that a person types; without echo nothing of it is shown. Fails where nobody can be asked. */
export async function askLine(question: string, { echo }: { echo: boolean }): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) {
    throw new CliError(
      1,
      "cannot ask for the user or the password because standard input is no terminal: give -u NAME and --password-stdin",
    );
  }
  stderr.write(question);
  stdin.setRawMode(true);
  stdin.setEncoding("utf8");
  stdin.resume();
  try {
    return await readLine(stdin, (text) => {
      if (echo) stderr.write(text);
    });
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}

function readLine(stdin: NodeJS.ReadStream, show: (text: string) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = "";
    const onData = (text: string): void => {
      for (const key of text) {
        if (key === "\r" || key === "\n") {
          // What was typed ahead belongs to the next question.
          const rest = text.slice(text.indexOf(key) + 1);
          end();
          if (rest !== "") stdin.unshift(rest);
          resolve(line);
          return;
        }
        if (key === keys.interrupt || (key === keys.endOfInput && line === "")) {
          end();
          reject(new CliError(130, "nothing was done: the question was not answered"));
          return;
        }
        line = edit(line, key, show);
      }
    };
    const onEnd = (): void => {
      end();
      reject(new CliError(1, "cannot go on because the terminal was closed"));
    };
    const end = (): void => {
      stdin.off("data", onData);
      stdin.off("end", onEnd);
    };
    stdin.on("data", onData);
    stdin.once("end", onEnd);
  });
}

function edit(line: string, key: string, show: (text: string) => void): string {
  if (erase.includes(key)) {
    if (line === "") return line;
    show("\b \b");
    return [...line].slice(0, -1).join("");
  }
  if (key === keys.eraseLine) {
    show("\b \b".repeat([...line].length));
    return "";
  }
  if (/\p{Cc}/u.test(key) || line.length >= LINE_CHARACTERS_MAX) return line;
  show(key);
  return line + key;
}
