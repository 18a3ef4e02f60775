/**
 * `--ref`: the branch by whose rules a question is judged.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { isRefName } from "../git/pushed-refs.ts"

/**
 * The full name of the ref that was named as git names it. It need not be here: a change may go to a branch that only the remote has.
 *
 * @throws ERR_USAGE for what is no name of a ref
 */
export function fullRef(ref: string): string {
  const full = ref.startsWith("refs/") ? ref : `refs/heads/${ref}`
  if (isRefName(full)) return full
  throw new GitsignError("ERR_USAGE", `--ref: ${JSON.stringify(ref)} is no name of a branch`, {
    hint: "say it as git does: --ref main, or --ref refs/heads/main",
  })
}
