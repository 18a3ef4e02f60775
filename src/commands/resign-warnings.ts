/**
 * What speaks against signing commits again, told before anybody logs in for it.
 *
 * @module
 */

import { checkObject } from "../audit/check.ts"
import type { PolicyInForce } from "../audit/policy-source.ts"
import type { Problem } from "../audit/result.ts"
import { rulesOf } from "../audit/rules.ts"
import type { Config } from "../config.ts"
import { type ErrorCode, GitsignError } from "../errors.ts"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import { count, type PlannedCommit, type ResignPlan } from "./resign-plan.ts"
import { shortId } from "./resign-text.ts"
import { trustOf } from "./trust.ts"

/** What is found where bytes were changed behind a signature; all else may come of signing badly. */
const CHANGED: ReadonlySet<ErrorCode> = new Set(["ERR_CONTENT", "ERR_SIGNATURE", "ERR_SIGNER"])

/**
 * Refuses to sign what somebody has signed otherwise: the one thing that shows the change would be gone.
 *
 * @param allowing the command that signs it all the same; undefined: this is it
 * @returns the warning for whoever signs it all the same
 * @throws the code of what is wrong with the first such commit; ERR_TRUSTED_ROOT
 */
export function checkUnchanged(
  commits: readonly PlannedCommit[],
  config: Config,
  allowing: string | undefined,
): string | undefined {
  const trustedRoot = trustOf(config)
  const changed = commits.flatMap((commit) => {
    const problem = changeOf(commit, trustedRoot)
    return problem === undefined ? [] : [{ id: commit.id, ...problem }]
  })
  const [first] = changed
  if (first === undefined) return undefined
  const which =
    changed.length === 1
      ? `${shortId(first.id)} has a signature that does not fit what it holds`
      : `${count(changed.length)} have signatures that do not fit what they hold, ${shortId(first.id)} first`
  const message = `${which}: ${first.message}`
  if (allowing === undefined) return `warning: ${message} [${first.code}]; you vouch for what is there now`
  throw new GitsignError(first.code, message, {
    hint: `get it from where it was made; where the change is right, sign it with: ${allowing}`,
  })
}

function changeOf(
  { id, raw, code, reason }: PlannedCommit,
  trustedRoot: TrustedRoot,
): Pick<Problem, "code" | "message"> | undefined {
  if (code !== undefined) return CHANGED.has(code) ? { code, message: reason } : undefined
  // With --all nobody has looked, and a policy may not judge what is from before it.
  const { problem } = checkObject({ type: "commit", id, raw }, trustedRoot).signature
  return problem !== undefined && CHANGED.has(problem.code) ? problem : undefined
}

/**
 * Refuses commits of other committers where gitsign.matchCommitter is set, as far as git says who is here; the certificate is asked again.
 *
 * @throws ERR_COMMITTER
 */
export function checkCommitters(commits: readonly PlannedCommit[], config: Config): void {
  if (!config.matchCommitter) return
  const { name, email } = config.committer
  const other = commits.find(({ summary: { committer } }) => committer.email !== email && committer.name !== name)
  if (other === undefined) return
  const { committer } = other.summary
  throw new GitsignError(
    "ERR_COMMITTER",
    `gitsign.matchCommitter is set, and the committer of ${shortId(other.id)} is ${committer.name} <${committer.email}>`,
    {
      hint: "have that person sign it, or make the commits your own with: git rebase --rebase-merges --force-rebase -S",
    },
  )
}

/**
 * The warning that a policy will refuse the new commits, since it wants the committer to sign and that is somebody else by git's
 * settings; undefined when it does not, or nobody else is.
 */
export function committerWarning(
  policy: PolicyInForce | undefined,
  { target, commits }: ResignPlan,
  config: Config,
): string | undefined {
  if (policy === undefined) return undefined
  const { rules, anyRule } = rulesOf(policy.compiled, "commit", target.judgedAs)
  const isAsked = !anyRule && rules.some(({ rule, paths }) => paths === undefined && rule.require.committer)
  const others = commits.filter(
    ({ code, summary: { committer } }) =>
      (isAsked || code === "ERR_COMMITTER") && committer.email !== config.committer.email,
  )
  const [first] = others
  if (first === undefined) return undefined
  const { name, email } = first.summary.committer
  const which = others.length === 1 ? "that" : `those of ${count(others.length)}, among them that`
  return (
    `warning: ${policy.source} wants commits to be signed by their committers, and ${which} of ${shortId(first.id)}, ` +
    `${name} <${email}>, is not who you are to git: your signature will be refused, unless you log in as that person [ERR_COMMITTER]; ` +
    "commits become your own with: git rebase --rebase-merges --force-rebase -S"
  )
}
