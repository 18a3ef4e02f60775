/**
 * What whoever pushes can run to mend a ref that was refused. Every name is told: what is checked out there may be another branch, with
 * commits that nobody meant to sign or push.
 *
 * @module
 */

import { isPlainTag, signedTagCommand } from "../audit/check.ts"
import { isPlainName, isPlainRef, resignCommand } from "../audit/mend.ts"
import type { AuditedObject } from "../audit/result.ts"
import type { PushedRef } from "../git/pushed-refs.ts"

/** Where a name is not known, or a shell or git could take it for something else, as in other hints. */
const [REMOTE, BRANCH, TAG] = ["REMOTE", "BRANCH", "NAME"]

/**
 * The command that mends what is bad on one ref; undefined where none does.
 *
 * @param objects what was audited for the ref, new ones first
 * @param remote what it is pushed to, as whoever pushes calls it; the receiving side does not know
 */
export function mendOf(
  update: PushedRef,
  objects: readonly AuditedObject[],
  remote: string | undefined,
): string | undefined {
  const where = remote !== undefined && isPlainRef(remote) ? remote : REMOTE
  if (update.ref.startsWith("refs/heads/")) return mendOfBranch(update, objects, where)
  return update.ref.startsWith("refs/tags/") ? mendOfTag(update, objects, where) : undefined
}

function mendOfBranch(
  { ref, local = ref, before }: PushedRef,
  objects: readonly AuditedObject[],
  remote: string,
): string | undefined {
  // A branch whose HEAD is detached has no name, and is all that can be meant.
  const branch = local === "HEAD" ? "" : shortBranch(local)
  const resign = resignCommand(objects, { branch, published: false })
  if (resign === undefined) return undefined
  // What was to replace a history has to be pushed as that, and only over the one that was there.
  const replaces = before !== undefined && !objects.some(({ parents }) => parents.includes(before))
  const name = local === ref ? branch : ref
  const push = replaces && isPlainRef(name) ? `git push --force-with-lease=${name}:${before}` : "git push"
  if (local === ref) return `${resign} && ${push} ${remote} ${branch}`
  const there = isPlainRef(ref) ? ref : `refs/heads/${BRANCH}`
  // By its own name the branch may have no rule, or one that these commits satisfy.
  const command = resign.replace("gitsign resign", `gitsign resign --ref ${there}`)
  return `${command} && ${push} ${remote} ${branch || "HEAD"}:${there}`
}

function shortBranch(ref: string): string {
  const name = ref.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : BRANCH
  return name !== "" && isPlainName(name) ? name : BRANCH
}

function mendOfTag(
  { ref, local = ref }: PushedRef,
  objects: readonly AuditedObject[],
  remote: string,
): string | undefined {
  const bad = objects.filter(({ verdict }) => verdict === "bad")
  if (bad.length === 0 || bad.some(({ problem }) => problem?.code !== "ERR_NOT_SIGNED")) return undefined
  const short = ref.slice("refs/tags/".length)
  const name = local === ref && isPlainTag(short) ? short : TAG
  return `${signedTagCommand(name)} && git push ${remote} tag ${name}`
}
