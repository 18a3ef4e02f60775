/**
 * Real pushes to repositories with gitsign's receive hooks, over the local transport: what comes in, what does not, and what whoever
 * pushes gets to read.
 *
 * @module
 */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { EMAIL, type Services, startServices } from "./harness.ts"
import { PushWorld, policyText, STRANGER, saidTo } from "./push-world.ts"

let services: Services
let world: PushWorld

beforeAll(async () => {
  services = await startServices()
}, 60_000)
afterAll(() => services?.close())
afterEach(() => world?.close())

/** A world with hooks installed. */
async function begin(options: Parameters<typeof PushWorld.begin>[1] = {}, ...install: string[]): Promise<void> {
  world = await PushWorld.begin(services, options)
  const installed = world.install(...install)
  expect([installed.status, installed.stderr]).toEqual([0, ""])
}

describe.each(["sha1", "sha256"] as const)("a %s repository", (format) => {
  test("what the policy allows comes in without a word, and what it does not leaves nothing", async () => {
    await begin({ format })
    const good = world.commit("good")
    const pushed = world.push("main")
    expect([pushed.status, saidTo(pushed)]).toEqual([0, ""])
    expect(world.onServer("main")).toBe(good)

    const bad = world.commit("quick fix", { by: "nobody" })
    world.commit("after it")
    const refused = world.push("main")
    expect(refused.status).toBe(1)
    expect(saidTo(refused)).toMatch(
      new RegExp(
        `^gitsign: refused refs/heads/main: 1 of 2 new commits
  ${bad.slice(0, 7)}  quick fix  A Developer  .*not signed.*\\[ERR_NOT_SIGNED\\]
gitsign: hint: gitsign resign ${bad.slice(0, 12)}\\^\\.\\.main && git push REMOTE main$`,
      ),
    )
    expect(world.onServer("main")).toBe(good)
    // git throws away the quarantine, and with it what came in.
    expect(world.workspace.tryGit(world.server, "cat-file", "-e", bad).status).not.toBe(0)
  }, 120_000)
})

test("who signed and is not named is told with the rule", async () => {
  await begin()
  const bad = world.commit("bump deps", { by: STRANGER })
  const refused = world.push("main")
  expect(refused.status).toBe(1)
  expect(saidTo(refused)).toContain(`${bad.slice(0, 7)}  bump deps`)
  expect(saidTo(refused)).toMatch(
    /signed by mallory@example\.com.* rule "main" of main:\.gitsign\/policy\.yaml .*\[ERR_IDENTITY\]/,
  )
})

