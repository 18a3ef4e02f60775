/**
 * What a policy lets one identity or key do, rule by rule.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts"
import type { ClaimName } from "../formats/signer.ts"
import type { CompiledPolicy, CompiledRule, JudgedObject, RuleSet } from "./compile.ts"
import type { CompiledEntry } from "./entry.ts"
import { addressOf, SOME_ADDRESS, SOME_ID, SOME_TIME } from "./examples.ts"
import type { Judgement, ProvenSigner } from "./facts.ts"
import { provenKey } from "./key-files.ts"
import type { Requirements } from "./model.ts"

/** Whom to explain. */
export interface Who {
  /** An e-mail address or another name of a certificate, or the fingerprint of a key: 40 or 64 hex digits, or `SHA256:…`. */
  readonly identity: string
  /** Undefined: each that the policy names for it is tried. */
  readonly issuer?: string | undefined
}

/** What one rule says of somebody. */
export interface RuleExplanation {
  readonly name: string
  readonly line: number
  readonly kind: "commits" | "tags"
  readonly refs: readonly string[]
  readonly paths: readonly string[]
  readonly allowed: boolean
  /** Who is meant, such as `alice@example.com (https://accounts.google.com)`, and as which of the rule's signers. */
  readonly by: { readonly signer: string; readonly entry: string } | undefined
  /** What has to be so as well, in words. */
  readonly conditions: readonly string[]
  readonly refusal: { readonly code: ErrorCode; readonly message: string } | undefined
  readonly nearest: string | undefined
}

/** Everything a policy says of somebody. */
export interface Explanation {
  readonly identity: string
  readonly issuer: string | undefined
  /** Names of the signers that it is one of. */
  readonly signers: readonly string[]
  /** Every rule, in the order of the file. */
  readonly rules: readonly RuleExplanation[]
  /** Why its signatures do not count at some time, in words. */
  readonly compromised: readonly string[]
  /** What becomes of a plain commit, or a tag, where it was asked for. */
  readonly verdict:
    | { readonly ref: string; readonly path: string | undefined; readonly judgement: Judgement }
    | undefined
}

/**
 * Explains what a policy lets somebody do.
 *
 * @param where a full name of a ref to judge for, and the path that a commit changes there
 */
export function explainIdentity(
  compiled: CompiledPolicy,
  who: Who,
  where: { readonly ref?: string | undefined; readonly path?: string | undefined } = {},
): Explanation {
  const { ref, path } = where
  const every = formsOf(compiled, who)
  const isOneOf = (entries: readonly CompiledEntry[], form: ProvenSigner): boolean =>
    entries.some(({ accepts }) => OBJECTS.some(({ object }) => accepts(form, object)))
  // Where the policy knows the signer from one issuer, what becomes of the same name from others is no news.
  const known = every.filter((form) => [...compiled.signers.values()].some((entries) => isOneOf(entries, form)))
  const forms = known.length > 0 ? known : every
  const signers = [...compiled.signers].filter(([, entries]) => forms.some((form) => isOneOf(entries, form)))
  return {
    identity: who.identity,
    issuer: who.issuer,
    signers: signers.map(([name]) => name),
    rules: compiled.rules.map((rule) => explainRule(compiled, rule, forms)),
    compromised: compiled.bars.filter(({ concerns }) => forms.some(concerns)).map(({ shown }) => shown),
    verdict: ref === undefined ? undefined : { ref, path, judgement: judgeAt(compiled, forms, ref, path) },
  }
}

type KeylessForm = ProvenSigner & { readonly scheme: "keyless" }

/** The signers that somebody can be: with every issuer that the policy names for it, and the claims that its entries and rules ask for. */
function formsOf(compiled: CompiledPolicy, { identity, issuer }: Who): readonly ProvenSigner[] {
  const key = identity.replaceAll(" ", "")
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(key)) return [provenKey(compiled.policy, key.toUpperCase(), SOME_ADDRESS)]
  if (identity.startsWith("SHA256:")) return [provenKey(compiled.policy, identity, SOME_ADDRESS)]
  const entries = [...compiled.policy.signers.values()]
    .flat()
    .flatMap((entry) => (entry.scheme === "keyless" ? entry : []))
  const named = entries.flatMap((entry) =>
    entry.issuer !== undefined && "exact" in entry.issuer ? entry.issuer.exact : [],
  )
  const issuers = issuer !== undefined ? [issuer] : named.length === 0 ? [""] : [...new Set(named)]
  const plain: KeylessForm = {
    scheme: "keyless",
    identities: [identity],
    issuer: "",
    claims: {},
    mode: "offline",
    times: [SOME_TIME],
    timestamped: true,
    sct: true,
  }
  const asked = [
    [],
    ...entries.map(({ claims }) => claims),
    ...compiled.rules.flatMap(({ rule, entries: named }) => [
      rule.require.claims,
      ...named.flatMap(({ entry: { entry } }) =>
        entry.scheme === "keyless" ? [[...rule.require.claims, ...entry.claims]] : [],
      ),
    ]),
  ]
  const sets = new Map(asked.map((claims) => [JSON.stringify(claims), exactClaims(claims)]))
  return issuers.flatMap((from) => [...sets.values()].map((claims) => ({ ...plain, issuer: from, claims })))
}

