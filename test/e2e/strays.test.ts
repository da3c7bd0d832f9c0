import { rmSync } from "node:fs";
import { join } from "node:path";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { leftovers } from "./host-state.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();

serialKernelTest(
  "down tells of containers whose data directory was removed under them, and kills them when told to",
  async (t) => {
    await agent.deploy(
      "shop",
      `services: { web: { image: ${image}, command: ["--port", "8080"], init: true } }`,
    );
    const { id, pid } = await agent.container("shop-web-1");
    await agent.end("SIGKILL");
    for (const name of ["lib", "run"]) rmSync(join(agent.dir, name), { recursive: true });

    const told = await agent.berth("down");
    t.is(told.code, 1);
    t.regex(told.stderr, new RegExp(`knows nothing of \\(${id.slice(0, 12)}\\).*--strays`));
    t.notThrows(() => process.kill(pid ?? 0, 0), "it was left alone");

    // A new agent of the name says so too, and its own down leaves what it does not know.
    await agent.start();
    t.regex(agent.log, new RegExp(`this data directory knows nothing of.* id=${id}`));
    t.is((await agent.berth("down")).code, 1);
    await agent.end("SIGTERM");
    t.notThrows(() => process.kill(pid ?? 0, 0), "it was left alone");

    await agent.ok("down", "--strays");
    t.throws(() => process.kill(pid ?? 0, 0), { code: "ESRCH" });
    t.deepEqual(await leftovers(agent.instance), []);
  },
);
