/**
 * Judges checked objects: by the policy of every ref that each was asked for, or by what flags say.
 *
 * @module
 */

import { type ErrorCode, GitsignError, isGitsignError } from "../errors.ts"
import { signatureMarker } from "../formats/git-object.ts"
import { type Changes, changedPaths } from "../git/changed-paths.ts"
import { areCleanMerges, type Merge } from "../git/clean-merge.ts"
import { type Disguise, replacedObject } from "../git/replaced.ts"
import type { GitContext } from "../git/run.ts"
import type { RuleSet } from "../policy/compile.ts"
import type { Judgement } from "../policy/facts.ts"
import type { StepResult } from "../verify/summary.ts"
import type { AuditOptions, AuditSigner } from "./audit.ts"
import { checkOf, problemOf, type SignatureCheck, signingHint, taggingCommand, takeApart } from "./check.ts"
import { checkWithKeys } from "./check-keys.ts"
import type { PolicyInForce } from "./policy-source.ts"
import type { CheckedWithBytes } from "./read-and-check.ts"
import type { AuditedObject, Problem } from "./result.ts"
import { changesPolicy, type JudgedFacts, policyChange, rootRefusal, rootRefusalByFlags } from "./root-policy.ts"
import { rulesOf } from "./rules.ts"
import type { AuditTarget, Question } from "./targets.ts"

/** What each commit changes, or why that cannot be told; nothing for those of which nobody asked. */
export type ChangedPaths = ReadonlyMap<string, Changes | GitsignError>

/** How one question about one object was answered. */
interface Answer {
  readonly verdict: AuditedObject["verdict"]
  readonly problem: Problem | undefined
  readonly notAllowed: boolean
  readonly identityChecked: boolean
  readonly judgement: Judgement | undefined
  readonly signature: SignatureCheck
}

/** Answers the questions about each object, by the policy of each or by the flags. */
export class Judge {
  readonly #context: GitContext
  readonly #options: AuditOptions
  readonly #byId: ReadonlyMap<string, readonly Question[]>
  readonly #disguise: Disguise
  readonly #paths: ChangedPaths
  #ends = 0

  constructor(
    context: GitContext,
    options: AuditOptions,
    byId: ReadonlyMap<string, readonly Question[]>,
    disguise: Disguise,
    paths: ChangedPaths,
  ) {
    this.#context = context
    this.#options = options
    this.#byId = byId
    this.#disguise = disguise
    this.#paths = paths
  }

