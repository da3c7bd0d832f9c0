/** Routes of `RunControl`. */
import { z } from "zod";
import { NameBody, Nothing, RunRequest } from "./requests.ts";
import { answer, type Call, parse, type Route } from "./route.ts";
import { streamTransfer } from "./transfer-stream.ts";

const RemoveBody = NameBody.extend({
  force: z.boolean().default(false),
  volumes: z.boolean().default(false),
});
const AdoptBody = NameBody.extend({ showSecrets: z.boolean().default(false) });

export const runRoutes: readonly (readonly [string, Route])[] = [
  ["POST /v1/run", run],
  [
    "POST /v1/rm",
    answer(RemoveBody, ({ control, abort }, { name, force, volumes }) =>
      control.remove(name, { force, volumes }, abort),
    ),
  ],
  [
    "POST /v1/adopt",
    answer(AdoptBody, ({ control }, { name, showSecrets }) => control.adopt(name, { showSecrets })),
  ],
  ["GET /v1/by-hand", answer(Nothing, ({ control }) => control.byHand())],
];

async function run(call: Call, input: unknown): Promise<void> {
  const request = parse(RunRequest, input);
  const { control, abort } = call;
  await streamTransfer(call, async (onProgress) => ({
    ran: await control.run(request, { abort, onProgress }),
  }));
}
