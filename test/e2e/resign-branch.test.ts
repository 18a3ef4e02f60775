/**
 * On which branch `gitsign resign` signs, and by which branch's rules it judges: those of a pull request are of where it goes.
 *
 * @module
 */

import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { type Ran, type Services, startServices, Workspace } from "./harness.ts"
import { commitsOf, expectRan, expectRefused, expectResigned, unsignedHistory } from "./resign-history.ts"

let services: Services
let token: string
let workspace: Workspace
let repository: string

beforeAll(async () => {
  services = await startServices()
  token = await services.token()
}, 60_000)

afterAll(() => services?.close())

beforeEach(() => {
  workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: token })
  workspace.git(workspace.root, "config", "--global", "commit.gpgsign", "false")
})

afterEach(() => workspace.close())

const git = (...args: string[]): string => workspace.git(repository, ...args)
const resign = (...args: string[]): Ran => workspace.gitsign(repository, "resign", ...args)

/** The command that a hint prints behind these words. */
const commandIn = ({ stderr }: Ran, words: string): string =>
  stderr.split(`${words}: `)[1]?.split(/; |\n/, 1)[0] ?? `false: no hint says: ${words}`

const run = (command: string): Ran => workspace.run(repository, "sh", ["-c", command])

describe("a range that begins at a commit of another branch", () => {
  beforeEach(() => {
    repository = unsignedHistory(workspace, "parted", 2)
    git("switch", "--quiet", "-c", "side", "HEAD~1")
    for (const file of ["side-1", "side-2"]) workspace.commit(repository, file, "1\n")
    git("switch", "--quiet", "main")
  })

  test.each([
    ["side~1", "^"],
    ["side~1", "^1"],
    ["ID", "^"],
  ])(
    "%s%s.. is refused, and the hint signs that commit",
    (name, suffix) => {
      const [main, side] = [git("rev-parse", "main"), commitsOf(workspace, repository, "main..side")]
      const from = `${name.replace("ID", side[0]?.slice(0, 12) ?? "")}${suffix}`
      for (const range of [`${from}..`, `${from}..main`]) {
        const ran = resign("--dry-run", range)
        expectRefused(ran, 2, "ERR_USAGE", /is not on main; it is on side/)
        expect(ran.stderr).toContain(side[0]?.slice(0, 12))
        expect(ran.stdout).toBe("")
        const own = run(commandIn(ran, `what main has that ${from} has not`))
        expectRan(own, new RegExp(`^would sign again 1 commit of main:\n {2}${main.slice(0, 12)} `))
      }
      expectRan(run(commandIn(resign(`${from}..`), "sign it there with")), /^side is now .*: 2 commits signed again/)
      expectResigned(workspace, repository, side, commitsOf(workspace, repository, "main..side"))
      expect(git("rev-parse", "main")).toBe(main)
      // Whoever repeats it is told that it was done; on another branch that is no news.
      expectRan(resign(`${side[0]}^..side`), /^nothing to do: all 2 commits/)
      if (name === "ID") expectRefused(resign(`${from}..`), 2, "ERR_USAGE", /is not on main; it is on no local branch/)
    },
    60_000,
  )

  test("so is one that begins at none of this branch's", () => {
    const ran = resign("--dry-run", "side~1..")
    expectRefused(ran, 2, "ERR_USAGE", /side \(\w{12}\) is not on main; it is on side/)
    expectRan(run(commandIn(ran, "sign it there with")), /^would sign again 1 commit of side:/)
  }, 60_000)

  test("the first of all is signed where it is", () => {
    git("switch", "--quiet", "--orphan", "other")
    const first = workspace.commit(repository, "other", "1\n")
    git("switch", "--quiet", "main")
    const ran = resign(`${first}^..`)
    expectRefused(ran, 2, "ERR_USAGE", /is the first commit, which has none before it/)
    expect(ran.stderr).toContain("hint: gitsign resign --root other\n")
  }, 60_000)

  test("a branch that has gone on elsewhere leaves out what both have", () => {
    const [main] = commitsOf(workspace, repository, "side..main")
    for (const range of [
      "side..",
      "side~2..",
      "side~2..main",
      "side..main",
      `${git("rev-parse", "side~1")}..`,
      "side@{0}..",
      "main^..",
      "HEAD~1..",
    ]) {
      expectRan(
        resign("--dry-run", range),
        new RegExp(`^would sign again 1 commit of main:\n {2}${main?.slice(0, 12)} `),
      )
    }
  }, 60_000)

  test("a merge brings it in", () => {
    git("merge", "--quiet", "--no-edit", "side")
    expectRan(resign("--dry-run", "side~1^.."), /^would sign again 4 of 4 commits|^would sign again 4 commits of main/)
    expectRan(resign("--dry-run", "HEAD^2.."), /^would sign again 2 commits of main/)
  }, 60_000)
})

