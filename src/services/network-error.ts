/**
 * What a failed connection means, in words: system errors (errno), TLS certificate errors and HTTP parser errors.
 *
 * @module
 */

import { messageOf } from "../errors.ts"

/** What happened, and whether the peer broke off a connection it had accepted. */
export interface NetworkErrorDescription {
  readonly message: string
  readonly dropped: boolean
}

const UNREACHABLE: ReadonlySet<string> = new Set(["EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "EADDRNOTAVAIL"])

const UNTRUSTED: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_UNTRUSTED",
])

/** Describes an error of a connection to `peer`; both the message and the code of an unknown error are kept. */
export function describeNetworkError(peer: string, error: unknown): NetworkErrorDescription {
  const code = codeOf(error)
  const is = (message: string, dropped = false): NetworkErrorDescription => ({ message: `${peer} ${message}`, dropped })
  if (code === "ECONNREFUSED") return is("refused the connection")
  if (code === "ENOTFOUND") return is("is not known to the name service")
  if (code === "EAI_AGAIN") return is("could not be looked up: the name service does not answer")
  if (code === "ECONNRESET" || code === "EPIPE") return is("closed the connection before it had answered", true)
  if (code === "ETIMEDOUT") return is("did not answer")
  if (UNREACHABLE.has(code)) return is("cannot be reached from this network")
  if (code.startsWith("HPE_")) return is("did not answer in HTTP")
  if (UNTRUSTED.has(code)) return is("has a certificate from an authority that this machine does not trust")
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") return is("has a certificate that is not valid now")
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return is("has a certificate for another name")
  if (code === "EPROTO" || code.startsWith("ERR_SSL_")) return is("does not speak TLS as it should")
  return {
    message: `the request to ${peer} failed: ${messageOf(error)}${code === "" ? "" : ` (${code})`}`,
    dropped: false,
  }
}

/** The code of an error; several addresses tried in turn give one error that holds the others. */
function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return ""
  if ("code" in error && typeof error.code === "string") return error.code
  if ("errors" in error && Array.isArray(error.errors)) return codeOf(error.errors[0])
  return ""
}
