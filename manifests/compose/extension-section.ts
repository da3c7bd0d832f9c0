import { section } from "./section.ts";

/** Of a healthcheck, and of a probe in its place. */
export const timing = {
  interval: "value",
  retries: "value",
  start_interval: "value",
  start_period: "value",
  timeout: "value",
} as const;

/** What a service may say under `x-berth`. */
export const extension = section({
  bounds: {
    one: section({
      "cpu-pressure": "value",
      "cpu-throttled": "value",
      "failed-checks": "value",
      "io-pressure": "value",
      "memory-growth": "value",
      "memory-pressure": "value",
    }),
  },
  canary: "value",
  "on-config-change": "value",
  "on-unhealthy": "value",
  "watch-tag": "value",
  probe: {
    one: section({
      ...timing,
      http: { one: section({ host: "value", path: "value", port: "value", status: "value" }) },
      tcp: { one: section({ port: "value" }) },
    }),
  },
});
