/**
 * What a policy says of one object: every rule that applies has to be satisfied, and the first that is not says why.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts"
import type { CompiledRule, JudgedObject, RuleSet } from "./compile.ts"
import type { Bar } from "./compromise.ts"
import { type CompiledEntry, claimMiss, type Miss, STRANGER } from "./entry.ts"
import type { Judgement, ObjectFacts, ProvenSigner } from "./facts.ts"
import { disguiseOf } from "./lookalike.ts"
import type { Policy } from "./model.ts"

/** A policy and what was compiled of it. */
export interface Judge {
  readonly policy: Policy
  readonly signers: ReadonlyMap<string, readonly CompiledEntry[]>
  readonly bars: readonly Bar[]
}

interface Refusal {
  readonly rank: number
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
  readonly rule: CompiledRule | undefined
  readonly nearest: string | undefined
}

/** See CompiledPolicy in compile.ts. */
export function judge(by: Judge, object: JudgedObject, set: RuleSet, signer: ProvenSigner): Judgement {
  const barred = by.bars.map((bar) => bar.refuses(signer)).find((words) => words !== undefined)
  if (barred !== undefined) {
    const hint = "do not trust it; ask its author to sign it anew"
    const message = `signed by ${nameOf(signer)}, ${barred}`
    return refused({ rank: 9, code: "ERR_COMPROMISED", message, hint, rule: undefined, nearest: undefined }, [])
  }
  const applying = set.rules.filter((rule) => touches(rule, object))
  if (!set.based) {
    if (by.policy.otherwise === "refuse") return refused(noRuleFor(by.policy, set), [])
    if (applying.length === 0) return noRule(by.policy, set)
  }
  const refusals: Refusal[] = []
  const satisfied: string[] = []
  const vouched: string[] = []
  for (const rule of applying) {
    // Where the ref is not known, neither is which parent was there first
    if (!set.anyRule && rule.rule.merges === "first-parent" && object.onFirstParent === false) {
      vouched.push(rule.rule.name)
      continue
    }
    const refusal = refusalOf(by, rule, object, signer)
    if (refusal === undefined) satisfied.push(rule.rule.name)
    else refusals.push(refusal)
  }
  const isEnough = set.anyRule ? satisfied.length > 0 : refusals.length === 0
  if (isEnough) return satisfied.length === 0 ? vouchedFor(vouched) : allowed(satisfied)
  const [first, ...others] = refusals
  if (first === undefined) return refused(noRuleFor(by.policy, set), satisfied)
  const worst = set.anyRule ? others.reduce((near, other) => (other.rank > near.rank ? other : near), first) : first
  return refused(worst, satisfied)
}

/** See CompiledPolicy in compile.ts. */
export function exemption(
  policy: Policy,
  object: JudgedObject & { readonly committerDate: Date | undefined },
  datesCount: boolean,
  set: RuleSet,
): Judgement | undefined {
  const found = policy.exemptions.find(({ id }) => id === object.id)
  if (found !== undefined)
    return accepted("exempted", `${found.author} exempted it in ${policy.source}: ${found.reason}`)
  if (policy.since !== undefined && "date" in policy.since && datesCount && object.committerDate !== undefined) {
    const { date } = policy.since
    if (object.committerDate < date) {
      const day = date.toISOString().replace(/(T00:00:00)?\.\d+Z$/, (_, midnight) => (midnight ? "" : "Z"))
      return accepted("older", `it says that it is from before ${day}, since when ${policy.source} counts`)
    }
  }
  const applying = set.rules.filter((rule) => touches(rule, object))
  if (!set.based && policy.otherwise === "allow" && applying.length === 0) return noRule(policy, set)
  if (set.anyRule || !set.based || object.onFirstParent !== false) return undefined
  const isVouchedFor = applying.every(({ rule }) => rule.merges === "first-parent")
  return isVouchedFor ? vouchedFor(applying.map(({ rule }) => rule.name)) : undefined
}

/** Whether a rule without paths, or an object that changes one of its paths; what is not known counts as changed. */
const touches = ({ paths, links }: CompiledRule, object: ObjectFacts): boolean =>
  paths === undefined || object.paths === undefined || object.paths.some(paths) || (object.links?.some(links) ?? false)

function refusalOf(
  { policy, signers }: Judge,
  rule: CompiledRule,
  object: JudgedObject,
  signer: ProvenSigner,
): Refusal | undefined {
  const ruleName = `rule "${rule.rule.name}" of ${policy.source}`
  const refuse = ({ rank, code, message, hint }: Miss, nearest?: string): Refusal => {
    const words = `signed by ${nameOf(signer)}, ${message === "" ? `whom ${ruleName} does not name` : message}`
    return { rank, code, message: words, hint, rule, nearest }
  }
  const found = rule.entries.find(({ entry }) => entry.accepts(signer, object))
  if (found === undefined) {
    let best: { readonly miss: Miss; readonly shown: string } | undefined
    const disguises = signer.scheme === "keyless" ? signer.identities.map(disguiseOf) : []
    for (const { entry } of rule.entries) {
      const miss = entry.miss(signer, object, disguises)
      if (miss.rank > (best?.miss.rank ?? 0)) best = { miss, shown: entry.shown }
    }
    if (best !== undefined) return refuse(best.miss, `rule "${rule.rule.name}" names ${best.shown}`)
    const elsewhere = [...signers].find(([, entries]) => entries.some((entry) => entry.accepts(signer, object)))?.[0]
    const names = `rule "${rule.rule.name}" names ${list(rule.rule.signers)}`
    return refuse(STRANGER, elsewhere === undefined ? names : `${names}; the signer is one of ${elsewhere}`)
  }
  const miss = requirementMiss(rule, object, signer, ruleName)
  return miss === undefined ? undefined : refuse(miss, `rule "${rule.rule.name}" names ${found.entry.shown}`)
}

