import type { ContainerSet } from "./container-set.ts";
import type { ContainerTarget } from "./container-target.ts";
import type { MetricsAnswer, MetricsQuestion } from "./worker-messages.ts";

/** Brings the set up to date with the question's targets, reads all containers, and answers. Never throws. */
export function answerQuestion(containers: ContainerSet, question: MetricsQuestion): MetricsAnswer {
  const { id, kind, put, remove, into } = question;
  try {
    for (const containerId of remove) containers.remove(containerId);
    // Both ends are of one version: it was written from a ContainerTarget.
    for (const json of put) containers.put(JSON.parse(json) as ContainerTarget);
    const nowMs = Date.now();
    if (kind === "render") return { kind: "rendered", id, text: containers.render(nowMs, into) };
    return { kind: "sampled", id, samples: containers.sample(nowMs) };
  } catch (error) {
    return { kind: "failed", id, message: error instanceof Error ? error.message : String(error) };
  }
}
