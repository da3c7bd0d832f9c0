/** Routes of `RegistryControl`. */
import { z } from "zod";
import { answer, type Call, parse, type Route } from "./route.ts";
import { streamTransfer } from "./transfer-stream.ts";

/** Empty: Docker Hub. */
const Registry = z.string().max(255);

const LoginBody = z.strictObject({
  registry: Registry,
  username: z.string().min(1).max(1024),
  password: z.string().min(1).max(65_536),
});
const LogoutBody = z.strictObject({ registry: Registry });

const Reference = z.string().min(1).max(1024);
const PushBody = z.strictObject({ name: Reference, target: Reference.optional() });
const CopyBody = z.strictObject({
  from: Reference,
  to: Reference,
  all: z.boolean().default(false),
});
const TagsQuery = z.strictObject({ repository: Reference });
const DeleteBody = z.strictObject({ reference: Reference });

export const registryRoutes: readonly (readonly [string, Route])[] = [
  [
    "POST /v1/login",
    answer(LoginBody, ({ control, abort }, { registry, ...credentials }) =>
      control.logIn(registry, credentials, abort),
    ),
  ],
  ["POST /v1/logout", answer(LogoutBody, ({ control }, { registry }) => control.logOut(registry))],
  ["POST /v1/push", push],
  ["POST /v1/copy", copy],
  [
    "GET /v1/remote-tags",
    answer(TagsQuery, async ({ control, abort }, { repository }) => ({
      repository,
      tags: await control.remoteTags(repository, abort),
    })),
  ],
  [
    "POST /v1/delete-remote",
    answer(DeleteBody, ({ control, abort }, { reference }) =>
      control.deleteRemote(reference, abort),
    ),
  ],
];

async function push(call: Call, input: unknown): Promise<void> {
  const { name, target } = parse(PushBody, input);
  const { control, abort } = call;
  await streamTransfer(call, async (onProgress) => ({
    pushed: await control.pushImage(name, {
      abort,
      onProgress,
      ...(target === undefined ? {} : { target }),
    }),
  }));
}

async function copy(call: Call, input: unknown): Promise<void> {
  const { from, to, all } = parse(CopyBody, input);
  const { control, abort } = call;
  await streamTransfer(call, async (onProgress) => ({
    copied: await control.copyImage(from, to, { all, abort, onProgress }),
  }));
}
