/**
 * Where `gitsign resign` keeps what it has moved, so that it can be undone: `refs/gitsign/resign/NUMBER/before/…` and `…/after/…`.
 *
 * @module
 */

import { listRefs } from "../git/revisions.ts"
import type { GitContext } from "../git/run.ts"
import type { RefUpdate } from "../git/update-refs.ts"

const PREFIX = "refs/gitsign/resign/"

/** A ref that was moved. */
export interface Move {
  /** `refs/heads/…`, or `HEAD`. */
  readonly ref: string
  readonly before: string
  readonly after: string
}

/** One run of resign. */
export interface ResignRecord {
  readonly number: number
  readonly moves: readonly Move[]
}

/** All runs that can be undone, the newest first. */
export async function readRecords(context: GitContext): Promise<ResignRecord[]> {
  const found = new Map<number, Map<string, { before?: string; after?: string }>>()
  for (const { name, id } of await listRefs(context, PREFIX)) {
    const [, number, side, short = ""] =
      /^(\d+)\/(before|after)\/(HEAD|heads\/.+)$/.exec(name.slice(PREFIX.length)) ?? []
    if (number === undefined) continue
    const moves = found.get(Number(number)) ?? new Map()
    found.set(Number(number), moves)
    const ref = short === "HEAD" ? "HEAD" : `refs/${short}`
    moves.set(ref, { ...moves.get(ref), [side === "before" ? "before" : "after"]: id })
  }
  return [...found]
    .sort(([one], [other]) => other - one)
    .map(([number, moves]) => ({
      number,
      moves: [...moves].flatMap(([ref, { before, after }]) =>
        before === undefined || after === undefined ? [] : [{ ref, before, after }],
      ),
    }))
}

/** What keeps a new run: refs that must not exist yet. */
export const recordUpdates = (number: number, moves: readonly Move[]): RefUpdate[] =>
  moves.flatMap(({ ref, before, after }) => [
    { ref: recordRef(number, "before", ref), from: undefined, to: before },
    { ref: recordRef(number, "after", ref), from: undefined, to: after },
  ])

/**
 * What forgets moves of a run. The caller MUST leave out those that were not taken back: what is kept of them tells how to, and keeps
 * their old commits.
 */
export const forgetUpdates = (number: number, moves: readonly Move[]): RefUpdate[] =>
  moves.flatMap(({ ref, before, after }) => [
    { ref: recordRef(number, "before", ref), from: before, to: undefined },
    { ref: recordRef(number, "after", ref), from: after, to: undefined },
  ])

const recordRef = (number: number, side: "before" | "after", ref: string): string =>
  `${PREFIX}${number}/${side}/${ref.replace(/^refs\//, "")}`