describe("new branches", () => {
  test("only what is new is verified", async () => {
    await begin()
    world.git("switch", "--quiet", "-c", "release/1")
    expect(world.push("release/1").status).toBe(0)
    const bad = world.commit("bad", { by: "nobody" })
    world.git("switch", "--quiet", "-c", "release/2")
    const refused = world.push("release/2")
    expect(saidTo(refused)).toContain("refused refs/heads/release/2: 1 of 1 new commit")
    expect(saidTo(refused)).toContain(bad.slice(0, 7))
  }, 60_000)

  test("a commit that came in where the rules are laxer is judged again where they are stricter", async () => {
    await begin()
    world.git("switch", "--quiet", "-c", "wip/x")
    const theirs = world.commit("theirs", { by: STRANGER })
    expect(world.push("wip/x").status).toBe(0)
    for (const ref of ["refs/heads/main", "refs/heads/release/9"]) {
      const refused = world.push(`wip/x:${ref}`)
      expect(refused.status, ref).toBe(1)
      expect(saidTo(refused)).toContain(`refused ${ref}: 1 of 1 new commit\n  ${theirs.slice(0, 7)}`)
    }
    const again = world.push("wip/x:wip/y")
    expect([again.status, saidTo(again)]).toEqual([0, ""])
    // Both at once, in either order.
    const mine = world.commit("and mine")
    const both = world.push("wip/x:wip/z", "wip/x:main")
    expect(both.status).toBe(1)
    expect(saidTo(both)).toContain("refused refs/heads/main: 1 of 2 new commits")
    expect(saidTo(both)).not.toContain("refused refs/heads/wip/z")
    expect(saidTo(both)).not.toContain(mine.slice(0, 7))
  }, 120_000)

  test("an old commit brings no old policy back", async () => {
    await begin({ policy: policyText(services.issuer, "", STRANGER) })
    // The first policy trusts the stranger; from the second on they are trusted no more. The hook is not there for this one.
    world.workspace.gitsign(world.server, "hook", "uninstall")
    const old = world.git("rev-parse", "HEAD")
    world.commit("policy", { files: { ".gitsign/policy.yaml": policyText(services.issuer) } })
    expect(world.push("main").status).toBe(0)
    world.install()
    expect(world.push(`${old}:refs/heads/release/old`).status).toBe(0)
    world.git("switch", "--quiet", "-c", "release/old", old)
    world.commit("let me in", { by: STRANGER })
    const refused = world.push("release/old")
    expect([refused.status, saidTo(refused)]).toEqual([1, expect.stringContaining("[ERR_IDENTITY]")])
    world.git("reset", "--quiet", "--hard", "HEAD^")
    world.commit("mine")
    expect(world.push("release/old").status).toBe(0)
    // Nor does setting the default branch back, for which nobody signs.
    const back = world.push("--force", `${old}:main`)
    expect([back.status, saidTo(back)]).toEqual([1, expect.stringContaining("[ERR_POLICY_CHANGE]")])
  }, 120_000)
})

describe("merges", () => {
  test("bring in what another branch has accepted, also of who is trusted no more, and nothing else", async () => {
    await begin({ policy: policyText(services.issuer, "", STRANGER) })
    world.git("branch", "release/1")
    expect(world.push("release/1").status).toBe(0)
    world.commit("theirs", { by: STRANGER })
    world.commit("policy", { by: STRANGER, files: { ".gitsign/policy.yaml": policyText(services.issuer) } })
    expect(world.push("main").status).toBe(0)
    world.git("switch", "--quiet", "release/1")
    world.commit("mine")
    world.signing(EMAIL, "merge", "--quiet", "--no-ff", "-m", "merge main", "main")
    const merged = world.push("release/1")
    expect([merged.status, saidTo(merged)]).toEqual([0, ""])
    // An evil one: a merge that changes what neither side did, and nobody signed.
    world.git("switch", "--quiet", "main")
    world.commit("more")
    world.git("merge", "--quiet", "--no-ff", "--no-commit", "release/1")
    world.commit("merge", { by: "nobody", files: { README: "evil\n" } })
    expect(saidTo(world.push("main"))).toContain("refused refs/heads/main: 1 of 2 new commits")
  }, 60_000)
})

