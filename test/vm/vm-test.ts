import test, { type ExecutionContext } from "ava";
import { checkEmulation, EmulationFault } from "./emulation-fault.ts";
import { freezeGuest, withGuest } from "./frozen-guest.ts";
import { CommandFailed, type Machine } from "./machine.ts";

/**
 * A test in a guest of its own, which is up already. `often`: it runs with every `make test`, else with `make vm-test`.
 * It skips with the reason where no guest can be built, and fails there when MUST_WORK=1.
 */
export function vmTest(
  title: string,
  options: { readonly often: boolean; readonly reboots?: boolean },
  run: (t: ExecutionContext, guest: Machine) => Promise<void>,
): void {
  const image = process.env.BERTH_VM_IMAGE;
  const missing = process.env.BERTH_VM_MISSING ?? "test/vm/run builds the guest";
  if (process.env.BERTH_VM_PART !== "all" && !options.often) {
    test.skip(`${title} (make vm-test runs it)`, () => {});
  } else if (image !== undefined && image !== "") {
    // One after the other: two busy guests are all that two cores can bear, and files run beside each other.
    test.serial(title, async (t) => {
      const frozen = await freezeGuest(image);
      const { reboots = false } = options;
      const attempt = () =>
        withGuest(frozen, (guest) => watched(guest, () => run(t, guest)), { reboots });
      for (let left = attemptsMax - 1; ; left -= 1) {
        t.timeout(testTimeoutMs);
        try {
          await attempt();
          return;
        } catch (error) {
          if (!(error instanceof EmulationFault) || left === 0) throw error;
          t.log(error.message);
        }
      }
    });
  } else if (process.env.MUST_WORK === "1") {
    test(title, (t) => t.fail(missing));
  } else {
    test.skip(`${title} (${missing})`, () => {});
  }
}

/** Tells a command that failed because Node was ended from one that failed. */
async function watched(guest: Machine, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof CommandFailed) await checkEmulation(guest);
    throw error;
  }
}

const testTimeoutMs = 900_000;
const attemptsMax = 4;
