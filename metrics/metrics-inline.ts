import { answerQuestion } from "./answer-question.ts";
import { ContainerSet, type Machine } from "./container-set.ts";
import type { MetricsAnswer, MetricsQuestion } from "./worker-messages.ts";

/** The same work without a thread: for so few containers that a thread's memory would cost more than it spares. */
export class MetricsInline {
  readonly usesThread = false;
  readonly hasEnded = false;
  readonly #containers: ContainerSet;

  constructor(machine: Machine) {
    this.#containers = new ContainerSet(machine);
  }

  async ask(question: Omit<MetricsQuestion, "id">): Promise<MetricsAnswer> {
    const answer = answerQuestion(this.#containers, { ...question, id: 0 });
    if (answer.kind === "failed") throw new Error(answer.message);
    return answer;
  }

  async close(): Promise<void> {
    this.#containers.close();
  }
}
