/**
 * The agent as a process: how it begins, how it goes on, and each way in which it ends.
 *
 * @module
 */

import { existsSync, lstatSync, readdirSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import {
  buildPrograms,
  type Program,
  RUNTIMES,
  start,
  startReady,
  stopProgramsAfterEach,
  temporaryFolder,
  until,
} from "./programs.ts"
import { RawClient, statusOf } from "./raw-client.ts"

const folder = temporaryFolder()
const { agent } = await buildPrograms("agent")
let made = 0

const newPath = (): string => join(folder, `d${++made}`, "agent.sock")

describe.each(RUNTIMES)("an agent on $name", ({ command }) => {
  stopProgramsAfterEach()

  const startAgent = (path: string, ...flags: string[]): Promise<Program> =>
    startReady(command, [agent, path, ...flags])

  test("makes its sockets for its user alone, one of them restricted", async () => {
    const path = newPath()
    await startAgent(path, "--extra")
    const extra = path.replace(".sock", ".extra.sock")
    expect(lstatSync(dirname(path)).mode).toBe(0o40700)
    for (const socket of [path, extra]) expect(lstatSync(socket).mode).toBe(0o140600)
    expect(await statusOf(path)).toMatchObject({ state: "cold", restricted: false, program: "agent 1" })
    expect(await statusOf(extra)).toMatchObject({ restricted: true })
    const client = new RawClient(extra).hello({ type: "stop" }, { type: "list" }, { type: "clear" })
    for (const reply of (await client.messages(4)).slice(1)) expect(reply).toMatchObject({ code: "ERR_AGENT_REFUSED" })
    expect(await statusOf(path)).toBeDefined()
  })

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("ends at %s and takes its sockets away", async (signal) => {
    const path = newPath()
    const program = await startAgent(path, "--extra")
    const client = new RawClient(path).hello()
    await client.messages(1)
    program.child.kill(signal)
    expect(await program.ended).toBe(0)
    await client.closed
    expect(readdirSync(dirname(path))).toEqual([])
    expect(program.output.stderr).toContain(`ends: ${signal}\n`)
  })

  test("ends when a client asks for it", async () => {
    const path = newPath()
    const program = await startAgent(path)
    const client = new RawClient(path).hello({ type: "stop" })
    expect((await client.messages(2)).map(({ type }) => type)).toEqual(["hello", "done"])
    expect(existsSync(path)).toBe(false)
    expect(await program.ended).toBe(0)
  })

  test("leaves when there is nothing to do, where that is asked for", async () => {
    const path = newPath()
    const stays = await startAgent(newPath())
    const leaves = await startAgent(path, "--leave")
    const client = new RawClient(path).hello()
    await client.messages(1)
    await wait(1000)
    // Not while anybody is connected.
    expect(leaves.child.exitCode).toBeNull()
    client.end()
    expect(await leaves.ended).toBe(0)
    expect(existsSync(path)).toBe(false)
    expect(leaves.output.stderr).toContain("ends: there is nothing to do")
    expect(stays.child.exitCode).toBeNull()
  })

  test("does not leave while it is locked", async () => {
    const path = newPath()
    const program = await startAgent(path, "--leave")
    const client = new RawClient(path).hello({ type: "lock", passphrase: "a" })
    expect((await client.messages(2))[1]).toEqual({ type: "done" })
    client.end()
    await wait(1200)
    expect(program.child.exitCode).toBeNull()
    expect(await statusOf(path)).toMatchObject({ state: "locked" })
  })

  test("gives way to one that was there before", async () => {
    const path = newPath()
    const first = await startAgent(path)
    const second = start(command, [agent, path])
    expect(await second.ended).toBe(3)
    expect(second.output.stdout).toMatch(/^ERR_AGENT another agent listens at /)
    // Whoever started it wanted an agent, and has one.
    const third = start(command, [agent, path, "--leave"])
    expect(await third.ended).toBe(0)
    expect(third.output.stdout).toBe("ok\n")
    expect(await statusOf(path)).toMatchObject({ pid: first.pid })
  })

  test("takes the place of one that was killed", async () => {
    const path = newPath()
    const first = await startAgent(path)
    first.child.kill("SIGKILL")
    await first.ended
    expect(existsSync(path)).toBe(true)
    const second = await startAgent(path)
    expect(await statusOf(path)).toMatchObject({ pid: second.pid })
  })

  test("ends when its socket is taken away, and leaves the one of another agent alone", async () => {
    const path = newPath()
    const first = await startAgent(path)
    rmSync(path)
    const second = await startAgent(path)
    expect(await first.ended).toBe(0)
    expect(first.output.stderr).toContain("ends: its socket was taken away")
    expect(await statusOf(path)).toMatchObject({ pid: second.pid })
  })

  test("ends with status 70 and without its keys after an error that nobody expected", async () => {
    const path = newPath()
    const program = await startAgent(path, "--defect")
    expect(await program.ended).toBe(70)
    expect(existsSync(path)).toBe(false)
    expect(program.output.stderr).toContain("a defect of gitsign")
    // The message of an error may quote anything.
    expect(program.output.stderr).not.toContain("pass phrase")
  })

  test("goes on when its log cannot be written and nobody reads its output", async () => {
    const path = newPath()
    const program = await startAgent(path, "--full-disk")
    program.child.stdout?.destroy()
    program.child.stderr?.destroy()
    const garbage = new RawClient(path)
    garbage.socket.write("GET / HTTP/1.1\r\n\r\n")
    await garbage.closed
    expect(await statusOf(path)).toBeDefined()
    program.child.kill("SIGPIPE")
    await wait(100)
    expect(await statusOf(path)).toBeDefined()
  })

  test("asks the clients for consent where its settings want it and there is no desktop", async () => {
    const path = newPath()
    const env = { PATH: process.env.PATH ?? "" }
    const program = await startReady(command, [agent, path, "--confirm"], { env })
    await until(() => program.output.stderr.includes("the clients are asked for consent"))
  })
})
