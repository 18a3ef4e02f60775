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
 * @throws ERR_USAGE; ERR_GIT for a repository that git does not trust or cannot read
 */
export async function checkRepository(context: GitContext): Promise<void> {
  const { status, stderr } = await runGit(context, ["rev-parse", "--git-dir"])
  if (status !== 0) throw notInRepository(stderr)
}

/** The error for what git says outside of a repository. */
export function notInRepository(stderr: string, hint = "run it inside the repository"): GitsignError {
  if (/not a git repository/.test(stderr)) return new GitsignError("ERR_USAGE", "not a git repository", { hint })
  // git tells the way out itself: git config --global --add safe.directory DIRECTORY
  const [message = stderr, ...more] = stderr.split("\n").filter((line) => line.trim() !== "")
  const command = more.find((line) => line.includes("safe.directory"))?.trim()
  return new GitsignError("ERR_GIT", message, command === undefined ? {} : { hint: `if you trust it: ${command}` })
}
