/**
 * `gitsign resign --undo`: the branch goes back to the commits it had before.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import { shellQuote } from "../formats/printable.ts"
import { findReturningNotes, type ReturningNotes, writeNotes } from "../git/notes.ts"
import { readObjects } from "../git/objects.ts"
import { publishedCommits } from "../git/published.ts"
import { mergeBases, tryResolve, walkCommits } from "../git/revisions.ts"
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
 * Takes the last run on a branch back: all branches that it moved go back, and their old commits are as they were, with the notes that
 * the new ones have got. What has moved since stays, and can be taken back later.
 *
 * @param name the branch; undefined: the one that is checked out
 * @throws ERR_RESIGN when there is nothing to undo, or the branch has gone on since; ERR_PUBLISHED when a remote has the new commits,
 * unless with `force`; what `checkBranchIsFree`, `findReturningNotes` and `writeNotes` throw
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
  const { ids, ref } = await publishedCommits(io, move.after, [move.before])
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
  const notes = await findReturningNotes(io, await rewrittenBy(io, moves))
  const text = moves.map(
    ({ ref, before, after }) =>
      `${labelOf(ref)} ${options.dryRun ? "would be" : "is now"} ${shortId(before)}, was ${shortId(after)}\n`,
  )
  if (!options.dryRun) {
    const back = moves.map(({ ref, before, after }) => ({ ref, from: after, to: before }))
    const noted = await writeNotes(io, notes.changes, "Notes brought back by 'gitsign resign --undo'")
    const forgotten = forgetUpdates(record.number, moves)
    await updateRefs(io, [...back, ...noted, ...forgotten], "resign: undone", branch.objectFormat)
  }
  for (const note of notesTexts(notes, options.dryRun === true)) messages.say(note)
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
    } else messages.say(`${labelOf(move.ref)} has moved since, and stays where it is${howToGoBack(move)}`)
  }
  return found
}

const howToGoBack = ({ ref }: Move): string =>
  ref === "HEAD" ? "" : `; see: gitsign resign --undo ${shellQuote(labelOf(ref))}`

/** The new id for each old commit of some branches: signing again changes no parents but into the new ones, in the same order. */
async function rewrittenBy(io: CommandIo, moves: readonly Move[]): Promise<Map<string, string>> {
  const before = moves.map((move) => move.before)
  const after = moves.map((move) => move.after)
  const parents = new Map<string, readonly string[]>()
  const ids = [...(await walkCommits(io, after, before)), ...(await walkCommits(io, before, after))]
  for await (const { id, raw } of readObjects(io, ids)) parents.set(id, summarizeObject(raw).parents)
  const rewritten = new Map<string, string>()
  const pairs = moves.map((move) => [move.before, move.after] as const)
  for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
    const [old, made] = pair
    if (old === made || rewritten.has(old)) continue
    rewritten.set(old, made)
    const of = parents.get(made) ?? []
    for (const [index, parent] of (parents.get(old) ?? []).entries()) pairs.push([parent, of[index] ?? parent])
  }
  return rewritten
}

/** What becomes of the notes that the commits signed again have got since. */
function notesTexts({ returned, left }: ReturningNotes, isDry: boolean): string[] {
  const texts: string[] = []
  if (returned > 0) {
    const many = returned === 1 ? "1 later note" : `${returned} later notes`
    texts.push(
      `${many} of the commits signed again ${isDry ? "would go" : returned === 1 ? "goes" : "go"} back to the old ones`,
    )
  }
  const [first] = left
  if (first !== undefined) {
    const which =
      left.length === 1
        ? `the note on ${shortId(first)} stays`
        : `${left.length} notes, one of them on ${shortId(first)}, stay`
    texts.push(
      `${which} there alone, since the old ${left.length === 1 ? "commit has another" : "commits have others"}`,
    )
  }
  return texts
}
