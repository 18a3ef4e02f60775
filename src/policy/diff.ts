/**
 * What changes between two policies: who may sign where, told from both policies at work and not from their texts.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import type { ClaimName } from "../formats/signer.ts"
import type { CompiledPolicy, JudgedObject, RuleSet } from "./compile.ts"
import type { CompiledEntry } from "./entry.ts"
import { SOME_ID, SOME_TIME } from "./examples.ts"
import type { ProvenSigner } from "./facts.ts"
import { sampleOf } from "./glob.ts"
import { type KeyOwner, keyOwners, proverOf } from "./key-files.ts"
import type { Compromise, Policy, Requirements, Rule, SignerEntry } from "./model.ts"

/** Somebody, and where they may sign in one of two policies only. */
export interface Access {
  /** Such as `alice@example.com (https://accounts.google.com)`. */
  readonly who: string
  /** Such as `commits to main`, `commits to main that change .gitsign/**` and `commits to main, but none that change .gitsign/**`. */
  readonly where: readonly string[]
}

/** What a change of a policy means. */
export interface PolicyDiff {
  readonly gains: readonly Access[]
  readonly loses: readonly Access[]
  /** What else is not as it was, in words, a line each. */
  readonly changes: readonly string[]
}

/** Each is who, where. */
const MAX_QUESTIONS = 1_000_000

/**
 * Compares two policies: everybody whom one of them names, at every ref and path that one of them names, and at one that neither does.
 *
 * @throws ERR_POLICY_LIMIT when that would take too long
 */
export function diffPolicies(before: CompiledPolicy, after: CompiledPolicy): PolicyDiff {
  const places = placesOf(before, after)
  const people = everybody(before, after)
  if (places.length * people.length > MAX_QUESTIONS) {
    throw new GitsignError(
      "ERR_POLICY_LIMIT",
      "the two policies name too many signers, branches and paths to be compared",
    )
  }
  const rulesOf = (compiled: CompiledPolicy): readonly RuleSet[] =>
    places.map(({ object, ref }) => compiled.rulesFor(object.type, ref))
  const [oldRules, newRules] = [rulesOf(before), rulesOf(after)]
  // The same key is in other lines of other files before and after
  const [oldProver, newProver] = [proverOf(before.policy), proverOf(after.policy)]
  const gains: Access[] = []
  const loses: Access[] = []
  for (const person of people) {
    const may = (compiled: CompiledPolicy, rules: readonly RuleSet[], prover: Prover): readonly boolean[] => {
      const signer = signerOf(person, prover)
      return places.map(({ object }, index) => mayAt(compiled, person.entry, signer, object, rules[index]))
    }
    const [had, has] = [may(before, oldRules, oldProver), may(after, newRules, newProver)]
    const [gained, lost] = [onlyIn(has, had, places), onlyIn(had, has, places)]
    if (gained.length > 0) gains.push({ who: person.shown, where: gained })
    if (lost.length > 0) loses.push({ who: person.shown, where: lost })
  }
  return { gains, loses, changes: otherChanges(before.policy, after.policy) }
}

/** Where somebody may sign by the first answers and not by the second ones, a ref each. */
function onlyIn(these: readonly boolean[], those: readonly boolean[], places: readonly Place[]): readonly string[] {
  const byRef = new Map<string, number[]>()
  for (const [index, { to }] of places.entries()) byRef.set(to, [...(byRef.get(to) ?? []), index])
  return [...byRef].flatMap(([to, [plain = 0, ...others]]) => {
    const pathsOf = (isMeant: (index: number) => boolean): string =>
      others.flatMap((index) => (isMeant(index) ? (places[index]?.path ?? []) : [])).join(", ")
    if (these[plain] && !those[plain]) {
      const barred = pathsOf((index) => !these[index])
      return `${to}${barred === "" ? "" : `, but none that change ${barred}`}`
    }
    const changed = pathsOf((index) => these[index] === true && those[index] === false)
    return changed === "" ? [] : `${to} that change ${changed}`
  })
}

interface Place {
  /** Such as `commits to main`. */
  readonly to: string
  /** A glob, one path of which is changed; undefined: none that any rule is about. */
  readonly path: string | undefined
  readonly ref: string
  readonly object: JudgedObject
}