describe("a branch that goes into another one by a pull request", () => {
  beforeEach(() => {
    const upstream = workspace.repository("upstream")
    mkdirSync(join(upstream, ".gitsign"))
    const policy = [
      "version: 1",
      `signers: { us: [{ issuer: '${services.issuer}', subject: dev@example.com }] }`,
      "rules: [{ name: main, branches: [main, 'release/**'], signers: [us] }]",
      "",
    ].join("\n")
    workspace.commit(upstream, ".gitsign/policy.yaml", policy, "-S")
    repository = join(workspace.root, "clone")
    workspace.git(workspace.root, "clone", "--quiet", upstream, repository)
    git("switch", "--quiet", "--no-track", "-c", "topic")
    workspace.commit(repository, "signed", "1\n", "-S")
    workspace.commit(repository, "bad", "1\n")
  })

  test("is judged by the rules of that, as --ref says", async () => {
    const before = commitsOf(workspace, repository, "origin/main..")
    expectRefused(resign("origin/main.."), 1, "ERR_NO_RULE", /no rule of .* is for refs\/heads\/topic/)
    for (const ref of ["refs/heads/main", "main", "release/1"]) {
      expectRan(resign("--dry-run", "--ref", ref, "origin/main.."), /^would sign again 1 of 2 commits of topic:/)
    }
    const stranger = { SIGSTORE_ID_TOKEN: await services.token("stranger@example.com") }
    const args = ["resign", "--ref", "main", "origin/main.."]
    const refused = workspace.run(repository, workspace.program, args, { env: stranger })
    expectRan(refused, /^topic is now /, /warning: the new commit would be refused by .* \[ERR_IDENTITY\]/)
    expectRan(resign("--undo"), /^topic is now /)
    const ran = resign("--ref", "main", "origin/main..")
    expectRan(ran, /^topic is now .*: 1 commit signed again .*; 1 commit before it stays/)
    expect(ran.stderr).not.toContain("warning")
    const after = commitsOf(workspace, repository, "origin/main..")
    expectResigned(workspace, repository, before, after, before.slice(0, 1))
    expectRan(workspace.gitsign(repository, "verify", "--ref", "main", "origin/main.."), /^/)
    expectRan(resign("--ref", "main", "origin/main.."), /^nothing to do: all 2 commits/)
  }, 60_000)

  test("a policy that wants the committer to sign is told by the rules of that, too", () => {
    const rules = "rules: [{ name: main, branches: [main], signers: [us], require: { committer: true } }]"
    const policy = `version: 1\nsigners: { us: [{ issuer: '${services.issuer}', subject: dev@example.com }] }\n${rules}\n`
    workspace.commit(repository, ".gitsign/policy.yaml", policy, "-S")
    const env = { GIT_COMMITTER_NAME: "Somebody", GIT_COMMITTER_EMAIL: "else@example.com" }
    workspace.run(repository, "git", ["commit", "--quiet", "--allow-empty", "-m", "theirs"], { env })
    expectRan(resign("--dry-run", "--ref", "main", "HEAD~1.."), /1 commit/, /warning: .* \[ERR_COMMITTER\]/)
  }, 60_000)

  test("the hint names it before it says how to change the policy, by what git knows", () => {
    const hint = /hint: where it is to go into refs\/heads\/main, sign it by the rules of that: [^;]*; else add a rule/
    const expectHint = (...args: string[]): void => {
      const ran = resign("--dry-run", ...args, "origin/main..")
      expectRefused(ran, 1, "ERR_NO_RULE", hint)
      expectRan(run(commandIn(ran, "sign it by the rules of that")), /^would sign again [12] (of|commits)/)
    }
    // The default branch of the remote; also where it was pushed under its own name. Only what is wrong counts as published then.
    expectHint()
    expectHint("--all")
    git("config", "branch.topic.remote", "origin")
    git("config", "branch.topic.merge", "refs/heads/topic")
    git("update-ref", "refs/remotes/origin/topic", "topic")
    const published = run(commandIn(resign("origin/main.."), "sign it by the rules of that"))
    expectRefused(published, 2, "ERR_PUBLISHED", /the commit to sign is in refs\/remotes\/origin\/topic already/)
    expectHint("--force")
    // What it follows comes first.
    git("config", "branch.topic.merge", "refs/heads/release/1")
    const followed = resign("--dry-run", "origin/main..")
    expectRefused(followed, 1, "ERR_NO_RULE", /hint: where it is to go into refs\/heads\/release\/1, /)
    git("config", "--unset", "branch.topic.merge")
    git("symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    const unknown = resign("--dry-run", "origin/main..")
    expectRefused(
      unknown,
      1,
      "ERR_NO_RULE",
      /hint: where it is to go into another branch, name that one: gitsign resign --ref BRANCH /,
    )
    // Who has said it is told what else there is.
    const other = resign("--dry-run", "--ref", "develop", "origin/main..")
    expectRefused(other, 1, "ERR_NO_RULE", /no rule of .* is for refs\/heads\/develop.*\n.*hint: add a rule/)
  }, 60_000)
})
