/**
 * The hooks pre-push and post-merge in clones, with real pushes and merges.
 *
 * @module
 */

import { writeFileSync } from "node:fs"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { EMAIL, type Ran, type Services, startServices } from "./harness.ts"
import { PushWorld, policyText, STRANGER } from "./push-world.ts"

let services: Services
let world: PushWorld

beforeAll(async () => {
  services = await startServices()
}, 60_000)
afterAll(() => services?.close())
afterEach(() => world?.close())

/** Installs the hooks in the clone; the server has none, so that only they can refuse. */
function install(...args: string[]): void {
  const installed = world.workspace.gitsign(world.clone, "hook", "install", ...args)
  expect([installed.status, installed.stderr]).toEqual([0, ""])
}

describe("pre-push", () => {
  beforeEach(async () => {
    world = await PushWorld.begin(services)
    install()
  }, 60_000)

  test("refuses what the other side would refuse, before it leaves", () => {
    world.commit("good")
    const pushed = world.push("main")
    expect([pushed.status, pushed.stderr]).toEqual([0, expect.not.stringContaining("gitsign:")])
    const bad = world.commit("bad", { by: "nobody" })
    const refused = world.push("main")
    expect(refused.status).toBe(1)
    expect(refused.stderr).toMatch(
      new RegExp(
        `^gitsign: the other side would refuse refs/heads/main: 1 of 1 new commit\\n  ${bad.slice(0, 7)}  bad`,
      ),
    )
    expect(world.onServer("main")).not.toBe(bad)
    expect(world.push("--no-verify", "main").status).toBe(0)
    expect(world.onServer("main")).toBe(bad)
  }, 60_000)

  test("judges new branches, tags and forced pushes as the other side does", () => {
    world.git("switch", "--quiet", "-c", "wip/x")
    world.commit("theirs", { by: STRANGER })
    expect(world.push("wip/x").status).toBe(0)
    const refused = world.push("wip/x:release/1")
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining("would refuse refs/heads/release/1: 1 of 1 new commit"),
    ])
    expect(world.push("main:release/1", "wip/x:wip/y").status).toBe(0)
    world.git("tag", "--no-sign", "v1")
    expect(world.push("v1").stderr).toContain("would refuse refs/tags/v1: ")
    world.signing(EMAIL, "tag", "-f", "-m", "one", "v1")
    expect(world.push("v1").status).toBe(0)
    expect(world.push("+main:wip/x", ":wip/y").status).toBe(0)
  }, 60_000)

  test("goes by the policy that the other side has, not by that which is pushed", () => {
    world.commit("let me in", {
      by: STRANGER,
      files: { ".gitsign/policy.yaml": policyText(services.issuer, "", STRANGER) },
    })
    const refused = world.push("main")
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining("ERR_POLICY_CHANGE")])
    world.git("reset", "--quiet", "--hard", "HEAD^")
    world.commit("broken", { files: { ".gitsign/policy.yaml": "nonsense" } })
    expect(world.push("main").stderr).toContain("the pushed policy cannot be used")
  }, 60_000)

  test("says nothing about a side that has no policy, or of which nothing is known", () => {
    const bare = world.workspace.repository("other.git", "--bare")
    world.commit("bad", { by: "nobody" })
    const toAddress = world.workspace.tryGit(world.clone, "push", bare, "main")
    expect([toAddress.status, toAddress.stderr]).toEqual([0, expect.not.stringContaining("gitsign:")])
    world.git("remote", "add", "other", bare)
    const toOther = world.workspace.tryGit(world.clone, "push", "other", "main:topic")
    expect([toOther.status, toOther.stderr]).toEqual([0, expect.not.stringContaining("gitsign:")])
    // A remote whose name is an option.
    world.git("config", "remote.--help.url", bare)
    expect(world.workspace.tryGit(world.clone, "push", "--", "--help", "main:topic2").stderr).not.toContain("Usage")
  }, 60_000)

  test("refuses nothing by a policy that may be another one by now, until it has been fetched", () => {
    const { workspace, server, clone } = world
    const other = `${workspace.root}/other`
    workspace.git(workspace.root, "clone", "--quiet", "--no-local", server, other)
    world.git("switch", "--quiet", "-c", "release/1")
    world.commit("theirs", { by: STRANGER })
    // What is pushed is not the default branch, of which git tells nothing then; it has not moved.
    const refused = world.push("release/1")
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining("the other side would refuse")])

    const open = policyText(services.issuer).replace("subject: dev@example.com", `subjectRegExp: '.*@example\\.com'`)
    writeFileSync(`${other}/.gitsign/policy.yaml`, open)
    workspace.git(other, "-c", "commit.gpgSign=false", "commit", "--quiet", "-am", "policy")
    workspace.git(other, "push", "--quiet", "origin", "main")
    const pushed = world.push("release/1")
    expect([pushed.status, pushed.stderr]).toEqual([
      0,
      expect.stringMatching(
        /^gitsign: warning for refs\/heads\/release\/1: 1 of 1 new commit\n[\s\S]*by the last fetch of origin, which may have another policy.*\ngitsign: hint: git fetch origin\n/,
      ),
    ])
    expect(pushed.stderr).not.toContain("the other side")
    // Somebody whom nobody can ask, in the place of the other side.
    world.git("push", "--quiet", "--no-verify", "origin", ":release/1")
    workspace.git(other, "push", "--quiet", "--force", "origin", "main^:main")
    const line = `refs/heads/release/1 ${world.git("rev-parse", "release/1")} refs/heads/release/1 ${"0".repeat(40)}\n`
    const hook = (address: string): Ran =>
      workspace.run(clone, ".git/hooks/pre-push", ["origin", address], { input: line })
    expect(hook(server).status).toBe(1)
    const silent = hook(`${workspace.root}/nowhere`)
    expect([silent.status, silent.stderr]).toEqual([0, expect.stringContaining("by the last fetch of origin")])

    workspace.git(other, "push", "--quiet", "origin", "main")
    world.git("fetch", "--quiet", "origin")
    const fetched = world.push("release/1")
    expect([fetched.status, fetched.stderr]).toEqual([0, expect.not.stringContaining("gitsign:")])
  }, 60_000)

  test("does not take a policy of this clone for the other side's", () => {
    const { workspace, clone } = world
    const bare = workspace.repository("no-policy.git", "--bare")
    const file = `${workspace.root}/strict.yaml`
    writeFileSync(file, policyText(services.issuer, "", STRANGER))
    world.git("config", "gitsign.policy", file)
    world.git("config", "gitsign.rootPolicy", file)
    world.commit("good")
    world.git("remote", "add", "other", bare)
    for (const to of [bare, "other", "origin"]) {
      const pushed = workspace.tryGit(clone, "push", to, "main")
      expect([to, pushed.status, pushed.stderr]).toEqual([to, 0, expect.not.stringContaining("gitsign:")])
    }
    world.commit("bad", { by: "nobody" })
    expect(world.push("main").status).toBe(1)
    expect(workspace.tryGit(clone, "push", "other", "main:topic").status).toBe(0)
  }, 60_000)

  test("what it cannot check goes through, since the other side checks again", () => {
    world.workspace.env.GITSIGN_REKOR_MODE = "online"
    world.commit("online")
    const env = { GITSIGN_REKOR_URL: "http://127.0.0.1:9", XDG_CACHE_HOME: `${world.workspace.root}/none` }
    const pushed = world.workspace.run(world.clone, "git", ["push", "origin", "main"], { env })
    expect([pushed.status, pushed.stderr]).toEqual([
      0,
      expect.stringContaining("1 of 1 new commit could not be checked"),
    ])
  }, 60_000)
})

