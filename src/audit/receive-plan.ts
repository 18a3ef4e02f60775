/**
 * What a push has to prove: which objects are judged for which refs, by which policy. docs/hooks.md says it in words.
 *
 * @module
 */

import type { GitsignError } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"
import type { PushedRef } from "../git/pushed-refs.ts"
import type { RuleSet } from "../policy/compile.ts"
import type { PolicyInForce } from "./policy-source.ts"
import type { Problem } from "./result.ts"
import type { AuditTarget } from "./targets.ts"

/** The receiving side as it is before the push. */
export interface Situation {
  readonly updates: readonly PushedRef[]
  /** Its branches, by their full names. */
  readonly branches: readonly { readonly ref: string; readonly id: string }[]
  /** What an object id of the updates is; undefined when it is not there. */
  readonly typeOf: (id: string) => "commit" | "tag" | "tree" | "blob" | undefined
  /** The policy that judges what comes to a ref; the reason where it cannot be used, undefined where there is none. */
  readonly policyOf: (ref: string) => PolicyInForce | GitsignError | undefined
  /** What to say where there is none. */
  readonly policyMissing: Problem
}

/** Updates that are judged together, since the same policy and rules count for them. */
export interface UpdateGroup {
  readonly target: AuditTarget
  readonly updates: readonly PushedRef[]
  /** The names of the rules. */
  readonly rules: readonly string[]
  /** Whether a rule looks at first parents only: then the caller MUST add the {@link firstParentGap} as a target. */
  readonly firstParent: boolean
}

/** A ref that is refused for what it is, before any signature is looked at. */
export interface RefRefusal {
  readonly ref: string
  readonly problem: Problem
}

/** What follows from the updates. */
export interface ReceivePlan {
  readonly groups: readonly UpdateGroup[]
  readonly refusals: readonly RefRefusal[]
}

/**
 * Plans what is verified for the updates of one push. Deletions ask for nothing.
 *
 * A commit need not be judged again when a branch already has it for which the same policy and at least the same rules count. That
 * it is in the repository is not enough: it may have come in over a branch with laxer rules, under a tag, or as `refs/pull/…` that no
 * hook has seen.
 */
export function planReceive(situation: Situation): ReceivePlan {
  const refusals: RefRefusal[] = []
  const drafts = new Map<string, Draft>()
  const tags: UpdateGroup[] = []
  const numbers = new Map<unknown, number>()
  const numberOf = (one: unknown): number => numbers.get(one) ?? numbers.set(one, numbers.size).size - 1
  for (const update of situation.updates) {
    const { ref, after } = update
    if (after === undefined) continue
    const policy = situation.policyOf(ref)
    if (policy === undefined || !("compiled" in policy)) {
      refusals.push({ ref, problem: policy === undefined ? situation.policyMissing : problemOf(policy) })
      continue
    }
    const misspelt = spelledUnlikeGit(ref)
    if (misspelt !== undefined) {
      refusals.push({ ref, problem: misspelt })
      continue
    }
    const kind = ref.startsWith("refs/tags/") ? "tag" : "commit"
    const rules = policy.compiled.rulesFor(kind, ref)
    const type = situation.typeOf(after)
    if (type === undefined) {
      refusals.push({ ref, problem: notThere(update) })
    } else if (!rules.based && policy.compiled.policy.otherwise === "refuse") {
      // Of every object it would be said again.
      refusals.push({ ref, problem: noRule(policy, ref) })
    } else if (rules.rules.length === 0) {
      // Nothing is asked of it, unless it does something to other refs.
      const problem = reachingFurther(policy, ref)
      if (problem !== undefined) refusals.push({ ref, problem })
    } else if (type !== kind) {
      refusals.push({ ref, problem: problemOfType(policy, rules, ref, type) })
    } else if (kind === "tag") {
      const target = { name: ref, ref, include: [after], exclude: [], walk: false, policy, fresh: true }
      tags.push({ target, updates: [update], rules: rules.names, firstParent: false })
    } else {
      // What came to other refs than branches counts for nothing on a branch.
      const isBranch = ref.startsWith("refs/heads/")
      const key = JSON.stringify([numberOf(policy), isBranch, rules.based, rules.rules.map(numberOf)])
      const draft = drafts.get(key) ?? { policy, rules, updates: [] }
      drafts.set(key, draft)
      draft.updates.push(update)
    }
  }
  return { groups: [...[...drafts.values()].map((draft) => groupOf(draft, situation)), ...tags], refusals }
}

interface Draft {
  readonly policy: PolicyInForce
  readonly rules: RuleSet
  readonly updates: PushedRef[]
}

