/**
 * Reads git's configuration (git-config(1)): one process, git's own rules of precedence, scopes and includes.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { type GitContext, runGit } from "./run.ts"

/** One configured value, in the order in which git applies them: of several for one key, the last one counts. */
export interface GitConfigEntry {
  /** `section.name` in lower case; a subsection between them keeps its case. */
  readonly key: string
  /** Undefined for a key without `=`, which git reads as true. */
  readonly value: string | undefined
  /** Where it was set, such as `file:.git/config` or `command line:`. */
  readonly origin: string
}

/**
 * Reads the values under `gitsign.` and `user.`; an empty list when there are none.
 *
 * @throws ERR_CONFIG when git cannot read its own configuration; ERR_GIT when git cannot be run
 */
export async function readGitConfig(context: GitContext): Promise<GitConfigEntry[]> {
  const result = await runGit(context, ["config", "-z", "--show-origin", "--get-regexp", "^(gitsign|user)\\."])
  if (result.status === 1 && result.stderr === "") return []
  if (result.status !== 0) {
    throw new GitsignError("ERR_CONFIG", `git cannot read its configuration: ${result.stderr}`, {
      hint: "see what git itself says to: git config --list",
    })
  }
  return parseGitConfig(result.stdout.toString("utf8"))
}

/** Reads what `git config -z --show-origin --get-regexp` prints: `origin NUL key [LF value] NUL`, again and again. */
export function parseGitConfig(output: string): GitConfigEntry[] {
  const fields = output.split("\0")
  const entries: GitConfigEntry[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const origin = fields[i] ?? ""
    const entry = fields[i + 1] ?? ""
    // A value may hold line feeds of its own; the first one ends the key.
    const end = entry.indexOf("\n")
    entries.push({
      key: end < 0 ? entry : entry.slice(0, end),
      value: end < 0 ? undefined : entry.slice(end + 1),
      origin,
    })
  }
  return entries
}

/**
 * The value that counts of one setting of git's own; undefined where it is not set, or is empty.
 *
 * @param key such as `branch.main.merge`
 * @throws ERR_GIT when git cannot be run
 */
export async function readSetting(context: GitContext, key: string): Promise<string | undefined> {
  const { status, stdout } = await runGit(context, ["config", "--null", "--get", key])
  return (status === 0 && stdout.toString("utf8").split("\0")[0]) || undefined
}
