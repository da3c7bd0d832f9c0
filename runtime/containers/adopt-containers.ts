import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { ContainerSpec } from "../container-spec.ts";
import { readIdentity } from "../helper/process-identity.ts";
import {
  SupervisorClient,
  type SupervisorState,
  UnknownSupervisorError,
} from "../helper/supervisor-client.ts";
import { PROTOCOL_VERSION } from "../protocol.ts";
import type { ExitRecord } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { pathsOf } from "./container-context.ts";
import { containerPaths } from "./container-paths.ts";
import { killOrphan, recordExit, removeCgroupSoon } from "./container-watch.ts";
import { readStoredSpec } from "./create-container.ts";
import type { Inventory, InventoryEntry } from "./inventory.ts";
import { findLostStart } from "./lost-start.ts";

/** What adoption asks of the life of containers. */
export type Adopter = {
  watch(id: string): Promise<SupervisorState | false>;
  publish(spec: ContainerSpec): Promise<void>;
  remove(id: string): Promise<void>;
  ended(id: string, exit: ExitRecord): void;
};

/**
 * Takes over what an earlier process of this boot left, whatever it was doing: running containers are watched again, ends
 * are recorded, half-made and half-removed ones are undone. Then what an earlier boot left on disk.
 */
export async function adoptContainers(context: ContainerContext, adopter: Adopter): Promise<void> {
  const entries = [...context.inventory.all()];
  await Promise.all(entries.map((entry) => adoptEntry(context, adopter, entry)));
  adoptDirectories(context);
}

/**
 * Throws when a container of the inventory has a supervisor that a newer berth started: what that one wrote and made is not
 * known here. To be asked before anything is touched.
 */
export async function refuseUnknownSupervisors(options: {
  readonly inventory: Inventory;
  readonly libDir: string;
  readonly runDir: string;
}): Promise<void> {
  const running = [...options.inventory.all()].filter(
    ({ phase }) => phase === "starting" || phase === "running",
  );
  await Promise.all(
    running.map(async ({ spec }) => {
      const { socket } = containerPaths(options, spec.id);
      const found = await SupervisorClient.connect(socket).catch((error: unknown) => {
        if (!(error instanceof UnknownSupervisorError)) return undefined;
        throw new Error(
          `cannot take over ${spec.name} because ${error.message}. Nothing was touched: ` +
            "start the berth that runs it, or let that one stop it first",
          { cause: error },
        );
      });
      found?.client.close();
    }),
  );
}

async function adoptEntry(
  context: ContainerContext,
  adopter: Adopter,
  entry: InventoryEntry,
): Promise<void> {
  const { spec, phase } = entry;
  if (phase === "creating" || phase === "removing") return adopter.remove(spec.id);
  if (entry.exit !== undefined && entry.isExitTold === false) adopter.ended(spec.id, entry.exit);
  if (phase !== "starting" && phase !== "running") return;
  if (phase === "starting") await findLostStart(context, spec.id);
  let state: SupervisorState | false;
  try {
    state = await adopter.watch(spec.id);
  } catch {
    await adoptOrphan(context, adopter, entry);
    return;
  }
  if (state === false || state.phase === "ended") return;
  const startedAtMs = entry.startedAtMs ?? context.now();
  const supervisor = readIdentity(state.supervisorPid) ?? entry.supervisor;
  context.inventory.put({
    ...entry,
    phase: "running",
    process: state.process,
    protocol: state.protocol,
    startedAtMs,
    ...(supervisor === undefined ? {} : { supervisor }),
  });
  if (state.protocol < PROTOCOL_VERSION) {
    const { protocol, helperVersion = "unknown" } = state;
    context.log.info("container keeps the helper of an older berth until it is started again", {
      id: spec.id,
      protocol,
      helperVersion,
    });
  }
  await adopter.publish(spec);
}

/** Neither a supervisor nor a record of an end: nobody can tell how it went. */
async function adoptOrphan(
  context: ContainerContext,
  adopter: Adopter,
  entry: InventoryEntry,
): Promise<void> {
  const { id } = entry.spec;
  await killOrphan(context, id);
  if (entry.phase === "running") {
    adopter.ended(id, recordExit(context, id, undefined));
    return;
  }
  context.inventory.put({ spec: entry.spec, createdAtMs: entry.createdAtMs, phase: "created" });
  await removeCgroupSoon(context, id);
}

/** live.db ends with the boot, the writable layers do not: what was created before is found by its spec. */
function adoptDirectories(context: ContainerContext): void {
  const root = join(context.libDir, "containers");
  if (!existsSync(root)) return;
  for (const id of readdirSync(root)) {
    if (context.inventory.get(id) !== undefined) continue;
    const spec = readStoredSpec(pathsOf(context, id).specFile);
    if (spec?.id === id) {
      const now = context.now();
      const exit = { oomKilled: false, finishedAtMs: now };
      context.inventory.put({ spec, phase: "exited", createdAtMs: now, exit });
      continue;
    }
    context.launcher.removeTree(join(root, id)).catch((error: unknown) => {
      context.log.warn("leftover of a container stays", { id, error: String(error) });
    });
    context.idLeases.release(id);
    context.networks.releaseAddresses(id);
  }
}
