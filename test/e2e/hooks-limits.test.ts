/**
 * What the receive hooks do when they cannot check something, or not in time.
 *
 * @module
 */

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { type Ran, type Services, startServices } from "./harness.ts"
import { PushWorld, saidTo } from "./push-world.ts"

let services: Services
let world: PushWorld
let silent: Server

beforeAll(async () => {
  services = await startServices()
  // Takes connections and never says a word.
  silent = createServer(() => undefined)
  await new Promise<void>((done) => silent.listen(0, "127.0.0.1", done))
}, 60_000)
afterAll(async () => {
  silent?.close()
  await services?.close()
})
afterEach(() => world?.close())

/** A world with the hook, whose clone has a good commit and one whose proof is only in the log. */
async function begin(): Promise<string> {
  world = await PushWorld.begin(services)
  world.install()
  world.commit("good")
  world.workspace.env.GITSIGN_REKOR_MODE = "online"
  const online = world.commit("online")
  delete world.workspace.env.GITSIGN_REKOR_MODE
  return online
}

/** Pushes while the log is elsewhere. */
function pushTo(rekor: string, env: Record<string, string> = {}): Promise<Ran> {
  const all = { GITSIGN_REKOR_URL: rekor, XDG_CACHE_HOME: join(world.workspace.root, "no-cache"), ...env }
  return world.workspace.runAsync(world.clone, "git", ["push", "origin", "main"], { env: all })
}

const closedPort = "http://127.0.0.1:9"
const silentPort = (): string => {
  const address = silent.address()
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
}

describe("what cannot be checked", () => {
  test("is refused, and told apart from what is wrong", async () => {
    const online = await begin()
    const refused = await pushTo(closedPort)
    expect(refused.status).toBe(1)
    expect(saidTo(refused)).toMatch(/refused refs\/heads\/main: 1 of 2 new commits could not be checked\n/)
    expect(saidTo(refused)).toContain(online.slice(0, 7))
    expect(world.onServer("main")).not.toBe(online)
  }, 60_000)

  test("comes in with a warning where gitsign.hookUnchecked says so, but nothing that is wrong does", async () => {
    const online = await begin()
    world.workspace.git(world.server, "config", "gitsign.hookUnchecked", "warn")
    const pushed = await pushTo(closedPort)
    expect([pushed.status, saidTo(pushed)]).toEqual([
      0,
      expect.stringMatching(/^gitsign: warning for refs\/heads\/main: 1 of 2 new commits could not be checked/),
    ])
    expect(world.onServer("main")).toBe(online)
    world.workspace.env.GITSIGN_REKOR_MODE = "online"
    world.commit("online again")
    delete world.workspace.env.GITSIGN_REKOR_MODE
    world.commit("bad", { by: "nobody" })
    const refused = await pushTo(closedPort)
    expect(refused.status).toBe(1)
    expect(saidTo(refused)).toContain("1 of 2 new commits, and 1 could not be checked")
    // Nor is a policy that is not there a reason to let everything in.
    world.workspace.git(world.server, "config", "gitsign.policy", "/nowhere/policy.yaml")
    const without = await pushTo(closedPort)
    expect([without.status, saidTo(without)]).toEqual([1, expect.stringContaining("[ERR_POLICY_MISSING]")])
  }, 60_000)
})

describe("the time limit", () => {
  test("ends a wait for a log that does not answer", async () => {
    await begin()
    const begun = Date.now()
    const refused = await pushTo(silentPort(), { GITSIGN_HOOK_TIME_LIMIT: "1" })
    expect(Date.now() - begun).toBeLessThan(9000)
    expect(refused.status).toBe(1)
    expect(saidTo(refused)).toMatch(
      /the time limit of 1 s \(gitsign\.hookTimeLimit\) .*\[ERR_TIME_LIMIT\]\ngitsign: hint: /,
    )
  }, 60_000)

  test("ends a git that does not, and lets it in only where that is asked for", async () => {
    await begin()
    const slow = join(world.workspace.root, "slow")
    mkdirSync(slow)
    const path = world.workspace.env.PATH ?? ""
    const script = `#!/bin/sh\ncase " $* " in *" rev-list "*) exec sleep 20 ;; esac\nPATH='${path}' exec git "$@"\n`
    writeFileSync(join(slow, "git"), script)
    chmodSync(join(slow, "git"), 0o755)
    const hook = join(world.server, "hooks", "pre-receive")
    writeFileSync(hook, readFileSync(hook, "utf8").replace("run()", `PATH="${slow}:$PATH"\nrun()`))
    const begun = Date.now()
    const refused = await pushTo(closedPort, { GITSIGN_HOOK_TIME_LIMIT: "1" })
    expect(Date.now() - begun).toBeLessThan(9000)
    expect([refused.status, saidTo(refused)]).toEqual([1, expect.stringContaining("[ERR_TIME_LIMIT]")])
    const letIn = await pushTo(closedPort, { GITSIGN_HOOK_TIME_LIMIT: "1", GITSIGN_HOOK_UNCHECKED: "warn" })
    expect([letIn.status, saidTo(letIn)]).toEqual([
      0,
      expect.stringContaining("nothing was verified, and the push goes through"),
    ])
  }, 60_000)
})

test("a gitsign that is gone refuses, and says so", async () => {
  await begin()
  const hook = join(world.server, "hooks", "pre-receive")
  writeFileSync(hook, readFileSync(hook, "utf8").replaceAll(/'\/[^']*\.cjs'/g, "'/nowhere/gitsign.cjs'"))
  const path = (world.workspace.env.PATH ?? "").split(":").slice(1).join(":")
  const refused = await pushTo(closedPort, { PATH: path })
  expect([refused.status, saidTo(refused)]).toEqual([1, expect.stringContaining("finds no gitsign")])
}, 60_000)

test("what git would not say is refused", async () => {
  await begin()
  const id = world.onServer("main")
  const run = (input: string) =>
    world.workspace.run(world.server, world.workspace.program, ["hook", "pre-receive"], { input })
  for (const line of [
    `${id} ${id} refs/heads/\u001b[2Jx\n`,
    `${id} ${id} refs/heads/a\n${id} ${id}\n`,
    `${id} ${id} refs/heads/main`,
    "gibberish\n",
    "",
  ]) {
    const ran = run(line)
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringContaining("[ERR_HOOK]")])
    expect(ran.stderr).not.toContain("\u001b")
  }
  const missing = run(`${id} ${"1".repeat(40)} refs/heads/main\n`)
  expect([missing.status, missing.stderr]).toEqual([3, expect.stringContaining("is not in this repository [ERR_GIT]")])
  const deletion = `${id} ${"0".repeat(40)} refs/heads/other\n`
  expect(run(deletion)).toEqual({ status: 0, stdout: "", stderr: "" })
}, 60_000)
