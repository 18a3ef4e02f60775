/**
 * Which rules of a policy count for an object of an audit, also where its branch is not known.
 *
 * @module
 */

import type { CompiledPolicy, RuleSet } from "../policy/compile.ts"

/** Some branch: where all rules are for every one, it does not matter which. */
const SOME_BRANCH = "refs/heads/HEAD"

/**
 * The rules for an object. On no known branch all of them count where all are for every branch: a detached HEAD must not be let off the
 * rules over paths.
 *
 * @param ref full name of the branch or tag; undefined when it is not known. Then, and where rules differ by branch
 * ({@link asksForBranch}), it is enough to satisfy one of them
 */
export const rulesOf = (compiled: CompiledPolicy, type: "commit" | "tag", ref: string | undefined): RuleSet =>
  compiled.rulesFor(type, ref ?? (type === "commit" && !asksForBranch(compiled) ? SOME_BRANCH : undefined))

/** Whether it takes a branch to know which rules count for commits. */
export const asksForBranch = ({ policy }: CompiledPolicy): boolean =>
  policy.rules.some(({ kind, refs }) => kind === "commits" && !refs.includes("**"))
