// The guest's tests need an image that test/vm/run builds, and minutes.
const inGuests = process.env.BERTH_VM_PART !== undefined;

export default {
  extensions: ["ts"],
  files: inGuests ? ["test/vm/*.test.ts"] : ["test/**/*.test.ts", "!test/vm/**"],
  concurrency: 2,
  timeout: inGuests ? "16m" : "5m",
  workerThreads: false,
};