describe("the policy", () => {
  test("that comes with a push does not judge it", async () => {
    await begin()
    const open = policyText(services.issuer).replace("subject: dev@example.com", `subjectRegExp: '.*@example\\.com'`)
    world.commit("let me in", { by: STRANGER, files: { ".gitsign/policy.yaml": open } })
    expect(saidTo(world.push("main"))).toContain("[ERR_POLICY_CHANGE]")
    world.git("reset", "--quiet", "--hard", "HEAD^")
    world.commit("policy", { files: { ".gitsign/policy.yaml": open } })
    world.commit("from now on", { by: STRANGER })
    const both = world.push("main")
    expect(saidTo(both)).toContain("1 of 2 new commits")
    expect(world.push("main~1:main").status).toBe(0)
    expect(world.push("main").status).toBe(0)
  }, 120_000)

  test("that nobody can read, or none, is not let in", async () => {
    await begin()
    world.commit("broken", { files: { ".gitsign/policy.yaml": "version: 1\nrules: [" } })
    const broken = world.push("main")
    expect([broken.status, saidTo(broken)]).toEqual([
      1,
      expect.stringMatching(/refs\/heads\/main: the pushed policy cannot be used.*\[ERR_POLICY\]/),
    ])
    world.git("rm", "--quiet", "-r", ".gitsign")
    world.commit("none")
    const none = world.push("main")
    expect([none.status, saidTo(none)]).toEqual([1, expect.stringContaining("[ERR_POLICY_MISSING]")])
    expect(world.push("main:refs/heads/wip/none").status).toBe(0)
  }, 120_000)

  test("that is missing refuses everything and says how to get one", async () => {
    world = await PushWorld.begin(services, { policy: "" })
    const installed = world.install()
    expect([installed.status, installed.stderr]).toEqual([
      0,
      expect.stringMatching(/there is no policy yet[\s\S]*gitsign policy init/),
    ])
    world.commit("good")
    const refused = world.push("main", "main:topic")
    expect(refused.status).toBe(1)
    expect(saidTo(refused)).toMatch(
      /refused refs\/heads\/main: .*\[ERR_POLICY_MISSING\]\ngitsign: refused refs\/heads\/topic: /,
    )
    expect(saidTo(refused).match(/hint/g)).toHaveLength(1)
  }, 60_000)

  test("that is configured counts instead", async () => {
    await begin()
    const { workspace, server } = world
    const file = join(workspace.root, "policy.yaml")
    writeFileSync(file, policyText(services.issuer, "", STRANGER))
    workspace.git(server, "config", "gitsign.policy", file)
    world.commit("mine")
    expect(saidTo(world.push("main"))).toContain(`of ${file}`)
    world.git("reset", "--quiet", "--hard", "HEAD^")
    world.commit("theirs", { by: STRANGER })
    expect(world.push("main").status).toBe(0)
    workspace.git(server, "config", "gitsign.policy", "HEAD:.gitsign/policy.yaml")
    world.commit("theirs again", { by: STRANGER })
    expect(saidTo(world.push("main"))).toContain("[ERR_IDENTITY]")
    // Whoever pushes cannot mend what a tag called main makes of this, and is told who can.
    workspace.git(server, "config", "gitsign.policy", "main:.gitsign/policy.yaml")
    workspace.git(server, "update-ref", "refs/tags/main", "main")
    expect(saidTo(world.push("main"))).toMatch(
      /setting of the repository that is pushed to is wrong: gitsign\.policy is main:.* more than one thing[^\n]*\n.*hint: whoever runs the repository can mend that: .*refs\/heads\/main/,
    )
  }, 60_000)
})

test("deletions need no signature", async () => {
  await begin()
  expect(world.push("main:release/1").status).toBe(0)
  const deleted = world.push(":release/1")
  expect([deleted.status, saidTo(deleted)]).toEqual([0, ""])
  expect(world.onServer("refs/heads/release/1")).toBe("")
})

test("forced pushes are verified from where they part", async () => {
  await begin()
  world.commit("one")
  const two = world.commit("two")
  expect(world.push("main").status).toBe(0)
  world.git("reset", "--quiet", "--hard", "HEAD^")
  world.commit("other", { by: "nobody" })
  expect(saidTo(world.push("--force", "main"))).toContain("refused refs/heads/main: 1 of 1 new commit")
  expect(world.onServer("main")).toBe(two)
  world.git("reset", "--quiet", "--hard", "HEAD^")
  const other = world.commit("other")
  expect(world.push("--force", "main").status).toBe(0)
  expect(world.onServer("main")).toBe(other)
}, 60_000)

