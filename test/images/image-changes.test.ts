import test from "ava";
import { applyChanges } from "../../runtime/images/image-changes.ts";

const cases: readonly (readonly [string, object, object])[] = [
  ['CMD ["a", "b c"]', {}, { Cmd: ["a", "b c"] }],
  ["CMD echo $HOME", { Cmd: ["old"] }, { Cmd: ["/bin/sh", "-c", "echo $HOME"] }],
  ['entrypoint ["/bin/x"]', { Cmd: ["y"] }, { Cmd: ["y"], Entrypoint: ["/bin/x"] }],
  [
    `ENV A=1 B="two words" C='a\\b' D=e\\ f`,
    { Env: ["A=0", "Z=9"] },
    {
      Env: ["A=1", "Z=9", "B=two words", "C=a\\b", "D=e f"],
    },
  ],
  ["ENV A the whole rest", {}, { Env: ["A=the whole rest"] }],
  [
    "EXPOSE 80 53/udp",
    { ExposedPorts: { "22/tcp": {} } },
    {
      ExposedPorts: { "22/tcp": {}, "80/tcp": {}, "53/udp": {} },
    },
  ],
  ["LABEL a=b c=", { Labels: { a: "x", z: "y" } }, { Labels: { a: "b", z: "y", c: "" } }],
  ["ONBUILD RUN make", {}, { OnBuild: ["RUN make"] }],
  ["STOPSIGNAL SIGQUIT", {}, { StopSignal: "SIGQUIT" }],
  ["USER web:www", {}, { User: "web:www" }],
  ['VOLUME ["/data", "/log"]', {}, { Volumes: { "/data": {}, "/log": {} } }],
  ["VOLUME /data /log", {}, { Volumes: { "/data": {}, "/log": {} } }],
  ["WORKDIR /srv", {}, { WorkingDir: "/srv" }],
];

for (const [change, before, after] of cases) {
  test(`${change} changes ${JSON.stringify(before)} as in a Dockerfile`, (t) => {
    t.deepEqual(applyChanges(before as Record<string, unknown>, [change]), after as never);
  });
}

for (const change of [
  "RUN make",
  "COPY a b",
  "CMD",
  "ENV A",
  "ENV =b",
  'LABEL a="b',
  "EXPOSE http",
  "WORKDIR srv",
  "USER a b",
  'CMD [1, "a"]',
  "",
]) {
  test(`${JSON.stringify(change)} is refused with what is expected`, (t) => {
    t.throws(() => applyChanges({}, [change]), { message: /cannot be read .* as in a Dockerfile/ });
  });
}
