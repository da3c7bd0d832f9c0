import { setImmediate as nextTurn } from "node:timers/promises";

/**
 * What makes direct connections. undici's index loads all that it has in one turn of the event loop, 70 ms and more; these are
 * the parts that are used, in several turns.
 */
export async function loadAgent(): Promise<typeof import("undici").Agent> {
  const { default: methods } = await import("undici/lib/api/index.js");
  await nextTurn();
  const { default: Dispatcher } = await import("undici/lib/dispatcher/dispatcher.js");
  // As the index does.
  Object.assign(Dispatcher.prototype, methods);
  await nextTurn();
  return (await import("undici/lib/dispatcher/agent.js")).default;
}

/** What makes connections through a proxy. */
export async function loadProxyAgent(): Promise<typeof import("undici").ProxyAgent> {
  await loadAgent();
  await nextTurn();
  return (await import("undici/lib/dispatcher/proxy-agent.js")).default;
}
