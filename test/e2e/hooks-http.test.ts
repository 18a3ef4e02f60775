/**
 * The receive hooks behind `git http-backend`, as a server runs them: little environment, no HOME, another working directory, and
 * settings in the repository's own configuration.
 *
 * @module
 */

import { relative } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { type GitHttpServer, startGitHttpServer } from "./git-http-server.ts"
import { type Ran, type Services, startServices } from "./harness.ts"
import { PushWorld, STRANGER, saidTo } from "./push-world.ts"

let services: Services
let world: PushWorld
let server: GitHttpServer

beforeAll(async () => {
  services = await startServices()
}, 60_000)
afterAll(() => services?.close())
afterEach(async () => {
  await server?.close()
  world?.close()
})

/** A world whose hooks are installed and whose server listens; `env` is added to its environment. */
async function begin(
  options: Parameters<typeof PushWorld.begin>[1] = {},
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  world = await PushWorld.begin(services, options)
  expect(world.install().status).toBe(0)
  server = await startGitHttpServer(world.workspace.root, { ...services.environment, ...env })
  const url = `${server.url}/${relative(world.workspace.root, world.server)}`
  world.git("remote", "set-url", "origin", url)
}

const push = (...args: string[]): Promise<Ran> =>
  world.workspace.runAsync(world.clone, "git", ["push", "origin", ...args])

describe.each(["sha1", "sha256"] as const)("a %s repository", (format) => {
  test("good, bad and mixed content", async () => {
    await begin({ format })
    const good = world.commit("good")
    const pushed = await push("main")
    expect([pushed.status, saidTo(pushed)]).toEqual([0, ""])
    expect(world.onServer("main")).toBe(good)

    world.git("switch", "--quiet", "-c", "wip/x")
    const theirs = world.commit("theirs", { by: STRANGER })
    world.git("switch", "--quiet", "main")
    const mine = world.commit("mine")
    const bad = world.commit("bad", { by: "nobody" })
    const mixed = await push("wip/x", "main")
    expect(mixed.status).toBe(1)
    expect(saidTo(mixed)).toContain(`refused refs/heads/main: 1 of 2 new commits\n  ${bad.slice(0, 7)}  bad`)
    expect(saidTo(mixed)).not.toContain("wip/x")
    expect([world.onServer("main"), world.onServer("refs/heads/wip/x")]).toEqual([good, ""])

    const again = await push("wip/x", `${mine}:main`)
    expect([again.status, saidTo(again)]).toEqual([0, ""])
    expect([world.onServer("main"), world.onServer("refs/heads/wip/x")]).toEqual([mine, theirs])
  }, 120_000)
})

test("a push that is large enough to be sent in pieces", async () => {
  await begin()
  const tip = world.commit("good")
  const creating = Array.from({ length: 2000 }, (_, index) => `create refs/heads/release/b${index} ${tip}\n`).join("")
  expect(world.workspace.run(world.clone, "git", ["update-ref", "--stdin"], { input: creating }).status).toBe(0)
  world.git("config", "http.postBuffer", "65536")
  const pushed = await push("main", "refs/heads/release/*")
  expect([pushed.status, saidTo(pushed)]).toEqual([0, ""])
  expect(world.onServer("refs/heads/release/b1999")).toBe(tip)
}, 120_000)

// Other servers are told of by variables that have no settings.
test.skipIf(process.env.GITSIGN_E2E_FULCIO_URL !== undefined)(
  "settings in the repository's own configuration",
  async () => {
    const trustedRoot = services.environment.GITSIGN_TRUSTED_ROOT ?? ""
    expect(trustedRoot).not.toBe("")
    world = await PushWorld.begin(services)
    expect(world.install().status).toBe(0)
    server = await startGitHttpServer(world.workspace.root)
    world.git("remote", "set-url", "origin", `${server.url}/${relative(world.workspace.root, world.server)}`)
    const good = world.commit("good")
    // To this server the sandbox is a stranger.
    expect(saidTo(await push("main"))).toContain("[ERR_")
    world.workspace.git(world.server, "config", "gitsign.trustedRoot", trustedRoot)
    const pushed = await push("main")
    expect([pushed.status, saidTo(pushed)]).toEqual([0, ""])
    expect(world.onServer("main")).toBe(good)
    world.workspace.git(world.server, "config", "gitsign.hookUnchecked", "perhaps")
    const wrong = await push("main:release/1")
    expect([wrong.status, saidTo(wrong)]).toEqual([1, expect.stringContaining('gitsign.hookUnchecked is "perhaps"')])
  },
  60_000,
)

test("a namespace has branches and a default branch of its own", async () => {
  await begin({}, { GIT_NAMESPACE: "fork" })
  // What the whole repository has counts for nothing in the namespace.
  expect(saidTo(await push("main"))).toContain("[ERR_POLICY_MISSING]")
  const { workspace } = world
  const base = world.onServer("main")
  workspace.git(world.server, "update-ref", "refs/namespaces/fork/refs/heads/main", base)
  workspace.git(world.server, "symbolic-ref", "refs/namespaces/fork/HEAD", "refs/namespaces/fork/refs/heads/main")
  const good = world.commit("good")
  const pushed = await push("main")
  expect([pushed.status, saidTo(pushed)]).toEqual([0, ""])
  expect(world.onServer("refs/namespaces/fork/refs/heads/main")).toBe(good)
  const bad = world.commit("bad", { by: "nobody" })
  // Another namespace has it already, where it is none of this one's.
  workspace.gitsign(world.server, "hook", "uninstall")
  workspace.git(world.clone, "push", "--quiet", world.server, "HEAD:refs/heads/release/0")
  world.install()
  const refused = await push("main:release/1")
  expect(saidTo(refused)).toContain(`refused refs/heads/release/1: 1 of 1 new commit\n  ${bad.slice(0, 7)}`)
}, 60_000)
