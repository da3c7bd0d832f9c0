import test from "ava";
import { Registries, registrySettings } from "../../agent/settings/registry-config.ts";
import { chooseProxy, readProxyEnvironment } from "../../runtime/registry/proxy-choice.ts";

const via = (url: string, noProxy: string): boolean =>
  chooseProxy(
    new URL(url),
    readProxyEnvironment({
      HTTP_PROXY: "http://proxy:3128",
      https_proxy: "proxy:3129",
      NO_PROXY: noProxy,
    }),
  ) !== undefined;

test("each scheme has its proxy, and lower-case names hold too", (t) => {
  const settings = readProxyEnvironment({ http_proxy: "http://a:1", HTTPS_PROXY: "b:2" });
  t.is(chooseProxy(new URL("http://x/"), settings), "http://a:1");
  t.is(chooseProxy(new URL("https://x/"), settings), "http://b:2");
  t.is(chooseProxy(new URL("https://x/"), readProxyEnvironment({})), undefined);
});

test("NO_PROXY exempts names with what is below them, suffixes, addresses, networks and ports", (t) => {
  const cases: readonly (readonly [noProxy: string, url: string, exempt: boolean])[] = [
    ["example.com", "https://example.com/", true],
    ["example.com", "https://a.example.com/", true],
    ["example.com", "https://badexample.com/", false],
    [".example.com", "https://a.example.com/", true],
    [".example.com", "https://example.com/", false],
    ["*.example.com", "https://a.example.com/", true],
    ["EXAMPLE.com", "https://Example.COM./", true],
    ["example.com:5000", "https://example.com:5000/", true],
    ["example.com:5000", "https://example.com/", false],
    ["example.com:443", "https://example.com/", true],
    ["10.0.0.0/8", "http://10.20.30.40/", true],
    ["10.0.0.0/8", "http://11.0.0.1/", false],
    ["10.0.0.0/8", "http://ten.example/", false],
    ["10.0.0.0/33", "http://10.0.0.1/", false],
    ["192.0.2.7", "http://192.0.2.7:5000/", true],
    ["192.0.2.7:80", "http://192.0.2.7:5000/", false],
    ["fd00::/8", "http://[fd12::1]/", true],
    ["2001:db8::1", "http://[2001:db8::1]/", true],
    ["[2001:db8::1]:80", "http://[2001:db8::1]/", true],
    ["a.example, b.example", "https://b.example/", true],
    ["*", "https://anything/", true],
    ["", "https://anything/", false],
    [":80", "http://anything/", false],
  ];
  for (const [noProxy, url, exempt] of cases) t.is(!via(url, noProxy), exempt, `${noProxy} ${url}`);
});

test("loopback is never asked through a proxy", (t) => {
  for (const host of ["localhost", "127.0.0.1", "127.8.9.1:5000", "[::1]:80"]) {
    t.false(via(`http://${host}/`, ""), host);
  }
});

test("what is no HTTP proxy's address is told when it would be used, without its password", (t) => {
  for (const value of ["socks5://u:hunter2@x:1", "http://", "http://u:%zz@x"]) {
    const settings = readProxyEnvironment({ HTTPS_PROXY: value, NO_PROXY: "near.example" });
    t.is(chooseProxy(new URL("https://near.example/"), settings), undefined);
    const error = t.throws(() => chooseProxy(new URL("https://far.example/"), settings));
    t.regex(error?.message ?? "", /proxy for https.*to http:\/\/\[user:password@\]host:port/);
    t.notRegex(error?.message ?? "", /hunter2/);
  }
});

test("the config file's proxy wins over the environment's, part by part", (t) => {
  const environment = { HTTP_PROXY: "e:1", HTTPS_PROXY: "e:2", NO_PROXY: "e.example" };
  t.deepEqual(registrySettings({ proxy: { https: "f:3" } }, environment).proxy, {
    http: "e:1",
    https: "f:3",
    noProxy: ["e.example"],
  });
  t.deepEqual(registrySettings({ proxy: { noProxy: ["10.0.0.0/8"] } }, {}).proxy, {
    noProxy: ["10.0.0.0/8"],
  });
});

test("a name of a registry that is none is told with what is expected", (t) => {
  const parsed = Registries.safeParse({ "https://registry.example": { plainHttp: true } });
  t.is(parsed.error?.issues[0]?.message, "expected host or host:port");
  t.true(Registries.safeParse({ "[::1]:5000": { mirrors: ["m.example/hub"] } }).success);
  for (const mirror of ["https://m.example", "m.example/", "M.example"]) {
    t.false(Registries.safeParse({ "a.example": { mirrors: [mirror] } }).success, mirror);
  }
});

test("a registry that is insecure keeps its other settings", (t) => {
  const { hosts } = registrySettings(
    { insecureRegistries: ["a:5000"], registries: { "a:5000": { mirrors: ["m"] } } },
    {},
  );
  t.deepEqual(hosts, { "a:5000": { mirrors: ["m"], plainHttp: true } });
});
