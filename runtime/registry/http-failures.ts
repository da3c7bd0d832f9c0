import { ImageError, printable } from "../images/image-error.ts";

/** By `code` or `name` of the error; an abort by the caller is told apart by the caller. */
const failureWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "its name cannot be resolved",
  EAI_AGAIN: "its name cannot be resolved now",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "there is no network",
  ECONNRESET: "it closed the connection",
  UND_ERR_SOCKET: "it closed the connection",
  UND_ERR_CONNECT_TIMEOUT: "it does not answer",
  UND_ERR_HEADERS_TIMEOUT: "it does not answer the request",
  UND_ERR_BODY_TIMEOUT: "it stopped sending",
  TimeoutError: "it takes longer than is allowed",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is of an authority that is not known here",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is of an authority that is not known here",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by nobody but itself",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  ERR_SSL_WRONG_VERSION_NUMBER:
    "it speaks no TLS: if it is to be spoken to in plain HTTP, say plainHttp of it in the config file",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "it asks for a client certificate",
};

/** Says in words why a host could not be spoken to. `via` names the proxy, with a space before it. */
export function unreachable(host: string, cause: unknown, via = ""): ImageError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const name = cause instanceof Error ? cause.name : "";
  const message = cause instanceof Error ? cause.message : String(cause);
  const words = failureWords[code] ?? failureWords[name];
  const why = words === undefined ? printable(message, 200) : `${words}, ${code || name}`;
  return new ImageError({
    because: `registry ${host} cannot be reached${via} (${why})`,
    fix: "check that it runs and that this host's network and TLS certificates allow it",
    kind: "retryable",
    cause,
  });
}

/** The error for a host that behaves as no honest one does. */
export function distrusted(host: string, why: string): ImageError {
  return new ImageError({
    because: `registry ${host} is not to be trusted (${why})`,
    fix: "ask who runs the registry, or use another",
    kind: "stalled",
  });
}