function groupOf({ policy, rules, updates }: Draft, situation: Situation): UpdateGroup {
  const [first] = updates
  const accepted = situation.branches
    .filter(({ ref }) => situation.policyOf(ref) === policy)
    .filter(({ ref }) => asStrict(policy.compiled.rulesFor("commit", ref), rules))
    .map(({ id }) => id)
  const before = updates.flatMap((update) => update.before ?? [])
  const include = updates.flatMap(({ after }) => after ?? [])
  return {
    target: {
      name: first?.ref ?? "",
      ref: first?.ref,
      include: [...new Set(include)],
      exclude: [...new Set([...before, ...accepted])],
      walk: true,
      policy,
      fresh: true,
    },
    updates,
    rules: rules.names,
    firstParent: policy.compiled.needs(rules).firstParent,
  }
}

/** Whether whatever satisfies the rules `have` satisfies the rules `want`: every rule has to be satisfied, so more rules are stricter. */
const asStrict = (have: RuleSet, want: RuleSet): boolean => want.rules.every((rule) => have.rules.includes(rule))

const problemOf = ({ code, message, hint }: GitsignError): Problem => ({ code, message, hint })

const notThere = ({ ref, after }: PushedRef): Problem => ({
  code: "ERR_GIT",
  message: `${after}, to which ${ref} is to point, is not in this repository`,
  hint: "push again; if it stays, check the repository with: git fsck",
})

const noRule = ({ source }: PolicyInForce, ref: string): Problem => ({
  code: "ERR_NO_RULE",
  message: `${source} has no rule for ${ref}`,
  hint: `${ref.startsWith("refs/heads/") ? "push to a branch that has one, " : ""}add a rule for it to the policy, or say there: otherwise: allow`,
})

/** A disk that does not tell `refs/Tags/` from `refs/tags/` would have a tag changed by the rules for neither. */
function spelledUnlikeGit(ref: string): Problem | undefined {
  const [, kind = ""] = ref.split("/", 2)
  const folded = kind.normalize("NFC").toUpperCase().toLowerCase()
  if (kind === folded || (folded !== "heads" && folded !== "tags")) return undefined
  return {
    code: "ERR_NO_RULE",
    message: `${ref} is on some disks the same as one below refs/${folded}/`,
    hint: `push it to refs/${folded}/…, as git spells it`,
  }
}

/** What git would show in the place of signed objects, and what belongs to the repositories in namespaces (gitnamespaces(7)). */
function reachingFurther({ source }: PolicyInForce, ref: string): Problem | undefined {
  const [, kind = ""] = ref.split("/", 2)
  const hint = `add a rule for it to the policy, with branches: ['refs/${kind}/**']`
  if (kind === "replace") {
    const message = `${ref} would show another object in the place of a signed one, and ${source} has no rule for it`
    return { code: "ERR_REPLACED", message, hint }
  }
  if (kind !== "namespaces") return undefined
  return { code: "ERR_NO_RULE", message: `${ref} is of another namespace, and ${source} has no rule for it`, hint }
}

/** What is wrong with a tag that is no tag object, and with anything else that is no commit. */
function problemOfType({ source }: PolicyInForce, { names }: RuleSet, ref: string, type: string): Problem {
  const isTag = ref.startsWith("refs/tags/")
  const what = isTag ? `a lightweight tag, only a name for a ${type}` : `a ${type} and no commit`
  const message = `${ref} is ${what}, and rule ${JSON.stringify(names[0])} of ${source} asks for a signature`
  const name = shellQuote(ref.slice("refs/tags/".length))
  const hint = isTag ? `make a signed tag in its place: git tag -s -f ${name} ${name}` : "push a signed commit there"
  return { code: "ERR_NOT_SIGNED", message, hint }
}

/** What the walks along a group's commits have found, each a list of commit ids. */
export interface FirstParentWalks {
  /** The first parents of what is pushed, with itself. */
  readonly pushed: readonly string[]
  /** The first parents of what is excluded, with itself. */
  readonly excluded: readonly string[]
  /** All that can be reached from what is pushed and not from what is excluded. */
  readonly walked: readonly string[]
}

/**
 * The commits that come to stand on a branch itself though they are in its history already, where a merge has vouched for them:
 * a branch that is set back to a commit which somebody else had merged into it shows that commit's tree, for which nobody has signed.
 */
export function firstParentGap({ pushed, excluded, walked }: FirstParentWalks): string[] {
  const known = new Set([...excluded, ...walked])
  return pushed.filter((id) => !known.has(id))
}
