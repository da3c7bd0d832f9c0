/**
 * What the operator said on the command line. An undefined field is taken from the config file, then from the
 * default in `settings.ts`.
 */
export type AgentOptions = {
  /** URL or path of the git repository. */
  readonly repo?: string | undefined;
  readonly ref?: string | undefined;
  /** Directory of the repository below which apps are looked for. */
  readonly path?: string | undefined;
  readonly host?: string | undefined;
  /** `30s`, `5m`, or a cron expression. */
  readonly interval?: string | undefined;
  /** `127.0.0.1:9477`, `[::1]:9477`, or `none`. */
  readonly listen?: string | undefined;
  readonly configFile?: string | undefined;
  /** Default: /etc/berth/policy.yaml where it is there. */
  readonly policyFile?: string | undefined;
  readonly libDir: string;
  readonly runDir: string;
  readonly instance: string;
};
