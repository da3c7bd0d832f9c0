import type { Notification } from "./notification.ts";
import type { Occasion, TargetOf } from "./notify-config.ts";
import { type Post, post } from "./post.ts";
import { readSecret } from "./read-secret.ts";

type Target = TargetOf<"commit-status">;
type State = "pending" | "success" | "failure";

const states: Readonly<Record<Occasion, State>> = {
  started: "pending",
  healthy: "success",
  failed: "failure",
  "rolled-back": "failure",
  refused: "failure",
};
/** What GitHub takes at most. */
const descriptionCharactersMax = 140;

/**
 * Sets the status of the commit at its forge: GitHub "Create a commit status", GitLab "Set commit pipeline status",
 * Gitea and Forgejo "createStatus". One status for each host and app.
 */
export async function setCommitStatus(
  target: Target,
  notification: Notification,
  abort: AbortSignal,
): Promise<void> {
  if (notification.revision === null || !/^[0-9a-f]{40,64}$/.test(notification.revision)) return;
  const token = await readSecret(target.tokenFile);
  await post({ ...compose(target, notification, token), abort });
}

function compose(
  { forge, api, repository }: Target,
  { occasion, host, app, message, revision }: Notification,
  token: string,
): Omit<Post, "abort"> {
  const context = app === null ? `berth/${host}` : `berth/${host}/${app}`;
  const description = message.slice(0, descriptionCharactersMax);
  const state = states[occasion];
  const base = api.replace(/\/$/, "");
  const json = { "content-type": "application/json", "user-agent": "berth" };
  if (forge === "gitlab") {
    const project = encodeURIComponent(repository);
    return {
      url: `${base}/projects/${project}/statuses/${revision}`,
      headers: { ...json, "private-token": token },
      body: JSON.stringify({
        state: state === "failure" ? "failed" : state,
        name: context,
        description,
      }),
    };
  }
  const scheme = forge === "github" ? "Bearer" : "token";
  return {
    url: `${base}/repos/${repository}/statuses/${revision}`,
    headers: { ...json, authorization: `${scheme} ${token}` },
    body: JSON.stringify({ state, context, description }),
  };
}
