/** Routes of `ResourceControl`. */
import { InspectQuery, NameBody, Nothing } from "./requests.ts";
import { answer, type Route } from "./route.ts";

export const resourceRoutes: readonly (readonly [string, Route])[] = [
  ["GET /v1/diff", answer(InspectQuery, ({ control }, { name }) => control.diff(name))],
  ["GET /v1/volumes", answer(Nothing, ({ control }) => control.volumes())],
  [
    "POST /v1/volumes/remove",
    answer(NameBody, ({ control }, { name }) => control.removeVolume(name)),
  ],
  ["GET /v1/networks", answer(Nothing, ({ control }) => control.networks())],
];
