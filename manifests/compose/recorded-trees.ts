import type { AppTrees, TreeAnswer, TreeLook } from "../trees/tree-reader.ts";

/** A question to the trees of a revision, and the answer. */
export type TreeWish =
  | {
      readonly kind: "path";
      readonly path: string;
      readonly look: TreeLook;
      readonly answer: TreeAnswer;
    }
  | { readonly kind: "text"; readonly text: string; readonly look: TreeLook };

/** Passes questions on and takes them down. */
export class RecordedTrees implements AppTrees {
  readonly wishes: TreeWish[] = [];
  readonly #trees: AppTrees;

  constructor(trees: AppTrees) {
    this.#trees = trees;
  }

  async at(path: string, look: TreeLook = {}): Promise<TreeAnswer> {
    const answer = await this.#trees.at(path, look);
    this.wishes.push({ kind: "path", path, look, answer });
    return answer;
  }

  text(text: string, look: TreeLook = {}): string {
    this.wishes.push({ kind: "text", text, look });
    return this.#trees.text(text, look);
  }
}

/**
 * Asks another revision's trees the same, which makes them know what is mounted. False as soon as an answer is another one.
 * Rejects only when the reader fails.
 */
export async function askAgain(wishes: readonly TreeWish[], trees: AppTrees): Promise<boolean> {
  for (const wish of wishes) {
    if (wish.kind === "text") {
      trees.text(wish.text, wish.look);
      continue;
    }
    if (!sameAnswer(await trees.at(wish.path, wish.look), wish.answer)) return false;
  }
  return true;
}

function sameAnswer(one: TreeAnswer, other: TreeAnswer): boolean {
  if (one.ok) return other.ok && one.digest === other.digest;
  return !other.ok && one.problem === other.problem;
}
