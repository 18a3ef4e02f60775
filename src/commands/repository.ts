/**
 * Whether a command runs inside of a repository (git-rev-parse(1), `--git-dir`).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { type GitContext, runGit } from "../git/run.ts"

/**
 * Refuses to go on outside of a repository, where git's answers to other questions lead astray.
 *
 * @throws ERR_GIT, also for a repository that git does not trust
 */
export async function checkRepository(context: GitContext): Promise<void> {
  const { status, stderr } = await runGit(context, ["rev-parse", "--git-dir"])
  if (status !== 0) throw notInRepository(stderr)
}

/** The error for what git says outside of a repository. */
export function notInRepository(stderr: string, hint = "run it inside the repository"): GitsignError {
  const isOutside = /not a git repository/.test(stderr)
  return new GitsignError("ERR_GIT", isOutside ? "not a git repository" : stderr, isOutside ? { hint } : {})
}
