/**
 * Whoever listens on the socket gets an identity token: nobody else may be able to put a socket there.
 *
 * @module
 */

import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { ownedSocket } from "../../cache-daemon/socket-owner.ts"
import { AgentUnreachable } from "../../cache-daemon/unreachable.ts"

let root: string
let servers: Server[] = []

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "gitsign-owner-")))
})

afterEach(() => {
  for (const server of servers) server.close()
  servers = []
  rmSync(root, { recursive: true, force: true })
})

/** A directory of this user's own, and one inside it with a socket; returns both and the socket. */
async function socketIn(): Promise<{ outer: string; inner: string; path: string }> {
  const outer = join(root, "outer")
  const inner = join(outer, "inner")
  mkdirSync(inner, { recursive: true, mode: 0o700 })
  const path = join(inner, "a.sock")
  await listen(path)
  return { outer, inner, path }
}

async function listen(path: string): Promise<void> {
  const server = createServer()
  servers.push(server)
  await new Promise<void>((done) => server.listen(path, done))
}

/** Why a socket is not taken, or undefined. */
function refusal(path: string): string | undefined {
  try {
    ownedSocket(path).checkAgain()
    return undefined
  } catch (error) {
    if (error instanceof AgentUnreachable) return `${error.reason}: ${error.message}`
    throw error
  }
}

test("a socket in directories of one's own is taken", async () => {
  const { path } = await socketIn()
  expect(refusal(path)).toBeUndefined()
  expect(ownedSocket(path).path).toBe(path)
})

test.each([
  ["the directory", "inner", 0o777],
  ["a directory above", "outer", 0o777],
  ["a directory above, for others only", "outer", 0o702],
])("%s that others may write to", async (_, name, mode) => {
  const { path, outer, inner } = await socketIn()
  chmodSync(name === "outer" ? outer : inner, mode)
  expect(refusal(path)).toMatch(/^foreign: other users can replace the socket/)
})

test("a shared directory where only owners may rename is no danger", async () => {
  const { path, outer } = await socketIn()
  chmodSync(outer, 0o1777)
  expect(refusal(path)).toBeUndefined()
})

test("what is not there is absent, and a file is no socket", async () => {
  const { inner } = await socketIn()
  expect(refusal(join(inner, "b.sock"))).toMatch(/^absent/)
  expect(refusal(inner)).toMatch(/is not a socket$/)
})

test("a socket that was replaced after the look is noticed", async () => {
  const { path } = await socketIn()
  const socket = ownedSocket(path)
  renameSync(path, `${path}.old`)
  await listen(path)
  expect(() => socket.checkAgain()).toThrow("was replaced")
})

describe.skipIf(process.getuid?.() !== 0)("with a second user (root only)", () => {
  const OTHER = 1501

  test("a directory above that belongs to them", async () => {
    const { path, outer } = await socketIn()
    chmodSync(outer, 0o755)
    chownSync(outer, OTHER, OTHER)
    expect(refusal(path)).toMatch(/^foreign: other users can replace the socket/)
  })

  test("a socket that belongs to them", async () => {
    const { path } = await socketIn()
    chownSync(path, OTHER, OTHER)
    expect(refusal(path)).toMatch(/^foreign: the socket .* belongs to another user$/)
  })

  test("a link of theirs on the way: the connection goes past it", async () => {
    const { path, inner } = await socketIn()
    const shared = join(root, "shared")
    mkdirSync(shared)
    chmodSync(shared, 0o1777)
    const link = join(shared, "link")
    symlinkSync(inner, link)
    lchownSync(link, OTHER, OTHER)
    expect(ownedSocket(join(link, "a.sock")).path).toBe(path)
  })
})
