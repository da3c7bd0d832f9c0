import { networkFeatures } from "../../runtime/network/network-features.ts";
import { kernelTest } from "../kernel/kernel-test.ts";

kernelTest("this machine has what networks are made of", async (t) => {
  const features = await networkFeatures();
  t.deepEqual(
    features.map(({ name }) => name),
    ["nftables", "bridge", "forwarding"],
  );
  for (const feature of features.filter(({ required }) => required)) {
    t.true(feature.ok, `${feature.name}: ${feature.detail}`);
  }
});
