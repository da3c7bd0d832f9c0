/** Routes of `RegistryControl`. */
import { z } from "zod";
import { answer, type Route } from "./route.ts";

/** Empty: Docker Hub. */
const Registry = z.string().max(255);

const LoginBody = z.strictObject({
  registry: Registry,
  username: z.string().min(1).max(1024),
  password: z.string().min(1).max(65_536),
});
const LogoutBody = z.strictObject({ registry: Registry });

export const registryRoutes: readonly (readonly [string, Route])[] = [
  [
    "POST /v1/login",
    answer(LoginBody, ({ control, abort }, { registry, ...credentials }) =>
      control.logIn(registry, credentials, abort),
    ),
  ],
  ["POST /v1/logout", answer(LogoutBody, ({ control }, { registry }) => control.logOut(registry))],
];
