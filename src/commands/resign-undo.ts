/**
 * `gitsign resign --undo`: the branch goes back to the commits it had before.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"
import { publishedCommits } from "../git/published.ts"
import { mergeBases, tryResolve } from "../git/revisions.ts"
import { updateRefs } from "../git/update-refs.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { count } from "./resign-plan.ts"
import { forgetUpdates, type Move, type ResignRecord, readRecords } from "./resign-record.ts"
import { checkBranchIsFree, labelOf, type ResignBranch, resolveBranch } from "./resign-target.ts"
import { shortId } from "./resign-text.ts"

/** The flags of an undo. */
export interface UndoOptions {
  readonly force?: boolean
  readonly dryRun?: boolean
}

/**
 * Takes the last run on a branch back: all branches that it moved go back, and their old commits are as they were. What has moved since
 * stays.
 *
 * @param name the branch; undefined: the one that is checked out
 * @throws ERR_RESIGN when there is nothing to undo, or the branch has gone on since; ERR_PUBLISHED when a remote has the new commits,
 * unless with `force`; what `checkBranchIsFree` throws
 */
export async function undoResign(
  io: CommandIo,
  messages: Messages,
  name: string | undefined,
  options: UndoOptions,
): Promise<void> {
  const branch = await resolveBranch(io, name ?? "HEAD")
  const { record, move } = await findRecord(io, branch)
  if (branch.tip !== move.after) throw await goneOn(io, branch, move)
  await checkBranchIsFree(io, branch.ref)
  const { ids, ref } = await publishedCommits(io, move.after, move.before)
  if (ids.size > 0 && !options.force) {
    const is = ids.size === 1 ? "is" : "are"
    const message = `${count(ids.size)} signed again ${is} ${ref === undefined ? "on a remote" : `in ${ref}`} already`
    const dry = options.dryRun ? " --dry-run" : ""
    const forced = `gitsign resign --undo${dry} --force${name === undefined ? "" : ` ${shellQuote(name)}`}`
    throw new GitsignError("ERR_PUBLISHED", message, {
      hint: `others may have them already; go back all the same with: ${forced}`,
    })
  }
  const moves = await movable(io, messages, record.moves)
  const text = moves.map(
    ({ ref, before, after }) =>
      `${labelOf(ref)} ${options.dryRun ? "would be" : "is now"} ${shortId(before)}, was ${shortId(after)}\n`,
  )
  if (!options.dryRun) {
    const back = moves.map(({ ref, before, after }) => ({ ref, from: after, to: before }))
    await updateRefs(io, [...back, ...forgetUpdates(record)], "resign: undone", branch.objectFormat)
  }
  io.stdout(text.join(""))
}

async function findRecord(
  io: CommandIo,
  { ref, label, tip }: ResignBranch,
): Promise<{ record: ResignRecord; move: Move }> {
  for (const record of await readRecords(io)) {
    // Every worktree has a HEAD of its own, and only its own place tells which run was here.
    const move = record.moves.find((one) => one.ref === ref && (ref !== "HEAD" || one.after === tip))
    if (move !== undefined) return { record, move }
  }
  throw new GitsignError("ERR_RESIGN", `gitsign resign has not moved ${label}, or that was undone`, {
    hint: `see where it was before with: git reflog ${shellQuote(label)}`,
  })
}

/** The error for a branch that is somewhere else by now. */
async function goneOn(io: CommandIo, branch: ResignBranch, { before, after }: Move): Promise<GitsignError> {
  const { label, tip } = branch
  const message = `${label} is at ${shortId(tip)}, and was at ${shortId(after)} when it had been signed again`
  const goesOn = (await mergeBases(io, tip, after)).includes(after)
  const onto = `git rebase --onto ${shortId(before)} ${shortId(after)}${branch.ref === "HEAD" ? "" : ` ${shellQuote(label)}`}`
  const hint = goesOn
    ? `put what came later on the old commits: ${onto}`
    : `see where it was with: git reflog ${shellQuote(label)}`
  return new GitsignError("ERR_RESIGN", message, { hint })
}

/** What can go back with the branch; the rest is told. */
async function movable(io: CommandIo, messages: Messages, moves: readonly Move[]): Promise<Move[]> {
  const found: Move[] = []
  for (const move of moves) {
    if ((await tryResolve(io, move.ref)) === move.after) {
      await checkBranchIsFree(io, move.ref)
      found.push(move)
    } else messages.say(`${labelOf(move.ref)} has moved since, and stays where it is`)
  }
  return found
}
