/**
 * Signs the commits of a range again and moves the branch to them. Until the very end nothing points to what is made.
 *
 * @module
 */

import type { Config } from "../config.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import type { Signer } from "../formats/signer.ts"
import { copyNotes } from "../git/notes.ts"
import { tryResolve } from "../git/revisions.ts"
import { rebuildPayload, signedCommit, writeCommit } from "../git/rewrite.ts"
import { type RefUpdate, updateRefs } from "../git/update-refs.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { Person } from "./person.ts"
import { startProgress } from "./progress.ts"
import { count, type PlannedCommit, type ResignPlan } from "./resign-plan.ts"
import { type Move, readRecords, recordUpdates } from "./resign-record.ts"
import { createCommitSigner } from "./resign-sign.ts"
import { checkBranchIsFree } from "./resign-target.ts"
import { vouchText } from "./resign-text.ts"

/** What has become of the commits. */
export interface Resigned {
  /** The new id for each old one. */
  readonly rewritten: ReadonlyMap<string, string>
  readonly moves: readonly Move[]
  /** Who signed; one, unless somebody else logged in on the way. */
  readonly signers: readonly Signer[]
}

/** Who signed which commits, before anything points to them. */
interface Made {
  readonly rewritten: Map<string, string>
  readonly signers: Signer[]
  /** How many entries the log may have got. */
  logged: number
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/**
 * Carries a plan out.
 *
 * @param branches other branches that are moved along
 * @throws whatever stops it; then no ref was moved, and a line has said so
 */
export async function runResign(
  plan: ResignPlan,
  branches: readonly { readonly ref: string; readonly id: string }[],
  { io, messages, config }: { io: CommandIo; messages: Messages; config: Config },
): Promise<Resigned> {
  const { target, commits } = plan
  const made: Made = { rewritten: new Map(), signers: [], logged: 0 }
  const watch = watchSignals(messages, () => asBefore(target.label, made.logged))
  try {
    await signAll(commits, target.objectFormat, made, { io, messages, config })
    // From here on it is a matter of moments, in which stopping would not be clean.
    watch.finish()
    const moves = [{ ref: target.ref, id: target.tip }, ...branches].map(({ ref, id }) => ({
      ref,
      before: id,
      after: made.rewritten.get(id) ?? id,
    }))
    for (const { ref } of moves) await checkBranchIsFree(io, ref)
    const reason = `resign: ${count(commits.length)} signed again`
    const notes = await copyNotes(io, made.rewritten, "Notes copied by 'gitsign resign'")
    await moveAll(io, moves, notes, reason, target.objectFormat)
    return { ...made, moves }
  } catch (error) {
    messages.say(asBefore(target.label, made.logged))
    throw error
  } finally {
    watch.stop()
  }
}

/** What is told when it does not come to its end. */
function asBefore(label: string, logged: number): string {
  if (logged === 0) return `${label} is as it was`
  const entries = logged === 1 ? "an entry" : `${logged} entries`
  return `${label} is as it was; the log may hold ${entries} that nothing uses, which harms nothing`
}

async function signAll(
  commits: readonly PlannedCommit[],
  objectFormat: "sha1" | "sha256",
  made: Made,
  { io, messages, config }: { io: CommandIo; messages: Messages; config: Config },
): Promise<void> {
  const person = new Person(messages)
  const progress = startProgress("signing")
  try {
    const sign = createCommitSigner({
      config,
      io,
      person,
      logging: () => {
        made.logged++
      },
    })
    for (const [index, { id, raw, summary }] of commits.entries()) {
      const payload = payloadOf(id, raw, objectFormat, made.rewritten)
      const { armored, signer } = await sign(payload, summary.committer)
      // Written at once: a question about the next one shows what it changes.
      made.rewritten.set(id, await writeCommit(io, signedCommit(payload, armored, objectFormat), objectFormat))
      if (!made.signers.some(({ identity, issuer }) => identity === signer.identity && issuer === signer.issuer)) {
        made.signers.push(signer)
        // Only now is it known who signs; the rest of the commits are that person's.
        const vouched = vouchText(commits.slice(index), signer)
        if (vouched !== undefined) messages.say(vouched)
      }
      progress.show(made.rewritten.size, commits.length)
    }
  } finally {
    progress.end()
    person.close()
  }
}

function payloadOf(
  id: string,
  raw: Uint8Array,
  objectFormat: "sha1" | "sha256",
  rewritten: ReadonlyMap<string, string>,
): Uint8Array {
  try {
    return rebuildPayload(raw, objectFormat, rewritten)
  } catch (cause) {
    if (!isGitsignError(cause)) throw cause
    throw new GitsignError("ERR_RESIGN", `${id.slice(0, 12)} cannot be signed: ${cause.message}`, { cause })
  }
}

/** Another run may take the same number in the same moment. */
const ATTEMPTS = 5

async function moveAll(
  io: CommandIo,
  moves: readonly Move[],
  notes: readonly RefUpdate[],
  reason: string,
  objectFormat: "sha1" | "sha256",
): Promise<void> {
  const updates = [...moves.map(({ ref, before, after }) => ({ ref, from: before, to: after })), ...notes]
  for (let attempt = 1; ; attempt++) {
    const [last] = await readRecords(io)
    const number = (last?.number ?? 0) + 1
    try {
      return await updateRefs(io, [...updates, ...recordUpdates(number, moves)], reason, objectFormat)
    } catch (error) {
      for (const { ref, before } of moves) {
        const now = await tryResolve(io, ref)
        if (now === before) continue
        const where = now === undefined ? "is gone" : `is at ${now.slice(0, 12)} now`
        throw new GitsignError(
          "ERR_RESIGN",
          `${ref} was at ${before.slice(0, 12)} and ${where}: it was changed meanwhile`,
          {
            cause: error,
            hint: "nothing was changed by this; run the command again",
          },
        )
      }
      const isTaken = (await readRecords(io)).some((record) => record.number === number)
      if (!isTaken || attempt === ATTEMPTS) throw error
    }
  }
}

/** Ends the process when somebody wants it to end, and says so, until `finish` is called: from then on it runs to its end. */
function watchSignals(messages: Messages, state: () => string): { finish(): void; stop(): void } {
  let finishing = false
  const end = (signal: NodeJS.Signals): void => {
    if (finishing) return
    const cancelled = new GitsignError("ERR_CANCELLED", `cancelled by ${signal}`, {
      hint: `${state()}; run the command again`,
    })
    process.exit(messages.error(cancelled))
  }
  for (const signal of SIGNALS) process.on(signal, end)
  return {
    finish: () => {
      finishing = true
    },
    stop: () => {
      for (const signal of SIGNALS) process.removeListener(signal, end)
    },
  }
}
