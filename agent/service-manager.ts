import type { Log, Runtime } from "../runtime/runtime.ts";

/** What systemd is told (sd_notify(3)); every call does nothing where systemd did not ask. */
export type ServiceManager = {
  /** Serving; begins to send watchdog pings at half of the asked period. */
  ready(): Promise<void>;
  stopping(): Promise<void>;
};

export function createServiceManager(options: {
  readonly runtime: Pick<Runtime, "notify">;
  readonly log: Log;
  readonly environment: Readonly<Record<string, string | undefined>>;
}): ServiceManager {
  const { runtime, log, environment } = options;
  const socket = environment.NOTIFY_SOCKET;
  const watchdogMs = Number(environment.WATCHDOG_USEC ?? 0) / 1_000;
  let timer: NodeJS.Timeout | undefined;
  const send = async (message: string) => {
    if (socket === undefined || socket === "") return;
    try {
      await runtime.notify(socket, message);
    } catch (error) {
      log.warn("cannot notify the service manager", { message, error });
    }
  };
  return {
    async ready() {
      await send(`READY=1\nMAINPID=${process.pid}`);
      if (watchdogMs > 0) timer = setInterval(() => void send("WATCHDOG=1"), watchdogMs / 2);
    },
    async stopping() {
      clearInterval(timer);
      await send("STOPPING=1");
    },
  };
}