describe("post-merge", () => {
  test("warns of what a pull has brought in, and stops nothing", async () => {
    world = await PushWorld.begin(services)
    install()
    const { workspace, server, clone } = world
    const other = `${workspace.root}/other`
    workspace.git(workspace.root, "clone", "--quiet", server, other)
    expect(workspace.gitsign(other, "hook", "install").status).toBe(0)
    world.commit("good")
    expect(world.push("main").status).toBe(0)
    const good = workspace.tryGit(other, "pull", "--quiet")
    expect([good.status, good.stderr]).toEqual([0, ""])
    const bad = world.commit("bad", { by: "nobody" })
    expect(world.push("--no-verify", "main").status).toBe(0)
    const pulled = workspace.tryGit(other, "pull", "--quiet")
    expect([pulled.status, pulled.stderr]).toEqual([
      0,
      expect.stringMatching(
        new RegExp(`^gitsign: warning for refs/heads/main: 1 of 1 new commit\\n  ${bad.slice(0, 7)}`),
      ),
    ])
    expect(workspace.git(other, "rev-parse", "HEAD")).toBe(bad)
    expect(workspace.git(clone, "rev-parse", "HEAD")).toBe(bad)
    expect(workspace.gitsign(other, "hook", "post-merge", "--", "1").status).toBe(0)
  }, 60_000)
})
