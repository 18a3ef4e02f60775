/**
 * A policy made ready to judge: which rules are for a ref, and what they say of an object whose signature holds.
 *
 * @module
 */

import { type Bar, compileBars } from "./compromise.ts"
import { type CompiledEntry, compileEntry } from "./entry.ts"
import type { Judgement, Needs, ObjectFacts, ProvenSigner } from "./facts.ts"
import { type GlobMatcher, linkGlobs, pathGlobs, refGlob, refGlobOnDisk } from "./glob.ts"
import { exemption, judge } from "./judge.ts"
import type { Policy, Rule } from "./model.ts"
import { compileText, type TextMatcher } from "./text-match.ts"

/** One rule, ready to judge. */
export interface CompiledRule {
  readonly rule: Rule
  readonly entries: readonly { readonly signer: string; readonly entry: CompiledEntry }[]
  /** Undefined for a rule without paths. */
  readonly paths: GlobMatcher | undefined
  /** Where a link or a submodule would stand above these paths. */
  readonly links: GlobMatcher
  readonly claims: readonly { readonly claim: Rule["require"]["claims"][number]["claim"]; readonly text: TextMatcher }[]
}

/** The rules for one kind of object on one ref. */
export interface RuleSet {
  readonly type: "commit" | "tag"
  /** Full name; undefined when it is not known. */
  readonly ref: string | undefined
  /** Within one policy: sets with the same key judge every object alike. */
  readonly key: string
  /** Of the rules, in the order of the file. */
  readonly names: readonly string[]
  /** The ref is not known: it is enough to satisfy one rule without paths, and those with paths are not asked. */
  readonly anyRule: boolean
  /** Whether a rule without paths is for it; else the policy's `otherwise` decides. */
  readonly based: boolean
  readonly rules: readonly CompiledRule[]
}

/** An object and what is known of where it stands. */
export type JudgedObject = ObjectFacts & {
  /** False for a commit that a merge brought in; undefined when it is not known, or does not matter. */
  readonly onFirstParent?: boolean | undefined
}

/** A policy that is ready to judge. */
export interface CompiledPolicy {
  readonly policy: Policy
  /** All of them, in the order of the file. */
  readonly rules: readonly CompiledRule[]
  readonly signers: ReadonlyMap<string, readonly CompiledEntry[]>
  readonly bars: readonly Bar[]
  /** @param ref full name such as `refs/heads/main`; undefined when it is not known */
  rulesFor(type: "commit" | "tag", ref: string | undefined): RuleSet
  /** What has to be found out before {@link judge}, for whoever signs or, with less to do, for one signer. */
  needs(rules: RuleSet, signer?: ProvenSigner): Needs & { readonly firstParent: boolean }
  /** What the policy says. The caller MUST have verified the signature, and what is undefined of what {@link needs} asks for counts against it. */
  judge(object: JudgedObject, rules: RuleSet, signer: ProvenSigner): Judgement
  /**
   * Why an object is accepted before its signature is looked at; undefined: it has to be judged.
   *
   * `since` with a commit is the caller's: whoever asks git leaves out the proper ancestors of that commit.
   *
   * @param datesCount whether a `since` date does. The caller MUST say false for a commit that is new here: its date is what its author says
   */
  exemption(
    object: JudgedObject & { readonly committerDate: Date | undefined },
    datesCount: boolean,
    rules: RuleSet,
  ): Judgement | undefined
}

/**
 * Compiles a policy.
 *
 * @throws ERR_PATTERN, ERR_POLICY, ERR_POLICY_LIMIT when a pattern or a key cannot be read; parsePolicy has refused such policies already
 */
