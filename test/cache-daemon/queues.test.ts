/**
 * The two queues of the agent, at their limits: signatures at once, and clients in a login.
 *
 * @module
 */

import { expect, test } from "vitest"
import { Gate } from "../../cache-daemon/gate.ts"
import { type Attempt, Logins } from "../../cache-daemon/logins.ts"

const here = new AbortController().signal

/** A task that goes on until it is told to end. */
function task(): { work: () => Promise<void>; end: () => void } {
  let end: () => void = () => undefined
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  return { work: () => ended, end: () => end() }
}

test("a gate lets in so many, has so many wait in their order, and refuses the rest with one sentence", async () => {
  const gate = new Gate({ what: "signatures", atOnce: 2, waiting: 2 })
  const tasks = [task(), task()]
  const order: number[] = []
  const inside = tasks.map(({ work }) => gate.pass(here, work))
  const queued = [1, 2].map((number) => gate.pass(here, async () => void order.push(number)))
  await expect(gate.pass(here, async () => undefined)).rejects.toMatchObject({
    code: "ERR_AGENT",
    message: "the agent has too many signatures to do",
  })
  expect(order).toEqual([])
  for (const { end } of tasks) end()
  await Promise.all([...inside, ...queued])
  expect(order).toEqual([1, 2])
  expect(await gate.pass(here, async () => "open again")).toBe("open again")
})

test("a gate gives the place of a client that goes, and of a task that fails, to the next one", async () => {
  const gate = new Gate({ what: "signatures", atOnce: 1, waiting: 1 })
  const first = task()
  const inside = gate.pass(here, async () => {
    await first.work()
    throw new Error("failed")
  })
  const leaving = new AbortController()
  const left = gate.pass(leaving.signal, async () => "never")
  leaving.abort()
  await expect(left).rejects.toMatchObject({ code: "ERR_CANCELLED" })
  const next = gate.pass(here, async () => "done")
  first.end()
  await expect(inside).rejects.toThrow("failed")
  expect(await next).toBe("done")
})

test("a login takes so many clients, and one that goes makes room at once", async () => {
  const logins = new Logins<string>({ waitMs: 10_000, clients: 2 })
  let bring: (attempt: Attempt<string>) => void = () => undefined
  const attempt = new Promise<Attempt<string>>((resolve) => {
    bring = resolve
  })
  const candidate = (gone: AbortSignal) => ({ lead: () => attempt, waiting: () => undefined, gone })
  const leader = logins.join("key", candidate(here))
  const leaving = new AbortController()
  const left = logins.join("key", candidate(leaving.signal))
  await expect(logins.join("key", candidate(here))).rejects.toMatchObject({ code: "ERR_AGENT" })
  leaving.abort()
  await expect(left).rejects.toMatchObject({ code: "ERR_CANCELLED" })
  const other = logins.join("key", candidate(here))
  bring({ outcome: "made", value: "credential" })
  expect(await Promise.all([leader, other])).toEqual(["credential", "credential"])
})
