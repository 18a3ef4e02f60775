/**
 * `gitsign hook post-merge`: tells when a merge or pull has brought something in that the policy does not allow (githooks(5)). It only
 * warns: the merge is done.
 *
 * @module
 */

import { audit } from "../audit/audit.ts"
import { readPolicyAt } from "../audit/policy-source.ts"
import { exitStatusOf } from "../audit/result.ts"
import { isGitsignError } from "../errors.ts"
import { readSetting } from "../git/config.ts"
import { currentBranch, tryResolve } from "../git/revisions.ts"
import type { GitContext } from "../git/run.ts"
import { hookText } from "../report/hook-text.ts"
import { auditOptionsOf, configuredPolicy } from "./audit-options.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { loadConfig } from "./settings.ts"
import { withinSeconds } from "./time-limit.ts"

/** The hook post-merge: verifies what HEAD has that it did not have before the merge. Always succeeds. */
export async function postMerge(io: CommandIo, messages: Messages): Promise<number> {
  try {
    const config = await loadConfig(io, messages)
    const text = await withinSeconds(config.hookTimeLimit, async (signal) => {
      const [before, after] = await Promise.all(["ORIG_HEAD", "HEAD"].map((name) => tryResolve(io, `${name}^{commit}`)))
      // A squashed merge leaves HEAD where it was, and nothing of others gets a place in the history.
      if (before === undefined || after === undefined || before === after) return ""
      const policy = (await configuredPolicy(io, config)) ?? (await readPolicyAt(io, before, "ORIG_HEAD"))
      if (policy === undefined) return ""
      const branch = await currentBranch(io)
      const ref = branch && (await upstreamOf(io, branch))
      const target = {
        name: "ORIG_HEAD..HEAD",
        ref,
        include: [after],
        exclude: [before],
        walk: true,
        policy,
        fresh: true,
      }
      const result = await audit(io, [target], { ...(await auditOptionsOf(io, config)), signal })
      return exitStatusOf(result.totals) === 0 ? "" : hookText(result, { ref: branch ?? "HEAD", outcome: "warning" })
    })
    messages.write(text)
  } catch (error) {
    if (!isGitsignError(error)) throw error
    messages.error(error)
  }
  return 0
}

/** The branch whose rules count: the one over there that a branch follows, which may have another name; else its own. */
async function upstreamOf(context: GitContext, branch: string): Promise<string> {
  const key = `branch.${branch.slice("refs/heads/".length)}.merge`
  const upstream = await readSetting(context, key)
  return upstream?.startsWith("refs/heads/") ? upstream : branch
}
