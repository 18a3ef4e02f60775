/**
 * The timestamp authority: RFC 3161 over HTTP (§3.4).
 *
 * @module
 */

import { createHash, randomBytes } from "node:crypto"
import { GitsignError, isGitsignError, messageOf } from "../errors.ts"
import { CMS_OID } from "../formats/cms.ts"
import { encodeUnsignedInteger } from "../formats/der.ts"
import {
  encodeTimeStampReq,
  GRANTED,
  parseTimeStampResp,
  parseTimeStampToken,
  type TimeStampResp,
} from "../formats/tsp.ts"
import { printable, refusal } from "./answer.ts"
import type { HttpClient, HttpResponse } from "./http.ts"

export interface TimestampAuthorityOptions {
  /** The address requests are posted to, such as https://timestamp.sigstore.dev/api/v1/timestamp. */
  readonly url: string
  readonly http: HttpClient
  readonly signal?: AbortSignal | undefined
}

/** PKIFailureInfo (RFC 3161 §2.4.2), by bit. */
const FAILURES: Readonly<Record<number, string>> = {
  0: "unknown hash algorithm",
  2: "bad request",
  5: "bad data format",
  14: "its clock is not available",
  15: "unaccepted policy",
  16: "unaccepted extension",
  17: "additional information not available",
  25: "system failure",
}

/**
 * Makes the function that gets a TimeStampToken (DER) over SHA-256 of the given signature bytes. The token is for what was
 * asked: same imprint, same nonce. The caller MUST verify its signature.
 *
 * The returned function throws ERR_TSA when the authority refuses or answers something else, ERR_NETWORK when it does not answer.
 */
export function createTimestampAuthority(
  options: TimestampAuthorityOptions,
): (signature: Uint8Array) => Promise<Uint8Array> {
  return async (signature) => {
    const digest = createHash("sha256").update(signature).digest()
    const nonce = randomBytes(16)
    const response = await options.http.request({
      url: options.url,
      method: "POST",
      headers: { "content-type": "application/timestamp-query", accept: "application/timestamp-reply" },
      body: encodeTimeStampReq({ digest, nonce }),
      repeatable: true,
      signal: options.signal,
    })
    if (response.status !== 200 && response.status !== 201) throw refusal(response, "ERR_TSA")
    try {
      return readToken(response, digest, nonce)
    } catch (cause) {
      if (isGitsignError(cause) && cause.code === "ERR_TSA") throw cause
      const message = `${response.peer} answered with a timestamp that cannot be read: ${messageOf(cause)}`
      throw new GitsignError("ERR_TSA", message, { cause })
    }
  }
}

function readToken(response: HttpResponse, digest: Uint8Array, nonce: Uint8Array): Uint8Array {
  const { peer, headers, body } = response
  const fail = (message: string): never => {
    throw new GitsignError("ERR_TSA", `${peer} ${message}`)
  }
  const type = headers["content-type"] ?? ""
  if (!/^application\/timestamp-reply\s*(;|$)/i.test(type)) {
    return fail(`answered with the content type "${printable(type)}" instead of application/timestamp-reply`)
  }
  const answer = parseTimeStampResp(body)
  if (answer.status !== GRANTED) return fail(`did not grant the timestamp: ${reasonOf(answer)}`)
  if (answer.token === undefined) return fail("granted a timestamp and sent none")
  const { tstInfo } = parseTimeStampToken(answer.token)
  const { hashAlgorithm, hashedMessage } = tstInfo.messageImprint
  if (hashAlgorithm !== CMS_OID.sha256 || Buffer.compare(hashedMessage, digest) !== 0) {
    return fail("answered with a timestamp for something else")
  }
  // The nonce is what makes this the answer to this request, and not an old one played again.
  const expected = encodeUnsignedInteger(nonce).subarray(2)
  if (tstInfo.nonce === undefined || Buffer.compare(tstInfo.nonce, expected) !== 0) {
    return fail("answered with a timestamp for another request (the nonce differs)")
  }
  return answer.token
}

function reasonOf(answer: TimeStampResp): string {
  const failure =
    answer.failInfo === undefined ? undefined : (FAILURES[answer.failInfo] ?? `failure ${answer.failInfo}`)
  const parts = [`status ${answer.status}`, failure, answer.statusText && printable(answer.statusText)]
  return parts.filter((part) => part !== undefined && part !== "").join(", ")
}
