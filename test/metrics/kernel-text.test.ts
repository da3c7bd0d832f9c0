import test from "ava";
import { emptyReading, type Figure, figureIndex, type Reading } from "../../metrics/figures.ts";
import {
  blkioOperations,
  countLines,
  ioStat,
  keyedNumbers,
  numberPair,
  type Parser,
  pressure,
  singleNumber,
} from "../../metrics/kernel-text.ts";

/** The buffer is longer than the content, as it is when files share one. */
function parse(parser: Parser, text: string): Reading {
  const reading = emptyReading();
  const bytes = Buffer.from(`${text}77 leftovers of the file before\n`);
  parser(bytes, Buffer.byteLength(text), reading);
  return reading;
}

const figure = (reading: Reading, name: Figure): number | undefined =>
  reading.values[figureIndex[name]];

test("a single number is read to its last digit", (t) => {
  t.is(
    figure(parse(singleNumber("memoryUsage"), "9007199254740991\n"), "memoryUsage"),
    2 ** 53 - 1,
  );
});

test("no limit is told apart from a limit in every spelling that kernels have", (t) => {
  for (const text of ["max\n", "-1\n", "9223372036854771712\n", "18446744073709551615\n"]) {
    t.is(figure(parse(singleNumber("memoryLimit", 0), text), "memoryLimit"), 0, text);
  }
  t.is(figure(parse(singleNumber("memoryLimit", 0), "4096\n"), "memoryLimit"), 4096);
});

test("cpu.max gives quota and period", (t) => {
  const parser = numberPair("cpuQuotaUs", "cpuPeriodUs");
  const limited = parse(parser, "50000 100000\n");
  t.deepEqual([figure(limited, "cpuQuotaUs"), figure(limited, "cpuPeriodUs")], [50000, 100000]);
  const free = parse(parser, "max 100000\n");
  t.deepEqual([figure(free, "cpuQuotaUs"), figure(free, "cpuPeriodUs")], [Number.NaN, 100000]);
});

test("only the keys that are asked for are taken, each from its own line", (t) => {
  const parser = keyedNumbers({
    rss: ["memoryRss"],
    total_rss: ["memoryCache"],
    ns: ["cpuUsageUs", 0.001],
  });
  const reading = parse(parser, "rss 1\nrss_huge 2\ntotal_rss 3\ntotal_rss_huge 4\nns 12345\n");
  t.is(figure(reading, "memoryRss"), 1);
  t.is(figure(reading, "memoryCache"), 3);
  t.is(figure(reading, "cpuUsageUs"), 12);
});

test("an empty file and one cut short leave figures out", (t) => {
  const parser = keyedNumbers({ rss: ["memoryRss"] });
  t.is(figure(parse(parser, ""), "memoryRss"), Number.NaN);
  t.is(figure(parse(parser, "rss"), "memoryRss"), Number.NaN);
  t.is(figure(parse(singleNumber("memoryUsage"), ""), "memoryUsage"), Number.NaN);
});

test("pressure totals are taken, and full is absent where the kernel has none", (t) => {
  const parser = pressure("cpuWaitingUs", "cpuStalledUs");
  const some = "some avg10=0.00 avg60=1.50 avg300=0.00 total=123456\n";
  const both = parse(parser, `${some}full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n`);
  t.deepEqual([figure(both, "cpuWaitingUs"), figure(both, "cpuStalledUs")], [123456, 7]);
  t.is(figure(parse(parser, some), "cpuStalledUs"), Number.NaN);
});

test("v1 block operations are taken by device and the totals left out", (t) => {
  const reading = parse(
    blkioOperations("readBytes", "writeBytes"),
    "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 1\n254:0 Total 12288\n7:1 Read 1\n7:1 Write 0\nTotal 12289\n",
  );
  t.deepEqual([...reading.devices.keys()], ["254:0", "7:1"]);
  t.deepEqual([...(reading.devices.get("254:0") ?? [])], [4096, 8192, Number.NaN, Number.NaN]);
});

test("v2 block figures are taken whatever other keys there are", (t) => {
  const reading = parse(
    ioStat,
    "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7\n253:16\n",
  );
  t.deepEqual([...(reading.devices.get("254:0") ?? [])], [1, 2, 3, 4]);
  t.false(reading.devices.has("253:16"));
});

test("processes are counted", (t) => {
  t.is(figure(parse(countLines("processes"), "12\n3456\n7\n"), "processes"), 3);
});
