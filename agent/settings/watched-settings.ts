import type { Log } from "../../runtime/runtime.ts";
import { describeError } from "../log.ts";
import { watchFile } from "../source/watch-repository.ts";
import type { AgentOptions } from "./agent-options.ts";
import { loadSettings, type Settings } from "./settings.ts";

export type WatchedSettings = {
  current(): Settings;
  close(): Promise<void>;
};

const settleMs = 100;
/** Fixed for the life of the process. */
const fixedFields = [
  "listen",
  "allowedHosts",
  "webhook",
  "addressPool",
  "registries",
  "log",
] as const;

/** Reads the config file again whenever it changes; a file with a mistake leaves everything as it was. */
export function watchSettings(options: {
  readonly agentOptions: AgentOptions;
  readonly initial: Settings;
  readonly log: Log;
  readonly onChange: (now: Settings, before: Settings) => void;
}): WatchedSettings {
  const { agentOptions, log, onChange } = options;
  let current = options.initial;
  let timer: NodeJS.Timeout | undefined;
  const reload = async () => {
    try {
      const before = current;
      current = await loadSettings(agentOptions);
      const changed = changedFields(before, current);
      if (changed.length === 0) return;
      log.info("config file read again", { changed: changed.join(",") });
      const late = fixedFields.filter((field) => changed.includes(field));
      if (late.length > 0) {
        log.warn("changes take effect at the next start", { fields: late.join(",") });
      }
      onChange(current, before);
    } catch (error) {
      log.error("config file ignored, the earlier one stays", { error: describeError(error) });
    }
  };
  const { configFile } = agentOptions;
  if (configFile === undefined) return { current: () => current, close: async () => {} };
  const watcher = watchFile({
    path: configFile,
    log,
    onChange: () => {
      clearTimeout(timer);
      timer = setTimeout(() => void reload(), settleMs);
    },
  });
  return {
    current: () => current,
    async close() {
      clearTimeout(timer);
      await watcher.close();
    },
  };
}

export function changedFields(before: Settings, now: Settings): string[] {
  const names = Object.keys(now) as (keyof Settings)[];
  return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]));
}