/** What of a rule's requirements a signature does not meet; a key has no log, and is asked for none unless `keyless` is. */
function requirementMiss(
  { rule: { require }, claims, entries }: CompiledRule,
  object: ObjectFacts,
  signer: ProvenSigner,
  ruleName: string,
): Miss | undefined {
  const miss = (code: ErrorCode, message: string, hint: string): Miss => ({ rank: 6, code, message, hint })
  const asks = `and ${ruleName} asks for`
  if (signer.scheme !== "keyless") {
    const wanted = require.keyless ? "a Sigstore signature" : claims.length > 0 ? "claims, which no key has" : undefined
    if (wanted !== undefined)
      return miss("ERR_SCHEME", `${asks} ${wanted}`, "ask its author to sign it anew with gitsign")
  } else {
    if (require.offlineProof && signer.mode !== "offline") {
      return miss("ERR_OFFLINE_PROOF", `${asks} the log's proof in the signature`, OFFLINE_HINT)
    }
    if (require.sct && !signer.sct)
      return miss("ERR_SCT_MISSING", `${asks} a certificate that is in a CT log`, SCT_HINT)
    if (require.timestamp && !signer.timestamped) {
      return miss("ERR_TIMESTAMP_MISSING", `${asks} a timestamp`, TIMESTAMP_HINT)
    }
    for (const { claim, text } of claims) {
      const refusal = claimMiss(signer, claim, text)
      if (refusal !== undefined) return { ...refusal, rank: 6 }
    }
  }
  const isCommitter = entries.some(
    ({ entry }) => entry.accepts(signer, object) && entry.isAddress(signer, object.committerEmail),
  )
  if (require.committer && (object.committerEmail === "" || !isCommitter)) {
    const role = object.type === "tag" ? "tagger" : "committer"
    const message = `${asks} the ${role}, who is ${object.committerEmail || "nobody"}`
    return miss("ERR_COMMITTER", message, COMMITTER_HINTS[role])
  }
  return undefined
}

// Signing again alone changes nobody's name.
const COMMITTER_HINTS = {
  committer:
    "have that person sign it, or make it your own with: git rebase --rebase-merges --force-rebase -S COMMIT^ BRANCH",
  tagger: "have that person sign it, or make it your own with: git tag -s -f NAME COMMIT",
} as const
const OFFLINE_HINT = "sign it again with: git config gitsign.rekorMode offline"
const SCT_HINT = "certificates from before June 2022 have none; accept them with sct: false in the rule"
const TIMESTAMP_HINT = "sign it again with a timestamp authority in gitsign.timestampServerURL"

/** Who signed, for people. */
function nameOf(signer: ProvenSigner): string {
  switch (signer.scheme) {
    case "keyless":
      return signer.identities.join(", ") || "nobody"
    case "openpgp":
      return `the OpenPGP key ${signer.fingerprints[0] ?? "without a fingerprint"}${bracketed(signer.userIds)}`
    default:
      return `the SSH key ${signer.fingerprints[0] ?? "without a fingerprint"}${bracketed(signer.principals)}`
  }
}

const bracketed = ([first]: readonly string[]): string => (first === undefined ? "" : ` (${first})`)

const list = (names: readonly string[]): string =>
  names.length < 4 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`

const NOTHING = { allowed: true, refusal: undefined, satisfied: [], refusedBy: undefined, nearest: undefined } as const

const allowed = (satisfied: readonly string[]): Judgement => ({ ...NOTHING, satisfied, exempt: undefined })

const refused = ({ code, message, hint, rule, nearest }: Refusal, satisfied: readonly string[]): Judgement => ({
  allowed: false,
  refusal: { code, message, hint },
  satisfied,
  refusedBy: rule?.rule.name,
  nearest,
  exempt: undefined,
})

const accepted = (kind: "exempted" | "older" | "vouched for" | "no rule", reason: string): Judgement => ({
  ...NOTHING,
  exempt: { kind, reason },
})

const noRuleFor = (policy: Policy, set: RuleSet): Refusal => ({
  rank: 0,
  code: "ERR_NO_RULE",
  message: `no rule of ${policy.source} is for ${set.ref ?? `any ${set.type}`}, so nobody may sign there`,
  hint: "add a rule for it to the policy, or say there: otherwise: allow",
  rule: undefined,
  nearest: undefined,
})

const noRule = (policy: Policy, set: RuleSet): Judgement =>
  accepted(
    "no rule",
    `no rule of ${policy.source} is for ${set.ref ?? `any ${set.type}`}, and it says otherwise: allow`,
  )

const vouchedFor = (rules: readonly string[]): Judgement => ({
  ...accepted("vouched for", `a merge brought it in and vouches for it: merges: first-parent of rule ${list(rules)}`),
  satisfied: rules,
})
