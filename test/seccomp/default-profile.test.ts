import { constants } from "node:os";
import test from "ava";
import { defaultCapabilities } from "../../runtime/plan/capabilities.ts";
import { compileSeccomp } from "../../runtime/seccomp/compile-seccomp.ts";
import { defaultSeccompProfile } from "../../runtime/seccomp/default-profile.ts";
import { type Architecture, syscallNumbers } from "../../runtime/seccomp/syscall-numbers.ts";
import { decodeProgram, runProgram } from "./bpf-emulator.ts";
import { describeResult } from "./interpret-profile.ts";

const auditArchitectures = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
const architectures = ["x86_64", "aarch64"] as const;
const { EPERM, ENOSYS, EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT } = constants.errno;

type Setting = {
  readonly architecture?: Architecture;
  readonly capabilities?: readonly string[];
};

/** A function that says what the compiled default program does with a call. */
function compiled({
  architecture = "x86_64",
  capabilities = defaultCapabilities,
}: Setting = {}): (name: string | number, ...args: (number | bigint)[]) => string {
  const program = decodeProgram(
    compileSeccomp({
      profile: defaultSeccompProfile,
      architecture,
      capabilities,
      kernel: "6.18.0",
    }),
  );
  return (name, ...args) => {
    const number = typeof name === "number" ? name : syscallNumbers(architecture).get(name);
    if (number === undefined) throw new Error(`${architecture} has no ${name}`);
    const data = {
      number,
      architecture: auditArchitectures[architecture],
      arguments: args.map(BigInt),
    };
    return describeResult(runProgram(program, data));
  };
}

test("the default programs stay small", (t) => {
  for (const architecture of architectures) {
    const program = compileSeccomp({
      profile: defaultSeccompProfile,
      architecture,
      capabilities: defaultCapabilities,
      kernel: "6.18",
    });
    t.true(program.length / 8 <= 250, `${architecture}: ${program.length / 8} instructions`);
  }
});

test("calls that nobody knows yet, and clone3, do not exist", (t) => {
  for (const architecture of architectures) {
    const says = compiled({ architecture });
    t.is(says("clone3"), `errno ${ENOSYS}`);
    for (const number of [480, 600, 1023, 0x3fffffff]) t.is(says(number), `errno ${ENOSYS}`);
  }
});

test("sockets are of four families, and netlink of four protocols", (t) => {
  const says = compiled();
  for (const call of ["socket", "socketpair"]) {
    for (let family = 0; family < 64; family++) {
      const wanted = [1, 2, 10, 16].includes(family) ? "allow" : `errno ${EAFNOSUPPORT}`;
      t.is(says(call, family, 3, 0), wanted, `${call} ${family}`);
    }
    for (const protocol of [0, 4, 15, 16]) t.is(says(call, 16, 3, protocol), "allow");
    for (const protocol of [6, 12, 5])
      t.is(says(call, 16, 3, protocol), `errno ${EPROTONOSUPPORT}`);
    t.is(says(call, 16, 3, 9), `errno ${EINVAL}`);
    t.is(says(call, 38 + 2 ** 32, 5, 0), `errno ${EAFNOSUPPORT}`);
  }
});

test("characters cannot be pushed into a terminal, whatever the upper half of the request", (t) => {
  const says = compiled();
  for (const request of [0x5412n, 0x541cn, 0x100005412n, 0xffffffff0000541cn]) {
    t.is(says("ioctl", 0, request), `errno ${EPERM}`);
  }
  t.is(says("ioctl", 0, 0x5413), "allow");
});

test("a thread may be cloned and a namespace may not", (t) => {
  const says = compiled();
  t.is(says("clone", 0x3d0f00), "allow");
  t.is(says("clone", 0x11), "allow");
  for (let bit = 0; bit < 64; bit++) {
    const flag = 1n << BigInt(bit);
    const wanted = (flag & 0x7e020000n) === 0n ? "allow" : `errno ${EPERM}`;
    t.is(says("clone", flag | 0x11n), wanted, `bit ${bit}`);
  }
  t.is(says("unshare", 0x10000000), `errno ${EPERM}`);
  t.is(compiled({ capabilities: ["SYS_ADMIN"] })("clone", 0x10000011), "allow");
});

test("dangerous calls are refused with EPERM under the default capabilities", (t) => {
  const says = compiled();
  const refused = `bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key
    request_key mount umount2 move_mount fsopen fsconfig fsmount open_tree mount_setattr setns unshare pivot_root
    init_module kexec_load reboot swapon open_by_handle_at syslog kcmp pidfd_getfd vmsplice acct quotactl iopl ioperm`;
  for (const name of refused.trim().split(/\s+/)) t.is(says(name), `errno ${EPERM}`, name);
  t.is(says("chroot"), "allow");
  t.is(compiled({ capabilities: [] })("chroot"), `errno ${EPERM}`);
});

test("only harmless personalities can be taken", (t) => {
  const says = compiled();
  for (const value of [0, 8, 0x20000, 0x20008, 0xffffffff, 0xffffffffffffffffn]) {
    t.is(says("personality", value), "allow");
  }
  for (const value of [0x40000, 0x400000, 0x100000, 1])
    t.is(says("personality", value), `errno ${EPERM}`);
});

test("a tracer is allowed from the kernel on that shows filters what it changed", (t) => {
  const number = syscallNumbers("x86_64").get("ptrace") ?? 0;
  const on = (kernel: string): string => {
    const bytes = compileSeccomp({
      profile: defaultSeccompProfile,
      architecture: "x86_64",
      capabilities: [],
      kernel,
    });
    const data = { number, architecture: auditArchitectures.x86_64, arguments: [] };
    return describeResult(runProgram(decodeProgram(bytes), data));
  };
  t.is(on("4.8.0"), "allow");
  t.is(on("4.7.10"), `errno ${ENOSYS}`);
});
