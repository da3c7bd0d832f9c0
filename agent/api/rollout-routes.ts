/** Routes about rollouts. */
import { z } from "zod";
import { Nothing } from "./requests.ts";
import { answer, type Route } from "./route.ts";

const App = z.string().min(1).max(512);
const RollbackBody = z.strictObject({
  app: App,
  to: z
    .string()
    .regex(/^[0-9a-f]{4,64}$/, "four or more hex digits of a commit are expected")
    .optional(),
});
const AppBody = z.strictObject({ app: App.optional() });

export const rolloutRoutes: readonly (readonly [string, Route])[] = [
  [
    "POST /v1/rollback",
    answer(RollbackBody, ({ control }, { app, to }) =>
      control.rollback(to === undefined ? { app } : { app, to }),
    ),
  ],
  ["POST /v1/suspend", answer(AppBody, ({ control }, { app }) => control.suspend(app))],
  ["POST /v1/resume", answer(AppBody, ({ control }, { app }) => control.resume(app))],
  ["GET /v1/history", answer(AppBody, ({ control }, { app }) => control.history(app))],
  [
    "GET /v1/why",
    answer(Nothing.extend({ name: App }), ({ control }, { name }) => control.why(name)),
  ],
];
