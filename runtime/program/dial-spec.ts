/** A TCP connection from within a container's network. */
export type DialSpec = {
  /** IPv4, as that network sees it. */
  readonly address: string;
  readonly port: number;
  /** The session's stdin and stdout are the connection; else the session ends with code 0 once it is made. */
  readonly relay: boolean;
};
