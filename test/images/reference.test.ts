import test from "ava";
import { formatReference, parseReference } from "../../runtime/images/reference.ts";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;

const fullForms: readonly (readonly [string, string])[] = [
  ["nginx", "docker.io/library/nginx:latest"],
  ["nginx:1.27", "docker.io/library/nginx:1.27"],
  ["docker.io/nginx", "docker.io/library/nginx:latest"],
  ["index.docker.io/library/nginx", "docker.io/library/nginx:latest"],
  ["grafana/grafana:11", "docker.io/grafana/grafana:11"],
  ["localhost/web", "localhost/web:latest"],
  ["localhost:5000/a/b/c:x", "localhost:5000/a/b/c:x"],
  ["host:5000/a", "host:5000/a:latest"],
  ["Host/a", "Host/a:latest"],
  ["ghcr.io/a/b_c.d-e__f:V1.0_x", "ghcr.io/a/b_c.d-e__f:V1.0_x"],
  ["[::1]:5000/a", "[::1]:5000/a:latest"],
  [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
  [`host:5000/a:1@${digest}`, `host:5000/a@${digest}`],
];

for (const [written, full] of fullForms) {
  test(`${written} is read as ${full}, which is read as itself`, (t) => {
    t.is(formatReference(parseReference(written)), full);
    t.is(formatReference(parseReference(full)), full);
  });
}

const malformed: readonly string[] = [
  "",
  "Nginx",
  "a//b",
  "/a",
  "a/",
  "a:",
  "a:-x",
  `a:${"x".repeat(129)}`,
  "a..b",
  "a___b",
  "a/../b",
  "host:port/a",
  "https://host/a",
  "user@host/a",
  "a@sha256:abc",
  `a@sha256:${"A".repeat(64)}`,
  `a@sha512:${"a".repeat(128)}`,
  "0123456789abcdef".repeat(4),
  `${"a".repeat(300)}`,
  "a b",
  "a\nb",
  "-a",
  "host.example/%2e%2e/a",
];

for (const text of malformed) {
  test(`${JSON.stringify(text.slice(0, 40))} is refused as a reference`, (t) => {
    t.throws(() => parseReference(text), { name: "ImageError" });
  });
}
