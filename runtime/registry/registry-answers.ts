import * as z from "zod";
import { ImageError, printable } from "../images/image-error.ts";
import { parseJson } from "../images/manifest-document.ts";
import { readBody } from "../images/read-body.ts";
import type { HttpAnswer } from "./http-exchange.ts";
import { rateLimited } from "./http-exchange.ts";
import { accessDenied } from "./registry-login.ts";

const ERROR_BODY_BYTES_MAX = 64 * 1024;

const ErrorAnswer = z.object({
  errors: z
    .array(z.object({ code: z.string().optional(), message: z.string().optional() }))
    .optional(),
});

/** The error for an answer that is none of those that were hoped for. Reads what the registry says of it. */
export async function refusal(
  answer: HttpAnswer,
  about: {
    readonly registry: string;
    /** `tag 1 of team/app` */
    readonly what: string;
  },
): Promise<ImageError> {
  const { registry, what } = about;
  const said = await errorText(answer);
  const status = `${answer.status}${said === "" ? "" : ` (${said})`}`;
  if (answer.status === 401 || answer.status === 403) return accessDenied(registry, "rejected");
  if (answer.status === 404) {
    return new ImageError({
      because: `registry ${registry} has no ${what}: it answered ${status}`,
      fix: "check the name and the tag, and that the image was pushed",
      kind: "stalled",
      isAbsence: true,
    });
  }
  if (answer.status === 429) {
    return rateLimited(registry, answer.retryAtMs, said === "" ? "" : `: ${said}`);
  }
  const { retryAtMs } = answer;
  return new ImageError({
    because: `registry ${registry} answered ${status}`,
    fix: answer.status >= 500 ? "try again later or look at the registry's log" : "check the name",
    kind: answer.status >= 500 ? "retryable" : "stalled",
    ...(retryAtMs === undefined ? {} : { retryAtMs }),
  });
}

/** What the registry says of its error (distribution-spec, "Error Codes"), as one safe line. */
async function errorText(answer: HttpAnswer): Promise<string> {
  try {
    const body = parseJson(await readBody(answer.body, ERROR_BODY_BYTES_MAX, "it"), "the error");
    const first = ErrorAnswer.parse(body).errors?.[0];
    return printable(first?.message ?? first?.code ?? "", 200);
  } catch {
    return "";
  }
}
