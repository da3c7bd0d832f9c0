import { constants } from "node:os";
import test from "ava";
import { HelperError } from "../../runtime/helper/helper-error.ts";
import { op, stage } from "../../runtime/protocol.ts";

const { EBADMSG, EPROTONOSUPPORT, ENOENT, ENODEV } = constants.errno;

test("what the helper could not do is told in words, each of them once", (t) => {
  const told = (
    where: keyof typeof stage,
    what: number,
    errno: number,
    object: string,
    detail = "",
  ) => new HelperError({ stage: stage[where], op: what, errno, object, detail }).message;
  t.is(
    told("unpack", 0, EBADMSG, "../evil", "a path with .. is refused"),
    "cannot unpack ../evil: the archive is not sound (EBADMSG): a path with .. is refused",
  );
  t.is(
    told("launcher", op.netlink, EPROTONOSUPPORT, "netlink"),
    "launcher cannot netlink: this kernel does not have the protocol (EPROTONOSUPPORT)",
  );
  t.is(
    told("launcher", op.fsopen, ENODEV, "overlay"),
    "launcher cannot fsopen overlay: this kernel does not have it (ENODEV)",
  );
  t.is(
    told("exec", op.exec, ENOENT, "sh"),
    "cannot execute sh: no such file or directory (ENOENT): a program that is in the image is expected",
  );
});
