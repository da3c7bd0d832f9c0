/**
 * `node:http` without what `import` brings along: importing it reads every export once, and one of them loads all of
 * undici, which is 12 MiB of memory and 20 ms that neither the agent nor a verb needs.
 */
export const http = process.getBuiltinModule("node:http");