  notes(): string[] {
    const ends = "this is a shallow clone: what is behind its oldest commits is not here and was not verified"
    const files =
      "git replace is in use for files: git shows others here than those that were signed; see: git replace -l"
    return [...(this.#ends > 0 ? [ends] : []), ...(this.#disguise.replacedFiles > 0 ? [files] : [])]
  }

  /** Answers every question about an object; the first refusal counts, then what could not be checked. */
  async judge(checked: CheckedWithBytes): Promise<AuditedObject> {
    const answers: Answer[] = []
    for (const question of this.#byId.get(checked.id) ?? []) {
      answers.push(await this.#withDisguise(checked, question, await this.#answer(checked, question)))
    }
    const answer =
      answers.find(({ verdict }) => verdict === "bad") ??
      answers.find(({ verdict }) => verdict === "unchecked") ??
      answers[0]
    if (answer === undefined) throw new GitsignError("ERR_BUG", "nobody asked about this object")
    const [first] = this.#byId.get(checked.id) ?? []
    return audited(checked, answer, first?.target.walk ? (first.target.ref ?? "") : (first?.target.name ?? ""))
  }

  /** Looks for the log entry of a signature in online mode. */
  async withLog(checked: CheckedWithBytes): Promise<CheckedWithBytes> {
    const { signature } = checked
    const { online, signal } = this.#options
    const isMissing = signature.problem?.code === "ERR_LOG_ENTRY_UNAVAILABLE"
    if (!isMissing || online === undefined || signal?.aborted) return checked
    const ignoreSct = signature.sctProblem !== undefined
    const found = await online(takeApart(checked), ignoreSct)
    return { ...checked, signature: checkOf(found, "keyless", signature.sctProblem) }
  }

  async #answer(checked: CheckedWithBytes, question: Question): Promise<Answer> {
    const { policy, noPolicy } = question.target
    if (noPolicy !== undefined) return withoutPolicy(checked, noPolicy)
    const answer =
      policy === undefined ? await this.#byFlags(checked, question) : await this.#byPolicy(checked, question, policy)
    const ref = question.target.ref
    if (!ref?.startsWith("refs/tags/") || question.target.walk) return answer
    const name = ref.slice("refs/tags/".length)
    if (checked.type === "tag" && answer.problem?.code === "ERR_NOT_SIGNED") {
      return { ...answer, problem: { ...answer.problem, hint: signingHint(checked, name) } }
    }
    if (answer.verdict === "bad") return answer
    // A server can hand out the good signature of an old version under the name of a new one.
    if (checked.type === "tag" && checked.tagName !== name) {
      return refused(answer, "ERR_TAG_NAME", `the tag object found as ${name} was made for the name ${checked.tagName}`)
    }
    return answer
  }

  async #byFlags(checked: CheckedWithBytes, question: Question): Promise<Answer> {
    const { signature } = checked
    const base = { identityChecked: false, judgement: undefined, signature, notAllowed: false }
    const failed = failureOf(signature, this.#options.ignoreSct === true)
    if (failed !== undefined) return { ...base, ...failed }
    if (this.#options.authorize === undefined && this.#options.anyIdentity !== true) {
      throw new GitsignError("ERR_BUG", "nobody has said whom to expect")
    }
    const { signer, proven } = signature
    const refusal = signer?.scheme === "keyless" ? this.#options.authorize?.(asSigner(signer)) : undefined
    const identityChecked = this.#options.anyIdentity !== true
    if (refusal !== undefined) {
      const { code, message, hint } = refusal
      return { ...base, verdict: "bad", problem: { code, message, hint }, notAllowed: true, identityChecked }
    }
    const root = this.#options.rootPolicy
    if (root !== undefined && proven !== undefined) {
      const changed = this.#paths.get(checked.id)
      const ref = refFor(checked, question.target.ref)
      const byRoot = await rootRefusalByFlags(this.#context, root, factsOf(checked, changed), ref, proven)
      if (byRoot !== undefined && isGitsignError(changed)) return { ...base, ...notTold(changed), identityChecked }
      // There every commit seems to change all that it has.
      if (byRoot !== undefined && checked.summary.parents.length > 0 && this.#disguise.shallow.has(checked.id)) {
        const message = "this shallow clone ends here, so that nobody can say what it changes"
        const { code, hint } = new GitsignError("ERR_SHALLOW", message)
        return { ...base, verdict: "unchecked", problem: { code, message, hint }, identityChecked }
      }
      if (byRoot?.code === "ERR_REF_REQUIRED")
        return { ...base, verdict: "unchecked", problem: byRoot, identityChecked }
      if (byRoot !== undefined) return { ...base, verdict: "bad", problem: byRoot, notAllowed: true, identityChecked }
    }
    return { ...base, verdict: "ok", problem: undefined, identityChecked }
  }

  async #byPolicy(checked: CheckedWithBytes, question: Question, policy: PolicyInForce): Promise<Answer> {
    const { compiled } = policy
    const { target, onFirstParent } = question
    const { type, id, summary } = checked
    const ref = refFor(checked, target.ref)
    const rules = question.rules ?? rulesOf(compiled, type, ref)
    const changed = this.#paths.get(id)
    const facts = { ...factsOf(checked, changed), ...(onFirstParent === undefined ? {} : { onFirstParent }) }
    const base = { identityChecked: true, judgement: undefined, signature: checked.signature, notAllowed: false }
    const exempt = exemptionOf(checked, question, policy, facts, rules)
    if (exempt !== undefined) {
      const byRoot = question.isOlder ? undefined : await this.#refusedByRoot(checked, facts, policy, ref)
      return { ...base, ...(byRoot ?? { verdict: "ok", problem: undefined }), judgement: exempt }
    }
    if (isLightweightTag(checked, target)) {
      const message = `the tag ${target.name} is a lightweight one, only a name for a commit`
      return refused(base, "ERR_NOT_SIGNED", message, `make a signed tag in its place: ${taggingCommand(target.name)}`)
    }
    if (type === "tag" && summary.targetType === "tag") {
      return refused(
        base,
        "ERR_TAG_TARGET",
        `the tag ${checked.tagName ?? ""} is for another tag, ${summary.target.slice(0, 12)}, and not for a commit`,
      )
    }
    const signature = await this.#withKeys(checked, policy)
    const failed = failureOf(signature, true)
    if (failed !== undefined) return { ...base, signature, ...failed }
    const { proven } = signature
    if (proven === undefined) throw new GitsignError("ERR_BUG", "a verified signature without a signer")
    // Where git cannot tell what it changes, it is not checked, unless it is refused whatever that is.
    const known = isGitsignError(changed) ? { ...facts, paths: [] } : facts
    let judgement = compiled.judge(known, rules, proven)
    if (judgement.refusal?.code === "ERR_MERGE_CHANGES" && summary.parents.length > 1) {
      const cleanMerge = await this.#isCleanMerge(summary)
      if (isGitsignError(cleanMerge)) return { ...base, signature, ...notTold(cleanMerge) }
      judgement = compiled.judge({ ...known, cleanMerge }, rules, proven)
    }
    const { refusal } = judgement
    if (refusal !== undefined) {
      const problem = await this.#asPolicyChange(checked, policy, signature, refusal)
      return { ...base, signature, verdict: "bad", problem, notAllowed: true, judgement }
    }
    if (isGitsignError(changed)) return { ...base, signature, ...notTold(changed) }
    const byRoot = await this.#refusedByRoot(checked, facts, policy, ref)
    if (byRoot !== undefined) return { ...base, signature, ...byRoot, notAllowed: byRoot.verdict === "bad", judgement }
    return { ...base, signature, verdict: "ok", problem: undefined, judgement }
  }

  async #isCleanMerge(merge: Merge): Promise<boolean | GitsignError> {
    try {
      const [isClean] = await areCleanMerges(this.#context, [merge])
      return isClean === true
    } catch (error) {
      // One merge that git cannot repeat must not hide what is wrong with the others.
      if (isGitsignError(error)) return error
      throw error
    }
  }

  /** Signatures of other programs are checked with the keys of the policy that judges, and no others. */
  async #withKeys(checked: CheckedWithBytes, policy: PolicyInForce): Promise<SignatureCheck> {
    const { signature } = checked
    if (signature.scheme !== "openpgp" && signature.scheme !== "ssh") return signature
    // Only what is a whole object of git with such a signature.
    if (signature.problem?.code !== "ERR_SIGNATURE_FORMAT") return signature
    const parts = takeApart(checked)
    if (signatureMarker(parts.signature) === undefined) return signature
    return checkWithKeys(policy.compiled.policy, parts.payload, parts.signature, signature)
  }

  /** A refused commit that changes the policy is told as what it is. */
  async #asPolicyChange(
    { type, id, summary }: CheckedWithBytes,
    policy: PolicyInForce,
    signature: SignatureCheck,
    refusal: NonNullable<Judgement["refusal"]>,
  ): Promise<Problem> {
    if (type !== "commit" || !STRANGER_CODES.has(refusal.code) || signature.verdict !== "verified") return refusal
    let changes = this.#paths.get(id)
    if (changes === undefined) {
      const found = await changedPaths(this.#context, [{ id, parents: summary.parents }]).catch(() => undefined)
      changes = found?.get(id)
    }
    if (changes === undefined || isGitsignError(changes) || !changesPolicy(changes.paths, policy.paths)) return refusal
    return policyChange(refusal.message)
  }

  /**
   * The verifier's own policy says who may change the one in the repository, also where that exempts a commit or lets a merge vouch for it;
   * and by its own keys: what has ended or was revoked in its files could be good in those of the repository.
   */
  async #refusedByRoot(
    checked: CheckedWithBytes,
    facts: JudgedFacts,
    policy: PolicyInForce,
    ref: string | undefined,
  ): Promise<Pick<Answer, "verdict" | "problem"> | undefined> {
    const root = this.#options.rootPolicy
    if (root === undefined || facts.type !== "commit" || !changesPolicy(facts.paths, policy.paths)) return undefined
    if (root.compiled.exemption(facts, false, rulesOf(root.compiled, "commit", ref)) !== undefined) return undefined
    const { verdict, problem, proven } = await this.#withKeys(checked, root)
    if (verdict === "unavailable") return { verdict: "unchecked", problem }
    if (proven === undefined) return { verdict: "bad", problem: policyChange(problem?.message ?? "not signed") }
    const refusal = rootRefusal(root, facts, ref, proven)
    return refusal === undefined ? undefined : { verdict: "bad", problem: refusal }
  }

