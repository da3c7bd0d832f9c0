/** A copy of files between a container and whoever asks, as a tar archive on the session's standard streams. */
export type CopySpec = {
  /** In the container; resolved from its root. */
  readonly path: string;
  /** Of file content. */
  readonly bytesMax: number;
  readonly entriesMax: number;
} & (
  | {
      readonly direction: "out";
      /** What a symbolic link at the end of the path leads to, not the link. */
      readonly followLink: boolean;
      /** What the path's file or directory is called in the archive. */
      readonly entryName: string;
    }
  | {
      readonly direction: "in";
      /** The archive is unpacked in the path; else it is what `out` has sent, and put there as docker-cp(1) says. */
      readonly extract: boolean;
      /** The source's name, which it gets in a directory that is there; empty: none. */
      readonly sourceName: string;
      /** Not the source's directory, but what is in it. */
      readonly contents: boolean;
      /** Owners are those of the archive; else the container's root. */
      readonly keepIds: boolean;
    }
);