describe("tags", () => {
  test("are judged as tags, under the name that they are pushed to", async () => {
    await begin()
    world.signing(EMAIL, "tag", "-m", "one", "v1")
    world.signing(STRANGER, "tag", "-m", "two", "v2")
    world.signing("nobody", "tag", "-m", "three", "v3")
    world.git("update-ref", "refs/tags/v4", "HEAD")
    expect(world.push("v1").status).toBe(0)
    const refused = world.push("v2", "v3", "v4", "v1:refs/tags/v5", "v1:refs/tags/other")
    const said = saidTo(refused)
    expect(refused.status).toBe(1)
    expect(said).toMatch(/refused refs\/tags\/v2: [\s\S]*\[ERR_IDENTITY\]/)
    expect(said).toMatch(/refused refs\/tags\/v3: [\s\S]*\[ERR_NOT_SIGNED\]/)
    expect(said).toMatch(/refused refs\/tags\/v4: .*lightweight.*\[ERR_NOT_SIGNED\]/)
    expect(said).toMatch(/refused refs\/tags\/v5: [\s\S]*\[ERR_TAG_NAME\]/)
    expect(said).toMatch(/refused refs\/tags\/other: [\s\S]*\[ERR_NO_RULE\]/)
    expect(world.onServer("refs/tags/v2")).toBe("")
  }, 60_000)

  test("vouch for nothing on a branch", async () => {
    await begin()
    world.git("switch", "--quiet", "--detach")
    world.commit("unsigned", { by: "nobody" })
    world.signing(EMAIL, "tag", "-m", "one", "v1")
    expect(saidTo(world.push("v1", "HEAD:refs/heads/release/1"))).toContain("refused refs/heads/release/1")
    expect(world.push("v1").status).toBe(0)
    expect(saidTo(world.push("HEAD:refs/heads/release/1"))).toContain("refused refs/heads/release/1: 1 of 1 new commit")
  }, 60_000)
})

describe("rules for first parents", () => {
  test("what a merge vouches for does not become the branch", async () => {
    await begin({
      policy: policyText(services.issuer).replace(
        "[main, 'release/**'], signers: [team]",
        "[main, 'release/**'], signers: [team], merges: first-parent",
      ),
    })
    world.git("switch", "--quiet", "-c", "wip/x")
    const theirs = world.commit("theirs", { by: STRANGER })
    world.git("switch", "--quiet", "main")
    world.commit("mine")
    world.signing(EMAIL, "merge", "--quiet", "--no-ff", "-m", "merge", "wip/x")
    const merged = world.push("main")
    expect([merged.status, saidTo(merged)]).toEqual([0, ""])
    for (const refspec of [`${theirs}:refs/heads/release/1`, `+${theirs}:refs/heads/main`]) {
      const refused = world.push(refspec)
      expect([refused.status, saidTo(refused)]).toEqual([1, expect.stringContaining(theirs.slice(0, 7))])
    }
    expect(world.push("main:release/2").status).toBe(0)
  }, 120_000)
})

describe("other refs", () => {
  test("have rules when these begin with refs/, else what the policy says of the rest", async () => {
    await begin({
      policy: policyText(services.issuer, "  - { name: notes, branches: ['refs/notes/**'], signers: [guests] }\n"),
    })
    world.signing(STRANGER, "notes", "add", "-m", "a note")
    // git signs no notes.
    expect(saidTo(world.push("refs/notes/commits"))).toMatch(/refused refs\/notes\/commits: [\s\S]*\[ERR_NOT_SIGNED\]/)
    expect(saidTo(world.push("main:refs/for/main"))).toMatch(/refused refs\/for\/main: [\s\S]*\[ERR_NO_RULE\]/)
    expect(world.push("main:refs/notes/signed").status).toBe(0)
    const blob = world.git("rev-parse", "HEAD:README")
    expect(saidTo(world.push(`${blob}:refs/notes/blob`))).toMatch(/a blob and no commit.*\[ERR_NOT_SIGNED\]/)
  }, 60_000)

  test("with names that would deceive a terminal or an option parser", async () => {
    await begin()
    world.commit("unsigned", { by: "nobody" })
    const said = saidTo(
      world.push("HEAD:refs/heads/release/\u202emoc", "HEAD:refs/heads/release/-x", "HEAD:refs/heads/release/'$(id)"),
    )
    expect(said).toContain("refused refs/heads/release/\\u{202e}moc: ")
    expect(said).toContain("refused refs/heads/release/-x: ")
    // Nothing of a name gets into what is to be pasted.
    expect(said).toMatch(/^gitsign: hint: gitsign resign [0-9a-f]{12}\^\.\.BRANCH && git push REMOTE BRANCH$/m)
    expect(said.match(/hint/g)).toHaveLength(3)
    expect(said).not.toMatch(/hint.*(moc|id\))/)
  }, 60_000)
})