const exactClaims = (claims: Requirements["claims"]): Partial<Record<ClaimName, string>> =>
  Object.fromEntries(claims.flatMap(({ claim, match }) => ("exact" in match ? [[claim, match.exact]] : [])))

const COMMIT = { type: "commit", id: SOME_ID, committerEmail: "", paths: undefined, onFirstParent: true } as const
const OBJECTS: readonly { readonly object: JudgedObject; readonly condition: string | undefined }[] = [
  { object: { ...COMMIT, parents: [SOME_ID], cleanMerge: undefined }, condition: undefined },
  { object: { ...COMMIT, parents: [SOME_ID, SOME_ID], cleanMerge: false }, condition: "only on merges" },
  {
    object: { ...COMMIT, parents: [SOME_ID, SOME_ID], cleanMerge: true },
    condition: "only on merges that git itself would have made so",
  },
]
const TAG: JudgedObject = { ...COMMIT, type: "tag", parents: [], cleanMerge: undefined }

function explainRule(compiled: CompiledPolicy, rule: CompiledRule, forms: readonly ProvenSigner[]): RuleExplanation {
  const { name, line, kind, refs, paths, require } = rule.rule
  const set: RuleSet = {
    type: kind === "tags" ? "tag" : "commit",
    ref: undefined,
    key: "",
    names: [name],
    anyRule: false,
    based: true,
    rules: [rule],
  }
  const base = { name, line, kind, refs, paths, refusal: undefined, nearest: undefined }
  const objects = kind === "tags" ? [{ object: TAG, condition: undefined }] : OBJECTS
  let nearest: Judgement | undefined
  for (const { object, condition } of objects) {
    for (const form of forms) {
      // The committer is whoever signs, so that a rule that asks for it says so as a condition and not as a refusal
      const judged = { ...object, committerEmail: addressOf(form) }
      const judgement = compiled.judge(judged, set, form)
      if (!judgement.allowed) {
        nearest = nearer(nearest, judgement)
        continue
      }
      const found = rule.entries.find(({ entry }) => entry.accepts(form, judged))
      const by = found === undefined ? undefined : { signer: found.signer, entry: found.entry.shown }
      const claims = found?.entry.entry.scheme === "keyless" ? found.entry.entry.claims : []
      return { ...base, allowed: true, by, conditions: conditionsOf(require, claims, form, condition) }
    }
  }
  const { code, message } = nearest?.refusal ?? { code: "ERR_IDENTITY", message: "" }
  return {
    ...base,
    allowed: false,
    by: undefined,
    conditions: [],
    refusal: { code, message },
    nearest: nearest?.nearest,
  }
}

/** A refusal that says more than that somebody is a stranger. */
const nearer = (one: Judgement | undefined, other: Judgement): Judgement =>
  one === undefined || one.refusal?.code === "ERR_IDENTITY" ? other : one

function conditionsOf(
  require: Requirements,
  own: Requirements["claims"],
  form: ProvenSigner,
  condition: string | undefined,
): readonly string[] {
  const words = condition === undefined ? [] : [condition]
  for (const { claim, match } of [...own, ...require.claims]) {
    words.push(`the certificate's claim ${claim} is ${"exact" in match ? match.exact : `like /${match.pattern}/`}`)
  }
  if (require.committer) words.push("the committer or tagger has the signer's address")
  if (form.scheme !== "keyless") return words
  if (require.offlineProof) words.push("the signature carries its log entry")
  if (require.timestamp) words.push("the signature has a timestamp")
  return words
}

function judgeAt(
  compiled: CompiledPolicy,
  forms: readonly ProvenSigner[],
  ref: string,
  path: string | undefined,
): Judgement {
  const type = ref.startsWith("refs/tags/") ? "tag" : "commit"
  const set = compiled.rulesFor(type, ref)
  const [first, ...others] = forms.map((form) => {
    const paths = path === undefined ? [] : [path]
    const object = type === "tag" ? TAG : { ...COMMIT, parents: [SOME_ID], cleanMerge: undefined, paths }
    return compiled.judge({ ...object, committerEmail: addressOf(form) }, set, form)
  })
  const nobody = { ...compiled.judge(TAG, set, { scheme: "openpgp", fingerprints: [], userIds: [] }) }
  return others.reduce(
    (best, next) => (best.allowed ? best : next.allowed ? next : nearer(best, next)),
    first ?? nobody,
  )
}
