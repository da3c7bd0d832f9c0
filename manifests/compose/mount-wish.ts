import type { MountPropagation } from "../desired-state.ts";

/** A mount as the manifest wishes it: a volume without `source` is an anonymous one. */
export type MountWish =
  | {
      readonly type: "volume";
      readonly source?: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly copy: boolean;
      readonly subpath?: string;
    }
  | {
      readonly type: "bind";
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly createHostPath: boolean;
      readonly propagation?: MountPropagation;
      readonly recursive?: boolean;
    }
  | {
      readonly type: "tmpfs";
      readonly target: string;
      readonly readOnly: boolean;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
      readonly exec?: boolean;
    };

/** Why a mount cannot be had, as the schemas report it. */
export type MountIssue = { readonly code: "custom"; readonly message: string };