const NOWHERE = "gitsign-names-no-such"

/** Every place where the rules of either may differ: one name for each glob. */
function placesOf(...policies: readonly CompiledPolicy[]): readonly Place[] {
  const places = new Map<string, Place>()
  const rules = policies.flatMap(({ policy }) => policy.rules)
  for (const kind of ["commits", "tags"] as const) {
    const own = rules.filter((rule) => rule.kind === kind)
    const prefix = kind === "tags" ? "refs/tags/" : "refs/heads/"
    // ** is whatever no other glob is for
    const globs = [...new Set(own.flatMap((rule) => rule.refs))].filter((ref) => ref !== "**")
    const other = globs.length === 0 ? "any" : "any other"
    const refs = [...globs, NOWHERE]
    const paths = [undefined, ...new Set(own.flatMap((rule) => rule.paths))]
    for (const ref of refs) {
      const name = sampleOf(ref.startsWith("refs/") ? ref : `${prefix}${ref}`)
      const shown = kind === "tags" ? `tags named ${ref}` : `commits to ${ref}`
      const to = ref !== NOWHERE ? shown : kind === "tags" ? `${other} tag` : `commits to ${other} branch`
      for (const path of paths) {
        const changed = path === undefined ? [] : [sampleOf(path)]
        const type = kind === "tags" ? "tag" : "commit"
        const object = { type, id: SOME_ID, committerEmail: "", cleanMerge: true, onFirstParent: true } as const
        const id = JSON.stringify([kind, name, changed])
        // A clean merge, so that whoever counts on some commits only is somebody who may sign
        if (!places.has(id))
          places.set(id, { to, path, ref: name, object: { ...object, parents: [SOME_ID, SOME_ID], paths: changed } })
      }
    }
  }
  return [...places.values()]
}

interface Person {
  readonly shown: string
  /** Undefined for a pattern: nobody in particular. */
  readonly who: (ProvenSigner & { readonly scheme: "keyless" }) | KeyOwner | undefined
  readonly entry: SignerEntry
}

/** Whoever one of the policies names, once each. */
function everybody(...policies: readonly CompiledPolicy[]): readonly Person[] {
  const people = new Map<string, Person>()
  for (const { signers } of policies) {
    for (const entry of [...signers.values()].flat()) {
      for (const person of peopleOf(entry)) if (!people.has(person.shown)) people.set(person.shown, person)
    }
  }
  return [...people.values()]
}

const ON = { all: "", merges: ", on merges", "clean merges": ", on merges that git itself would have made so" } as const

function peopleOf({ entry, shown }: CompiledEntry): readonly Person[] {
  if (entry.scheme !== "keyless") {
    return keyOwners(entry).map(({ fingerprint, name, owner }) => ({
      shown: `the key ${fingerprint}${name === "" ? "" : ` (${name})`}${ON[entry.on]}`,
      who: owner,
      entry,
    }))
  }
  const { issuer, subject, claims, on } = entry
  const isExact = issuer !== undefined && "exact" in issuer && subject !== undefined && "exact" in subject
  const words = claims.map(({ claim, match }) => `${claim} ${"exact" in match ? match.exact : match.pattern}`)
  const name = `${shown}${words.length === 0 ? "" : ` with ${words.join(", ")}`}${ON[on]}`
  if (!isExact) return [{ shown: name, who: undefined, entry }]
  const exact: Partial<Record<ClaimName, string>> = {}
  for (const { claim, match } of claims) if ("exact" in match) exact[claim] = match.exact
  const who = {
    scheme: "keyless",
    identities: [subject.exact],
    issuer: issuer.exact,
    claims: exact,
    mode: "offline",
    times: [SOME_TIME],
    timestamped: true,
    sct: true,
  } as const
  return [{ shown: name, who, entry }]
}

type Prover = ReturnType<typeof proverOf>

const signerOf = ({ who }: Person, prover: Prover): ProvenSigner | undefined =>
  who === undefined || who.scheme === "keyless" ? who : prover(who)