test("a repository with a work tree, which takes what is pushed at once", async () => {
  await begin()
  const { workspace, server } = world
  const tree = join(workspace.root, "tree")
  workspace.git(workspace.root, "clone", "--quiet", server, tree)
  workspace.git(tree, "config", "receive.denyCurrentBranch", "updateInstead")
  expect(workspace.gitsign(tree, "hook", "install", "--server").status).toBe(0)
  world.git("remote", "add", "tree", tree)
  const good = world.commit("good")
  const pushed = workspace.tryGit(world.clone, "push", "tree", "main")
  expect([pushed.status, saidTo(pushed)]).toEqual([0, ""])
  expect(workspace.git(tree, "status", "--porcelain")).toBe("")
  world.commit("bad", { by: "nobody" })
  expect(saidTo(workspace.tryGit(world.clone, "push", "tree", "main"))).toContain("refused refs/heads/main")
  expect(workspace.git(tree, "rev-parse", "HEAD")).toBe(good)
}, 60_000)

describe("the hook update", () => {
  test("lets the refs in that are in order", async () => {
    await begin({}, "--each-ref")
    const good = world.commit("good")
    world.git("switch", "--quiet", "-c", "release/1")
    world.commit("bad", { by: "nobody" })
    const pushed = world.push("main", "release/1")
    expect(pushed.status).toBe(1)
    expect(saidTo(pushed)).toContain("refused refs/heads/release/1: 1 of 1 new commit")
    expect(world.onServer("main")).toBe(good)
    expect(world.onServer("refs/heads/release/1")).toBe("")
    expect(world.push("--atomic", "main:release/2", "release/1").status).toBe(1)
    expect(world.onServer("refs/heads/release/2")).toBe("")
  }, 60_000)
})

test("--warn-only tells and lets in", async () => {
  await begin({}, "--warn-only")
  const bad = world.commit("bad", { by: "nobody" })
  const pushed = world.push("main")
  expect([pushed.status, saidTo(pushed)]).toEqual([
    0,
    expect.stringContaining("warning for refs/heads/main: 1 of 1 new commit"),
  ])
  expect(world.onServer("main")).toBe(bad)
}, 60_000)

test("thousands of refs in one push", async () => {
  await begin()
  const tip = world.commit("good")
  const creating = Array.from({ length: 3000 }, (_, index) => `create refs/heads/release/b${index} ${tip}\n`).join("")
  expect(world.workspace.run(world.clone, "git", ["update-ref", "--stdin"], { input: creating }).status).toBe(0)
  const begun = Date.now()
  const pushed = world.push("refs/heads/release/*")
  expect([pushed.status, saidTo(pushed)]).toEqual([0, ""])
  expect(Date.now() - begun).toBeLessThan(30_000)
  const bad = world.commit("bad", { by: "nobody" })
  const updating = creating.replaceAll("create", "update").replaceAll(tip, bad)
  expect(world.workspace.run(world.clone, "git", ["update-ref", "--stdin"], { input: updating }).status).toBe(0)
  const refused = world.push("refs/heads/release/*")
  expect(refused.status).toBe(1)
  expect(saidTo(refused).split("\n").length).toBeLessThan(100)
  expect(saidTo(refused)).toMatch(/gitsign: \d+ more refs/)
}, 180_000)