export async function compilePolicy(policy: Policy): Promise<CompiledPolicy> {
  const signers = new Map<string, readonly CompiledEntry[]>()
  for (const [name, entries] of policy.signers) {
    signers.set(
      name,
      await Promise.all(entries.map((entry) => compileEntry(entry, `${policy.source}: signer "${name}"`))),
    )
  }
  const bars = await compileBars(policy.compromised, policy.source)
  const rules = await Promise.all(policy.rules.map((rule) => compileRule(rule, signers, policy.source)))
  const applies = policy.rules.map(refsOf)
  return {
    policy,
    rules,
    signers,
    bars,
    rulesFor: (type, ref) => rulesFor(policy, rules, applies, type, ref),
    needs,
    judge: (object, set, signer) => judge({ policy, signers, bars }, object, set, signer),
    exemption: (object, datesCount, set) => exemption(policy, object, datesCount, set),
  }
}

async function compileRule(
  rule: Rule,
  signers: ReadonlyMap<string, readonly CompiledEntry[]>,
  source: string,
): Promise<CompiledRule> {
  const where = `${source} line ${rule.line}: rule "${rule.name}"`
  return {
    rule,
    entries: rule.signers.flatMap((signer) => (signers.get(signer) ?? []).map((entry) => ({ signer, entry }))),
    paths: rule.paths.length === 0 ? undefined : pathGlobs(rule.paths),
    links: linkGlobs(rule.paths),
    claims: await Promise.all(
      rule.require.claims.map(async ({ claim, match }) => ({ claim, text: await compileText(match, where) })),
    ),
  }
}

/** Whether a rule is for a ref: `exactly`, or only where names are not told apart by case. */
function refsOf(rule: Rule): (ref: string) => "exactly" | "nearly" | undefined {
  const prefix = rule.kind === "tags" ? "refs/tags/" : "refs/heads/"
  const full = rule.refs.map((glob) => (glob.startsWith("refs/") ? glob : `${prefix}${glob}`))
  const exact = full.map(refGlob)
  const folded = full.map(refGlobOnDisk)
  return (ref) => {
    if (exact.some((glob) => glob(ref))) return "exactly"
    return folded.some((glob) => glob(ref)) ? "nearly" : undefined
  }
}

function rulesFor(
  policy: Policy,
  rules: readonly CompiledRule[],
  applies: readonly ((ref: string) => "exactly" | "nearly" | undefined)[],
  type: "commit" | "tag",
  ref: string | undefined,
): RuleSet {
  const kind = type === "tag" ? "tags" : "commits"
  const chosen: CompiledRule[] = []
  const indexes: number[] = []
  let based = false
  for (const [index, rule] of rules.entries()) {
    if (rule.rule.kind !== kind) continue
    const how = ref === undefined ? "exactly" : applies[index]?.(ref)
    if (how === undefined || (ref === undefined && rule.paths !== undefined)) continue
    chosen.push(rule)
    indexes.push(index)
    // On a disk that ignores case a branch Main is main, so that its rules hold for it; but they make nobody welcome there
    if (how === "exactly" && rule.paths === undefined) based = true
  }
  return {
    type,
    ref,
    key: [
      type,
      ref === undefined ? "any" : "all",
      indexes.join(","),
      based ? "" : `${policy.otherwise} ${ref ?? ""}`,
    ].join(" "),
    names: chosen.map(({ rule }) => rule.name),
    anyRule: ref === undefined,
    based,
    rules: chosen,
  }
}

const countsOn = (on: string, scheme: string, signer: ProvenSigner | undefined): boolean =>
  on === "clean merges" && (signer === undefined || signer.scheme === scheme)

function needs(set: RuleSet, signer?: ProvenSigner): Needs & { readonly firstParent: boolean } {
  return {
    paths: set.rules.some(({ paths }) => paths !== undefined),
    cleanMerge: set.rules.some(({ entries }) =>
      entries.some(({ entry: { entry } }) => countsOn(entry.on, entry.scheme, signer)),
    ),
    firstParent: !set.anyRule && set.rules.some(({ rule }) => rule.merges === "first-parent"),
  }
}