/** Whether the rules' signers have somebody; what the rules ask for besides is told in words. */
function mayAt(
  { policy }: CompiledPolicy,
  entry: SignerEntry,
  signer: ProvenSigner | undefined,
  object: JudgedObject,
  set: RuleSet | undefined,
): boolean {
  if (set === undefined || (!set.based && policy.otherwise === "refuse")) return false
  const placed = entry.on === "all" && object.parents.length > 1 ? { ...object, parents: [SOME_ID] } : object
  return set.rules.every(({ paths, entries, rule }) => {
    if (paths !== undefined && !(object.paths ?? []).some(paths)) return true
    if (rule.require.keyless && entry.scheme !== "keyless") return false
    return entries.some(({ entry: other }) =>
      signer === undefined ? sameEntry(other.entry, entry) : other.accepts(signer, placed),
    )
  })
}

const sameEntry = (one: SignerEntry, other: SignerEntry): boolean =>
  JSON.stringify(one) === JSON.stringify(other) ||
  (one.scheme === "keyless" && one.issuer === undefined && one.subject === undefined)

function otherChanges(before: Policy, after: Policy): readonly string[] {
  const changes: string[] = []
  const change = (what: string, was: string, is: string): void => {
    if (was !== is) changes.push(`${what}: ${was} before, ${is} now`)
  }
  for (const rule of after.rules) {
    const old = before.rules.find(({ name, kind }) => name === rule.name && kind === rule.kind)
    if (old === undefined) changes.push(`rule "${rule.name}" is new, ${aboutRule(rule)}`)
    else change(`rule "${rule.name}"`, aboutRule(old), aboutRule(rule))
  }
  for (const rule of before.rules) {
    const isGone = !after.rules.some(({ name, kind }) => name === rule.name && kind === rule.kind)
    if (isGone) changes.push(`rule "${rule.name}" is gone, which was ${aboutRule(rule)}`)
  }
  change("otherwise", before.otherwise, after.otherwise)
  change("since", aboutSince(before), aboutSince(after))
  const exemption = ({ id, reason, author }: Policy["exemptions"][number]): string => `${id} (${author}: ${reason})`
  compare("exempted", before.exemptions.map(exemption), after.exemptions.map(exemption), changes)
  compare("not trusted", before.compromised.map(aboutCompromise), after.compromised.map(aboutCompromise), changes)
  return changes
}

function compare(what: string, before: readonly string[], after: readonly string[], changes: string[]): void {
  for (const one of after) if (!before.includes(one)) changes.push(`${what} now: ${one}`)
  for (const one of before) if (!after.includes(one)) changes.push(`${what} no more: ${one}`)
}

function aboutRule({ kind, refs, paths, merges, require }: Rule): string {
  const over = paths.length === 0 ? "" : ` that change ${paths.join(", ")}`
  const how = merges === "first-parent" ? ", merges vouch for what they bring in" : ""
  return `for ${kind} ${kind === "tags" ? "named" : "to"} ${refs.join(", ")}${over}${how}, asking for ${aboutRequirements(require)}`
}

function aboutRequirements(require: Requirements): string {
  const words = [
    require.keyless ? "Sigstore signatures" : "",
    require.offlineProof ? "the log's proof in the signature" : "",
    require.sct ? "" : "no proof of a CT log",
    require.timestamp ? "a timestamp" : "",
    require.committer ? "the committer as the signer" : "",
    ...require.claims.map(({ claim, match }) => `${claim} ${"exact" in match ? match.exact : match.pattern}`),
  ].filter((word) => word !== "")
  return words.length === 0 ? "nothing more" : words.join(", ")
}

const aboutSince = ({ since }: Policy): string =>
  since === undefined ? "the beginning" : "commit" in since ? since.commit : since.date.toISOString()

function aboutCompromise({ issuer, subject, key, from, until, reason }: Compromise): string {
  const text = (match: Compromise["issuer"]): string =>
    match === undefined ? "anybody" : "exact" in match ? match.exact : `/${match.pattern}/`
  const who = key ?? `${text(subject)}${issuer === undefined ? "" : ` (${text(issuer)})`}`
  return `${who} from ${from?.toISOString() ?? "the beginning"} until ${until?.toISOString() ?? "further notice"}: ${reason}`
}
