/** Entry point of the metrics thread: reads and renders, so that the agent's own thread does not wait for the kernel. */
import { parentPort, workerData } from "node:worker_threads";
import { ContainerSet } from "./container-set.ts";
import type { ContainerTarget } from "./container-target.ts";
import type { MetricsAnswer, MetricsQuestion, MetricsWorkerData } from "./worker-messages.ts";

const port = parentPort;
if (!port) throw new Error("cannot serve metrics: metrics-worker.ts is to be started as a thread");

// The thread's starter and this file are of one version.
const { machine } = workerData as MetricsWorkerData;
const containers = new ContainerSet(machine);

port.on("message", (question: MetricsQuestion) => {
  const answer = answerTo(question);
  if (answer.kind === "rendered") port.postMessage(answer, [answer.text.buffer]);
  else port.postMessage(answer);
});
port.postMessage({ kind: "ready" } satisfies MetricsAnswer);

function answerTo({ id, kind, put, remove }: MetricsQuestion): MetricsAnswer {
  try {
    for (const containerId of remove) containers.remove(containerId);
    for (const json of put) containers.put(JSON.parse(json) as ContainerTarget);
    const nowMs = Date.now();
    if (kind === "render") return { kind: "rendered", id, text: containers.render(nowMs) };
    return { kind: "sampled", id, samples: containers.sample(nowMs) };
  } catch (error) {
    return { kind: "failed", id, message: error instanceof Error ? error.message : String(error) };
  }
}
