/**
 * Whether the policy has a rule for the branch that is signed again, and by which branch's rules its commits may be meant to be judged.
 *
 * @module
 */

import type { PolicyInForce } from "../audit/policy-source.ts"
import { rulesOf } from "../audit/rules.ts"
import { GitsignError } from "../errors.ts"
import { readSetting } from "../git/config.ts"
import { remoteRefs } from "../git/remote-refs.ts"
import { type GitContext, runGit } from "../git/run.ts"
import type { Judgement } from "../policy/facts.ts"
import type { ResignTarget } from "./resign-target.ts"

/**
 * Refuses to sign for a branch that the policy has no rule for, where that alone is reason enough to refuse whatever is signed. Of a branch
 * that goes into another one by a pull request, that other one's rules are what counts: the hint names it before anything that would
 * make the policy weaker.
 *
 * @param forRef the same command, judged by the rules of another branch; undefined: it was said whose rules count
 * @throws ERR_NO_RULE
 */
export async function checkBranchHasRule(
  context: GitContext,
  policy: PolicyInForce | undefined,
  target: ResignTarget,
  forRef: ((ref: string) => string) | undefined,
): Promise<void> {
  const refusal = policy && refusalWithoutRule(policy, target, target.judgedAs)
  if (policy === undefined || refusal === undefined) return
  const { code, message, hint } = refusal
  const ways: string[] = []
  if (forRef !== undefined && target.judgedAs !== undefined) {
    const candidates = await goalsOf(context, target.judgedAs)
    const goal = candidates.find((ref) => refusalWithoutRule(policy, target, ref) === undefined)
    ways.push(
      goal === undefined
        ? `where it is to go into another branch, name that one: ${forRef("BRANCH")}`
        : `where it is to go into ${goal}, sign it by the rules of that: ${forRef(goal)}`,
    )
  }
  if (hint !== undefined) ways.push(ways.length === 0 ? hint : `else ${hint}`)
  throw new GitsignError(code, message, ways.length === 0 ? {} : { hint: ways.join("; ") })
}

function refusalWithoutRule(
  { compiled }: PolicyInForce,
  { tip }: ResignTarget,
  ref: string | undefined,
): Judgement["refusal"] {
  const facts = {
    type: "commit",
    id: tip,
    committerEmail: "",
    parents: [],
    paths: undefined,
    cleanMerge: undefined,
  } as const
  // Where no rule counts, it does not matter who asks.
  const nobody = { scheme: "ssh", fingerprints: [], principals: [], lines: [] } as const
  const { refusal } = compiled.judge(facts, rulesOf(compiled, "commit", ref), nobody)
  return refusal?.code === "ERR_NO_RULE" ? refusal : undefined
}

/** The branches that a branch may go into, by their full names over there: the one it follows, the default branch of its remote. */
async function goalsOf(context: GitContext, ref: string): Promise<string[]> {
  const branch = ref.replace(/^refs\/heads\//, "")
  const merge = await readSetting(context, `branch.${branch}.merge`)
  const remote = (await readSetting(context, `branch.${branch}.remote`)) ?? (await usualRemote(context))
  const { head } = await remoteRefs(context, remote)
  return [merge, head?.ref].flatMap((one) => (one?.startsWith("refs/heads/") ? [one] : []))
}

/** As git takes it for a branch that follows none. */
async function usualRemote(context: GitContext): Promise<string> {
  const { stdout } = await runGit(context, ["remote"])
  const [first = "", ...others] = stdout.toString("utf8").split("\n").filter(Boolean)
  return others.length === 0 ? first : "origin"
}
