import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type TestAuthority = {
  readonly caFile: string;
  /** A certificate for a name or address, and its key. */
  issue(name: string): { readonly certFile: string; readonly keyFile: string };
};

/** An authority of its own, below `root`, made by openssl. */
export function createAuthority(root: string): TestAuthority {
  const place = mkdtempSync(join(root, "ca-"));
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: place, stdio: "ignore" });
  };
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const subject = ["-subj", "/CN=test authority"];
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-days",
    "2",
    ...subject,
  );
  let issued = 0;
  return {
    caFile: join(place, "ca.pem"),
    issue(name) {
      issued += 1;
      const base = `cert${issued}`;
      const kind = /^[\d.]+$/.test(name) ? "IP" : "DNS";
      writeFileSync(
        join(place, `${base}.ext`),
        `subjectAltName=${kind}:${name}\nextendedKeyUsage=serverAuth,clientAuth\n`,
      );
      openssl(
        "req",
        "-new",
        ...newKey,
        "-keyout",
        `${base}.key`,
        "-out",
        `${base}.csr`,
        "-subj",
        `/CN=${name}`,
      );
      const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
      openssl(
        "x509",
        "-req",
        "-in",
        `${base}.csr`,
        "-out",
        `${base}.pem`,
        ...by,
        "-extfile",
        `${base}.ext`,
      );
      return { certFile: join(place, `${base}.pem`), keyFile: join(place, `${base}.key`) };
    },
  };
}
