/**
 * Taking the agent's place: one of many that start at once gets it, and a live one is never pushed aside.
 *
 * @module
 */

import { spawn, spawnSync } from "node:child_process"
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs"
import { connect, createServer } from "node:net"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import { listenAt } from "../../cache-daemon/listen.ts"
import { buildPrograms, RUNTIMES, temporaryFolder, until } from "./programs.ts"

const folder = temporaryFolder()
const { listen: script } = await buildPrograms("listen")
let made = 0

const directory = (): string => {
  const path = join(folder, `d${++made}`)
  mkdirSync(path, { mode: 0o700 })
  return path
}

/** A socket behind which nobody is, as a killed agent leaves it. */
async function deadSocket(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(`${path}.tmp`, done))
  renameSync(`${path}.tmp`, path)
  await new Promise((done) => server.close(done))
}

/** The number of a process that has ended. */
const deadPid = (): number => spawnSync("true").pid

/** What is left of an agent that was killed while it took its place. */
const deadLock = (path: string): void => symlinkSync(`${deadPid()}.1.0123456789abcdef`, `${path}.lock`)

/** And of one that was killed while it cleaned up after that one. */
const deadClaim = (path: string): void =>
  symlinkSync(`${deadPid()}.2.fedcba9876543210`, `${path}.lock.0123456789abcdef`)

const answerOf = (path: string): Promise<string> =>
  new Promise((done) => {
    let answer = ""
    connect(path)
      .on("data", (chunk) => {
        answer += chunk
      })
      .on("error", (error) => done(error.message))
      .on("end", () => done(answer))
  })

/** Everything that is seen at a path, many times in a millisecond, until it is told to stop. */
function watch(path: string): () => readonly (number | "nothing")[] {
  const seen: (number | "nothing")[] = []
  let isOver = false
  const look = (): void => {
    const what = lstatSync(path, { throwIfNoEntry: false })?.ino ?? "nothing"
    if (seen.at(-1) !== what) seen.push(what)
    if (!isOver) setImmediate(look)
  }
  look()
  return () => {
    isOver = true
    return seen
  }
}

const MANY = 20

const STATES: readonly (readonly [string, (path: string) => Promise<void>])[] = [
  ["nothing", async () => {}],
  ["a dead socket", deadSocket],
  ["a dead socket again", deadSocket],
  ["a dead lock", async (path) => deadLock(path)],
  ["a dead socket and a dead lock", (path) => deadSocket(path).then(() => deadLock(path))],
  [
    "a dead socket, a dead lock and one who died over it",
    (path) =>
      deadSocket(path).then(() => {
        deadLock(path)
        deadClaim(path)
      }),
  ],
]

describe.each(RUNTIMES)("twenty that start at once on $name", ({ command }) => {
  test("one gets the place, all others say so, and its socket stays", { timeout: 120_000 }, async () => {
    const place = directory()
    const starters = Array.from({ length: MANY }, () => {
      const child = spawn(command, [script, place, String(STATES.length)], { stdio: ["pipe", "pipe", "inherit"] })
      const starter = { child, output: "" }
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        starter.output += chunk
      })
      return starter
    })
    const linesOf = (round: number): string[] => starters.map(({ output }) => output.split("\n")[round] ?? "")
    const haveAll = (round: number) => () => starters.every(({ output }) => output.split("\n").length > round + 1)
    try {
      await until(haveAll(0), 60_000)
      for (const [round, [state, prepare]] of STATES.entries()) {
        const path = join(place, `${round}.sock`)
        await prepare(path)
        const before = existsSync(path)
        const seen = watch(path)
        for (const { child } of starters) child.stdin.write("go\n")
        await until(haveAll(round + 1), 30_000)
        await wait(50)
        const results = linesOf(round + 1)
        expect([state, [...results].sort()]).toEqual([state, ["listening", ...Array(MANY - 1).fill("taken")]])
        const winner = starters[results.indexOf("listening")]?.child.pid
        expect([state, await answerOf(path)]).toEqual([state, String(winner)])
        // What was there, then the new one: nothing else, and no moment without a socket where there was one.
        const after = lstatSync(path).ino
        expect([state, seen().slice(1)]).toEqual([state, [after]])
        expect(seen()[0] === "nothing").toBe(!before)
        expect(lstatSync(path).mode).toBe(0o140600)
      }
      expect(readdirSync(place).sort()).toEqual(STATES.map((_, round) => `${round}.sock`))
    } finally {
      for (const { child } of starters) child.kill("SIGKILL")
    }
  })
})

describe("one socket", () => {
  test("is not put where anything listens that is not ours", async () => {
    const path = join(directory(), "agent.sock")
    const other = createServer()
    await new Promise<void>((done) => other.listen(path, done))
    const before = lstatSync(path).ino
    expect(await listenAt(createServer(), path)).toBeUndefined()
    expect(lstatSync(path).ino).toBe(before)
    other.close()
  })

  test("is not put over a file", async () => {
    const path = join(directory(), "agent.sock")
    writeFileSync(path, "precious")
    await expect(listenAt(createServer(), path)).rejects.toMatchObject({ code: "ERR_AGENT_SOCKET" })
    expect(existsSync(path)).toBe(true)
  })

  test("is removed only while it is ours", async () => {
    const path = join(directory(), "agent.sock")
    const first = createServer()
    const second = createServer()
    const own = await listenAt(first, path)
    expect(own?.isInPlace()).toBe(true)
    unlinkSync(path)
    expect(own?.isInPlace()).toBe(false)
    const other = await listenAt(second, path)
    own?.remove()
    await new Promise((done) => first.close(done))
    // Neither we nor the runtime took it away.
    expect(other?.isInPlace()).toBe(true)
    other?.remove()
    expect(existsSync(path)).toBe(false)
    second.close()
  })

  test("is removed once, whatever number the next one has", async () => {
    const path = join(directory(), "agent.sock")
    const server = createServer()
    const own = await listenAt(server, path)
    // The same file for all that the system says of it, as when the next socket gets the number of the one before.
    linkSync(path, `${path}.kept`)
    own?.remove()
    expect(existsSync(path)).toBe(false)
    renameSync(`${path}.kept`, path)
    own?.remove()
    expect(existsSync(path)).toBe(true)
    server.close()
  })

  test("says whom it waits for when another one does not get on", { timeout: 20_000 }, async () => {
    const path = join(directory(), "agent.sock")
    const owner = spawn("sleep", ["30"])
    symlinkSync(`${owner.pid}..0011223344556677`, `${path}.lock`)
    const began = performance.now()
    await expect(listenAt(createServer(), path)).rejects.toMatchObject({
      code: "ERR_AGENT",
      hint: expect.stringContaining(String(owner.pid)),
    })
    expect(performance.now() - began).toBeLessThan(8000)
    owner.kill()
  })

  test("takes over the lock of a process whose number another one has got", async () => {
    const path = join(directory(), "agent.sock")
    // This process did not start one tick after boot.
    symlinkSync(`${process.pid}.1.0011223344556677`, `${path}.lock`)
    const server = createServer()
    expect(await listenAt(server, path)).toBeDefined()
    server.close()
  })
})
