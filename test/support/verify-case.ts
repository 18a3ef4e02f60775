/**
 * Verifies one case of `fixtures/` the way the commands do.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../../src/errors.ts"
import { type ObjectFormat, parseSignedObject } from "../../src/formats/git-object.ts"
import { type Authorize, identityCheck } from "../../src/policy/identity.ts"
import { parseRekorResponse } from "../../src/services/rekor.ts"
import type { VerificationSummary } from "../../src/verify/summary.ts"
import { type Signed, verifySignature } from "../../src/verify/verify.ts"
import { type Case, trustedRootOf } from "./fixtures.ts"

/** What came out: the summary, or the error that kept the object from being read at all. */
export interface Outcome {
  readonly result: string
  readonly error: GitsignError | undefined
  readonly summary: VerificationSummary | undefined
}

/** The bytes that a case signs and its signature. @throws GitsignError when the object is malformed or unsigned */
export function signedOf(testCase: Case): Signed {
  if (testCase.kind === "signatures") {
    return {
      payload: testCase.has("payload") ? testCase.read("payload") : undefined,
      signature: testCase.read("signature"),
    }
  }
  const format = (testCase.fields.get("object-format") ?? "sha1") as ObjectFormat
  const type = testCase.kind === "tags" ? "tag" : "commit"
  const { payload, signature } = parseSignedObject(type, testCase.read("object"), format)
  if (signature === undefined) throw new GitsignError("ERR_NOT_SIGNED", `the ${type} is not signed`)
  return { payload, signature }
}

/** The identity that a case asks for: what case.txt says under accept-*, else the signer it expects. */
export function authorizeOf({ fields }: Case): Promise<Authorize> {
  const ref = fields.get("accept-workflow-ref")
  return identityCheck({
    certificateIdentity: fields.get("accept-identity") ?? fields.get("identity"),
    certificateOidcIssuer: fields.get("accept-issuer") ?? fields.get("issuer"),
    ...(ref === undefined ? {} : { workflow: { ref } }),
  })
}

/** Verifies a case of the kinds commits, tags and signatures. */
export async function verifyCase(testCase: Case): Promise<Outcome> {
  const entry = testCase.fields.get("log-entry")
  const options = {
    trustedRoot: trustedRootOf(testCase),
    ignoreSct: testCase.fields.get("ignore-sct") === "true",
    authorize: await authorizeOf(testCase),
    logEntry: entry === undefined ? undefined : parseRekorResponse(testCase.read(entry), "the fixture"),
  }
  try {
    const summary = verifySignature(signedOf(testCase), options)
    return { result: summary.error?.code ?? summary.verdict, error: summary.error, summary }
  } catch (error) {
    if (!isGitsignError(error)) throw error
    return { result: error.code, error, summary: undefined }
  }
}
