import type { z } from "zod";
import { byKind, grammar } from "./by-kind.ts";

/**
 * `[HOST[:PORT]/]NAME[:TAG][@DIGEST]` after the grammar of the distribution project; kept as
 * written.
 */
export const ImageReference = byKind({
  string: grammar({
    parse: (text) => (text.length <= lengthMax && reference.test(text) ? text : undefined),
    expected: "an image reference such as nginx:1.27 or registry.example:5000/team/web@sha256:…",
  }),
});
export type ImageReference = z.infer<typeof ImageReference>;

const lengthMax = 512;
const label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const host = `(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?`;
const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const tag = ":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const digest = "@(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})";
const reference = new RegExp(
  `^(?:${host}/)?${component}(?:/${component})*(?:${tag})?(?:${digest})?$`,
);