  async #withDisguise({ id, type, summary }: CheckedWithBytes, { target }: Question, answer: Answer): Promise<Answer> {
    if (answer.verdict === "bad") return answer
    const named = { type, id, target: summary.target, targetType: summary.targetType }
    const replaced = await replacedObject(this.#context, this.#disguise, named).catch(orError)
    if (isGitsignError(replaced)) return { ...answer, ...notTold(replaced) }
    if (replaced !== undefined) return refused(answer, "ERR_REPLACED", replaced)
    if (type !== "commit" || !target.walk || !this.#disguise.shallow.has(id)) return answer
    this.#ends++
    // Where everything was asked for, everything that is here was verified; of a range, a part is missing.
    if (target.exclude.length === 0 || answer.verdict !== "ok") return answer
    const { code, message, hint } = new GitsignError(
      "ERR_SHALLOW",
      "this shallow clone ends here, in the middle of the range",
    )
    return { ...answer, verdict: "unchecked", problem: { code, message, hint } }
  }
}

/** Who is refused for not being one of those who may. */
const STRANGER_CODES: ReadonlySet<ErrorCode> = new Set([
  "ERR_IDENTITY",
  "ERR_ISSUER",
  "ERR_LOOKALIKE",
  "ERR_CLAIM",
  "ERR_KEY_UNKNOWN",
  "ERR_SCHEME",
])

const OLDER: Judgement = {
  allowed: true,
  refusal: undefined,
  satisfied: [],
  refusedBy: undefined,
  nearest: undefined,
  exempt: { kind: "older", reason: "older than the commit with which the policy begins (since)" },
}

/** Why an object is accepted without a look at its signature. */
function exemptionOf(
  checked: CheckedWithBytes,
  { target, isOlder }: Question,
  { compiled }: PolicyInForce,
  facts: JudgedFacts,
  rules: RuleSet,
): Judgement | undefined {
  // Nothing excuses what could not even be read.
  if (!checked.isRead) return undefined
  // That its commit is old, or is accepted by its id, says nothing of a name that anybody may give it today.
  if (isLightweightTag(checked, target)) {
    return compiled.exemption({ ...facts, id: "" }, false, compiled.rulesFor("tag", target.ref))
  }
  return isOlder ? OLDER : compiled.exemption(facts, !target.fresh, rules)
}

/** What there is to judge a commit or tag by. What is not known counts as changed. */
function factsOf({ type, id, summary }: CheckedWithBytes, changed: Changes | GitsignError | undefined): JudgedFacts {
  const known = changed === undefined || isGitsignError(changed) || changed.paths.some(isNoPath) ? undefined : changed
  return {
    type,
    id,
    committerEmail: summary.committer.email,
    committerDate: summary.committer.date,
    parents: summary.parents,
    paths: known?.paths,
    links: known?.links ?? [],
    cleanMerge: undefined,
  }
}

const orError = (error: unknown): GitsignError => {
  if (isGitsignError(error)) return error
  throw error
}

/** git checks out no such path, but `git archive` packs it, and whoever unpacks it gets a file elsewhere. */
const isNoPath = (path: string): boolean => path.split("/").some((name) => /^\.{0,2}$/.test(name))

const isLightweightTag = ({ type }: CheckedWithBytes, { walk, ref }: AuditTarget): boolean =>
  type === "commit" && !walk && ref?.startsWith("refs/tags/") === true

/** The answer where git failed to tell what has to be known. */
const notTold = (error: GitsignError): Pick<Answer, "verdict" | "problem"> => ({
  verdict: error.exitStatus === 1 ? "bad" : "unchecked",
  problem: problemOf(error),
})

/** The answer where the policy that has to judge is not there: a bad signature is told as what it is. */
function withoutPolicy({ signature }: CheckedWithBytes, reason: GitsignError): Answer {
  const base = { identityChecked: false, judgement: undefined, signature, notAllowed: false }
  const failed = failureOf(signature, true)
  if (failed?.verdict === "bad") return { ...base, ...failed }
  const problem = problemOf(reason)
  if (reason.exitStatus === 3) return { ...base, verdict: "unchecked", problem }
  return { ...base, verdict: "bad", problem, notAllowed: failed === undefined }
}

/** A tag is judged under its own name, whatever branch is asked about; a commit never as a tag. */
function refFor({ type, tagName }: CheckedWithBytes, ref: string | undefined): string | undefined {
  if (type === "tag") return ref?.startsWith("refs/tags/") ? ref : `refs/tags/${tagName ?? ""}`
  return ref?.startsWith("refs/tags/") ? undefined : ref
}

function failureOf(
  { verdict, problem, sctProblem }: SignatureCheck,
  ignoreSct: boolean,
): Pick<Answer, "verdict" | "problem"> | undefined {
  // What is wrong counts more than what could not be checked.
  if (sctProblem !== undefined && !ignoreSct && verdict !== "failed") return { verdict: "bad", problem: sctProblem }
  return verdict === "verified" ? undefined : { verdict: verdict === "failed" ? "bad" : "unchecked", problem }
}

function refused(
  answer: Omit<Answer, "verdict" | "problem">,
  code: ErrorCode,
  message: string,
  hint = new GitsignError(code, message).hint,
): Answer {
  return { ...answer, verdict: "bad", problem: { code, message, hint } }
}

const asSigner = (signer: Extract<AuditedObject["signer"], { scheme: "keyless" }>): AuditSigner => signer as AuditSigner

function audited(checked: CheckedWithBytes, answer: Answer, name: string): AuditedObject {
  const { type, id, summary } = checked
  const { signature, verdict, problem, notAllowed, identityChecked, judgement } = answer
  const { subject, author, committer, parents } = summary
  const { scheme, signer, mode, log, timestamps, claimedSigningTime } = signature
  const described = { type, id, name, subject, author, committer, parents }
  const proof = { scheme, signer, mode, log, timestamps, claimedSigningTime }
  const wasCompared =
    identityChecked && (notAllowed || (signature.verdict === "verified" && judgement?.exempt === undefined))
  const steps = stepsOf(signature, notAllowed, wasCompared)
  return { ...described, ...proof, verdict, problem, notAllowed, steps, identityChecked: wasCompared, judgement }
}

/** The last step is taken here and not where the signature was checked. */
const stepsOf = (signature: SignatureCheck, notAllowed: boolean, wasCompared: boolean): readonly StepResult[] =>
  signature.steps.map((one) => {
    if (one.step !== "identity" || one.outcome !== "passed") return one
    return { ...one, outcome: notAllowed ? "failed" : wasCompared ? "passed" : "not checked" }
  })
