/** Entry point of the metrics thread. */
import { parentPort, workerData } from "node:worker_threads";
import { answerQuestion } from "./answer-question.ts";
import { ContainerSet } from "./container-set.ts";
import type { MetricsAnswer, MetricsQuestion, MetricsWorkerData } from "./worker-messages.ts";

const port = parentPort;
if (!port) throw new Error("cannot serve metrics: metrics-worker.ts is to be started as a thread");

// The thread's starter and this file are of one version.
const { machine } = workerData as MetricsWorkerData;
const containers = new ContainerSet(machine);

port.on("message", (question: MetricsQuestion) => {
  port.postMessage(answerQuestion(containers, question));
});
port.postMessage({ kind: "ready" } satisfies MetricsAnswer);
