/**
 * git's own question with a policy: whether a good signature is by somebody who may sign. Loaded only where gitsign.policy is set.
 *
 * @module
 */

import { checkOf, problemOf } from "../audit/check.ts"
import type { Config } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { formatOfPayload, loggedObjectIds, parseTag, signatureMarker } from "../formats/git-object.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import { encodePem, SIGNATURE_LABEL } from "../formats/pem.ts"
import type { VerificationSummary } from "../verify/summary.ts"
import type { Signed, VerifyOptions } from "../verify/verify.ts"
import { configuredPolicy } from "./audit-options.ts"
import type { CommandIo } from "./io.ts"
import { type EntrySources, verifyWithLog } from "./verification.ts"

/**
 * Verifies what git hands over and judges the signer by gitsign.policy. git tells neither branch nor paths: a commit's signer has to
 * satisfy one rule for commits, whatever its branch; a tag's those for its name.
 *
 * @throws ERR_POLICY and its kin when the policy cannot be used: then nothing was checked
 */
export async function verifyWithPolicy(
  signed: Signed,
  options: VerifyOptions,
  sources: EntrySources,
  io: CommandIo,
  config: Config,
): Promise<VerificationSummary> {
  const policy = await configuredPolicy(io, config)
  if (policy === undefined) return verifyWithLog(signed, options, sources)
  const strict = await verifyWithLog(signed, options, sources)
  const isSct = strict.error?.code === "ERR_SCT" || strict.error?.code === "ERR_SCT_MISSING"
  const summary = isSct ? await verifyWithLog(signed, { ...options, ignoreSct: true }, sources) : strict
  const sctProblem = isSct && strict.error !== undefined ? problemOf(strict.error) : undefined
  const { proven } = checkOf(summary, "keyless", sctProblem)
  const { payload } = signed
  if (proven === undefined || payload === undefined) return strict
  const { compiled } = policy
  const { committer, parents, targetType, target } = summarizeObject(payload)
  const [id = ""] = loggedObjectIds(payload, armorOf(signed.signature))
  const { type } = formatOfPayload(payload)
  const tag = type === "tag" ? (parseTag(payload).tagName ?? "") : undefined
  const rules = compiled.rulesFor(type, tag === undefined ? undefined : `refs/tags/${tag}`)
  const object = {
    type,
    id,
    committerEmail: committer.email,
    parents,
    paths: undefined,
    cleanMerge: undefined,
  } as const
  const exempt = compiled.exemption({ ...object, committerDate: undefined }, false, rules)
  if (exempt === undefined && type === "tag" && targetType === "tag") {
    const message = `the tag ${tag} is for another tag, ${target.slice(0, 12)}, and not for a commit`
    return { ...strict, verdict: "failed", error: new GitsignError("ERR_TAG_TARGET", message) }
  }
  const { refusal } = exempt ?? compiled.judge(object, rules, proven)
  if (refusal === undefined) return summary
  const { code, message, hint } = refusal
  return {
    ...summary,
    verdict: "failed",
    notAllowed: true,
    error: new GitsignError(code, message, hint === undefined ? {} : { hint }),
    steps: summary.steps.map((one) => (one.step === "identity" ? { ...one, outcome: "failed" } : one)),
  }
}

const armorOf = (signature: Uint8Array): Uint8Array =>
  signatureMarker(signature) === undefined ? Buffer.from(encodePem(SIGNATURE_LABEL, signature), "latin1") : signature
