import { readFileSync } from "node:fs";
import test from "ava";
import {
  capabilityBits,
  capabilityMask,
  capabilityName,
  defaultCapabilities,
} from "../../runtime/plan/capabilities.ts";

test("the eleven default capabilities make the mask that Podman's containers have", (t) => {
  t.is(defaultCapabilities.length, 11);
  t.is(capabilityMask(defaultCapabilities), 0x800405fbn);
});

test("names are taken with and without CAP_, in any case", (t) => {
  t.is(capabilityMask(["CAP_CHOWN", "chown", "cap_bpf"]), 1n | (1n << 39n));
  t.is(capabilityName("cap_net_raw"), "NET_RAW");
});

test("a name that does not exist is an error that says so", (t) => {
  t.throws(() => capabilityMask(["CAP_CHWON"]), {
    message: /"CAP_CHWON" because it does not exist/,
  });
  t.throws(() => capabilityMask(["constructor"]));
});

test("there are 41 capabilities, no fewer than this kernel knows", (t) => {
  t.is(capabilityBits.size, 41);
  const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
  t.true(last >= 37);
  t.deepEqual([...capabilityBits.values()], [...Array(41).keys()]);
});
