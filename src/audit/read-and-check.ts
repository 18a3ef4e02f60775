/**
 * Reads objects from one git process and checks their signatures, ahead of whoever takes the results, which come in order.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import { type GitObject, readEach } from "../git/objects.ts"
import type { GitContext } from "../git/run.ts"
import { type CheckedObject, refusedCheck, type StoredObject } from "./check.ts"
import type { Checker } from "./pool.ts"

/** Objects in one message to a thread. */
const BATCH = 16

/** No further object is read while those that are being checked have more bytes: packed, a commit of 16 MiB can be small. */
const MAX_BYTES = 16 * 1024 * 1024

/** A checked object. */
export type CheckedWithBytes = CheckedObject & {
  /** Whether it could be read. */
  readonly isRead: boolean
  /** Its bytes where its signature is looked at again: in the log, or with the keys of a policy. Empty for others, of which many wait. */
  readonly raw: Uint8Array
}

/**
 * Yields the check of each object, in the order of the ids. An object that cannot be read is one that was not verified. When the
 * signal aborts, the rest is answered by its reason.
 */
export async function* readAndCheck(
  context: GitContext,
  ids: readonly string[],
  checker: Checker,
  signal: AbortSignal | undefined,
): AsyncGenerator<CheckedWithBytes> {
  const reading = readEach(context, ids)
  const running: { readonly bytes: number; readonly checked: Promise<readonly CheckedWithBytes[]> }[] = []
  let started = 0
  let bytes = 0
  try {
    for (;;) {
      while (started < ids.length && running.length < 2 * checker.jobs && bytes < MAX_BYTES && !signal?.aborted) {
        const batch = await takeBatch(reading, ids, started)
        started += batch.length
        const size = sizeOf(batch)
        bytes += size
        const checked = checkBatch(checker, batch)
        // Its failure is told where it is taken; until then it must not count as unhandled.
        checked.catch(() => undefined)
        running.push({ bytes: size, checked })
      }
      const next = running.shift()
      if (next === undefined) break
      yield* await next.checked
      bytes -= next.bytes
      // In one thread nothing else would get its turn: no timer, no signal.
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (const id of ids.slice(started)) yield unreadable(id, reasonOf(signal))
  } finally {
    await reading.return(undefined)
  }
}

const sizeOf = (batch: readonly Found[]): number =>
  batch.reduce((sum, one) => sum + ("raw" in one ? one.raw.length : 0), 0)

type Found = GitObject | { readonly id: string; readonly error: GitsignError }

async function takeBatch(
  reading: AsyncGenerator<GitObject | GitsignError>,
  ids: readonly string[],
  from: number,
): Promise<Found[]> {
  const batch: Found[] = []
  while (batch.length < BATCH && from + batch.length < ids.length && sizeOf(batch) < MAX_BYTES) {
    const { value } = await reading.next()
    const id = ids[from + batch.length] ?? ""
    if (value === undefined) throw new GitsignError("ERR_GIT", "git stopped reading objects")
    batch.push(isGitsignError(value) ? { id, error: value } : value)
  }
  return batch
}

async function checkBatch(checker: Checker, batch: readonly Found[]): Promise<readonly CheckedWithBytes[]> {
  const stored = batch.filter((one): one is GitObject & StoredObject => isSigned(one))
  const checked = await checker.check(stored.map(({ type, id, raw }) => ({ type, id, raw })))
  let next = 0
  return batch.map((one): CheckedWithBytes => {
    if (isSigned(one)) return withBytes(checked[next++] as CheckedObject, one.raw)
    if ("error" in one) return unreadable(one.id, one.error)
    const hint = "name a commit or a tag; see what it is with: git show OBJECT"
    return unreadable(
      one.id,
      new GitsignError("ERR_NOT_SIGNED", `${one.id} is a ${one.type}, which nobody signs`, { hint }),
    )
  })
}

const withBytes = (checked: CheckedObject, raw: Uint8Array): CheckedWithBytes => {
  const { problem } = checked.signature
  const isNeeded = problem?.code === "ERR_LOG_ENTRY_UNAVAILABLE" || problem?.code === "ERR_SIGNATURE_FORMAT"
  return { ...checked, isRead: true, raw: isNeeded ? raw : NO_BYTES }
}

const NO_BYTES = new Uint8Array()

const isSigned = (one: Found): one is GitObject & StoredObject =>
  "type" in one && (one.type === "commit" || one.type === "tag")

const unreadable = (id: string, error: GitsignError): CheckedWithBytes => ({
  type: "commit",
  id,
  summary: summarizeObject(NO_BYTES),
  tagName: undefined,
  signature: refusedCheck(error),
  isRead: false,
  raw: NO_BYTES,
})

const reasonOf = (signal: AbortSignal | undefined): GitsignError =>
  isGitsignError(signal?.reason)
    ? signal.reason
    : new GitsignError("ERR_TIME_LIMIT", "the time was over before this could be checked")
