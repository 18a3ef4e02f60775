/**
 * What `gitsign resign` says before anybody logs in: what it cannot sign here, what it must not, and what will be in vain.
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
  repository = unsignedHistory(workspace, "history", 4)
})

afterEach(() => workspace.close())

const git = (...args: string[]): string => workspace.git(repository, ...args)
const resign = (...args: string[]): Ran => workspace.gitsign(repository, "resign", ...args)

/** Runs a line of shell in the repository, for bytes that are no text. */
function shell(line: string): string {
  const ran = workspace.run(repository, "sh", ["-ec", line])
  expect(ran.status, ran.stderr).toBe(0)
  return ran.stdout.trim()
}

/** Expects that it is refused before anything was signed, and that nothing has changed. */
function expectRefusedBefore(status: number, code: string, message: RegExp, ...args: string[]): Ran {
  const before = git("for-each-ref")
  const ran = resign(...args)
  expectRefused(ran, status, code, message)
  expect(ran.stderr).not.toMatch(/is as it was|signing as/)
  expect(git("for-each-ref")).toBe(before)
  return ran
}

describe("notes", () => {
  test("are copied once where one ref of notes stands for another", () => {
    git("notes", "add", "-m", "noted", "HEAD")
    git("symbolic-ref", "refs/notes/alias", "refs/notes/commits")
    expectRan(resign("HEAD~1.."), /^main is now /)
    expect(git("notes", "--ref", "alias", "show", "HEAD")).toBe("noted")
    expect(git("symbolic-ref", "refs/notes/alias")).toBe("refs/notes/commits")
  }, 60_000)

  test.runIf(process.platform === "linux")(
    "are copied where the name of their ref is no UTF-8",
    () => {
      git("notes", "add", "-m", "noted", "HEAD")
      shell(
        "n=$(printf 'refs/notes/caf\\351'); git update-ref $n refs/notes/commits; git update-ref -d refs/notes/commits",
      )
      expectRan(resign("HEAD~1.."), /^main is now /)
      expect(shell("GIT_NOTES_REF=$(printf 'refs/notes/caf\\351') git notes show HEAD")).toBe("noted")
      expectRan(resign("--undo"), /^main is now /)
    },
    60_000,
  )

  test("ask for a committer before the login, and only where there are some", () => {
    workspace.git(workspace.root, "config", "--global", "user.useConfigOnly", "true")
    workspace.git(workspace.root, "config", "--global", "--unset", "user.email")
    expectRan(resign("HEAD~2.."), /^main is now /)
    expectRan(resign("--undo"), /^main is now /)
    const me = ["-c", "user.email=dev@example.com"]
    git(...me, "notes", "add", "-m", "noted", "HEAD~1")
    const ran = expectRefusedBefore(2, "ERR_CONFIG", /git does not know who does that: no email was given/, "HEAD~2..")
    expect(ran.stderr).toMatch(/hint: tell git who you are: git config user\.name/)
    expectRan(resign("HEAD~1.."), /^main is now /)
  }, 60_000)
})

describe.runIf(process.platform === "linux")("a branch whose name is no UTF-8", () => {
  test("is refused by its true reason, and is in nobody else's way", () => {
    shell("git branch $(printf 'caf\\351')")
    expectRefusedBefore(3, "ERR_RESIGN", /name of the branch caf\ufffd is not UTF-8/, "--update-refs", "HEAD~1..")
    expectRan(resign("HEAD~1.."), /^main is now /)
    shell("git switch --quiet $(printf 'caf\\351')")
    const ran = expectRefusedBefore(3, "ERR_RESIGN", /name of the branch caf\ufffd is not UTF-8/, "HEAD~1..")
    expect(ran.stderr).toContain("git branch -m NEW-NAME")
    git("branch", "-m", "café")
    expectRan(resign("HEAD~1.."), /^café is now /)
  }, 60_000)
})

test("a branch under bisect is refused, also from another worktree", () => {
  git("bisect", "start", "HEAD", "HEAD~3")
  expect(workspace.tryGit(repository, "symbolic-ref", "-q", "HEAD").status).toBe(1)
  expect(workspace.tryGit(repository, "branch", "-f", "main", "main~1").status).not.toBe(0)
  expectRefusedBefore(3, "ERR_RESIGN", /a bisect of main is under way here/, "main~2..main")
  const linked = join(workspace.root, "linked")
  git("worktree", "add", "--quiet", "-b", "side", linked, "main")
  const there = workspace.gitsign(linked, "resign", "main~2..main")
  expectRefused(there, 3, "ERR_RESIGN", /a bisect of main is under way in .*\/history/)
  expectRan(workspace.gitsign(linked, "resign", "HEAD~1.."), /^side is now /)
  git("bisect", "reset")
  expectRan(resign("main~2..main"), /^main is now /)
}, 60_000)

describe("published commits", () => {
  /** A commit on `name`, made from the first one and pushed. */
  function publishedBranch(name: string): void {
    git("switch", "--quiet", "-c", name, "HEAD~3")
    workspace.commit(repository, `${name}-file`, "1\n")
    git("update-ref", `refs/remotes/origin/${name}`, name)
    git("switch", "--quiet", "main")
  }

  test("two that were merged are left out together, and the hint does that", () => {
    publishedBranch("one")
    publishedBranch("two")
    git("update-ref", "refs/remotes/origin/main", "main~1")
    git("merge", "--quiet", "--no-edit", "one")
    git("merge", "--quiet", "--no-edit", "two")
    workspace.commit(repository, "own", "1\n")
    const ran = expectRefusedBefore(2, "ERR_PUBLISHED", /3 of the 7 commits to sign are in/, "main~5..")
    const [, hint = ""] = /hint: sign only the other 4 with: (gitsign resign [^;]*); others may/.exec(ran.stderr) ?? []
    expect(hint).toMatch(/^gitsign resign origin\/\w+\.\.main '\^origin\/\w+' '\^origin\/\w+'$/)
    const own = commitsOf(workspace, repository, "main", "--not", "--remotes")
    const all = commitsOf(workspace, repository, "main")
    expectRan(workspace.run(repository, "sh", ["-c", hint]), /^main is now .*: 4 commits signed again/)
    const kept = all.filter((id) => !own.includes(id))
    expectResigned(workspace, repository, all, commitsOf(workspace, repository, "main"), kept)
  }, 60_000)

  test("the hint keeps the beginning of a range that begins at something of one's own", () => {
    publishedBranch("one")
    git("merge", "--quiet", "--no-edit", "one")
    const ran = expectRefusedBefore(
      2,
      "ERR_PUBLISHED",
      /the 2 commits to sign is in refs\/remotes\/origin\/one/,
      "main~1..",
    )
    expect(ran.stderr).toContain("sign only the other one with: gitsign resign origin/one..main '^main~1'; ")
    expectRan(resign("--dry-run", "origin/one..main", "^main~1"), /^would sign again 1 commit of main/)
  }, 60_000)
})

describe("a commit that was changed after it had been signed", () => {
  beforeEach(() => {
    workspace.commit(repository, "signed", "1\n", "-S")
    shell(
      "git cat-file commit HEAD | sed 's/^change signed$/something else/' | git hash-object -t commit -w --stdin >id; " +
        "git reset --quiet --hard $(cat id); rm id",
    )
  })

  test.each([[[]], [["--all"]], [["--dry-run"]]])(
    "is signed only by whoever wants that: resign %s",
    (flags) => {
      const ran = expectRefusedBefore(
        1,
        "ERR_CONTENT",
        /\w{12} has a signature that does not fit what it holds: /,
        ...flags,
        "HEAD~2..",
      )
      const [, hint = ""] = /where the change is right, sign it with: (gitsign resign .*)\n/.exec(ran.stderr) ?? []
      const before = commitsOf(workspace, repository, "HEAD~2..")
      const allowed = workspace.run(repository, "sh", ["-c", hint])
      expectRan(
        allowed,
        /2 commits/,
        /warning: \w{12} has a signature .* \[ERR_CONTENT\]; you vouch for what is there now/,
      )
      if (!flags.includes("--dry-run")) {
        expectResigned(workspace, repository, before, commitsOf(workspace, repository, "HEAD~2.."))
      }
    },
    60_000,
  )

  test("where the policy does not judge it, too", () => {
    mkdirSync(join(repository, ".gitsign"))
    const changed = git("rev-parse", "HEAD")
    const policy = [
      "version: 1",
      `since: ${git("rev-parse", "HEAD")}`,
      `signers: { us: [{ issuer: '${services.issuer}', subject: dev@example.com }] }`,
      "rules: [{ name: main, branches: [main], signers: [us] }]",
      "",
    ].join("\n")
    workspace.commit(repository, ".gitsign/policy.yaml", policy)
    const ran = expectRefusedBefore(1, "ERR_CONTENT", /does not fit what it holds/, "--root", "--all")
    expect(ran.stderr).toContain(changed.slice(0, 12))
  }, 60_000)
})

test("a policy that wants the committer to sign is told before the login", () => {
  mkdirSync(join(repository, ".gitsign"))
  const policy = [
    "version: 1",
    `signers: { us: [{ issuer: '${services.issuer}', subject: dev@example.com }] }`,
    "rules: [{ name: main, branches: [main], signers: [us], require: { committer: true } }]",
    "",
  ].join("\n")
  workspace.commit(repository, ".gitsign/policy.yaml", policy, "-S")
  const env = { GIT_COMMITTER_NAME: "Somebody", GIT_COMMITTER_EMAIL: "else@example.com" }
  workspace.run(repository, "git", ["commit", "--quiet", "--allow-empty", "-S", "-m", "theirs"], { env })
  expect(workspace.gitsign(repository, "verify", "HEAD~1..").stdout).toContain("[ERR_COMMITTER]")
  const told =
    /warning: \w+:\.gitsign\/policy\.yaml wants .* that of \w{12}, Somebody <else@example\.com>, .*\[ERR_COMMITTER\]/
  expectRan(resign("--dry-run", "HEAD~1.."), /1 commit/, told)
  // One's own are no reason to warn.
  git("reset", "--quiet", "--hard", "HEAD~1")
  workspace.commit(repository, "own", "1\n")
  const own = resign("HEAD~1..")
  expectRan(own, /^main is now /)
  expect(own.stderr).not.toContain("warning")
}, 60_000)

describe("where there is nothing before a range", () => {
  test("in a shallow clone it is said that it is one", () => {
    const shallow = join(workspace.root, "shallow")
    git("clone", "--quiet", "--depth=1", `file://${repository}`, shallow)
    for (const from of ["HEAD^", "HEAD~3"]) {
      const ran = workspace.gitsign(shallow, "resign", `${from}..`)
      expectRefused(ran, 3, "ERR_SHALLOW", /is not in this shallow clone, which ends before it/)
      expect(ran.stderr).toContain("git fetch --deepen=")
    }
    // A first commit is one also there.
    workspace.git(shallow, "switch", "--quiet", "--orphan", "other")
    workspace.commit(shallow, "first", "1\n")
    expectRefused(workspace.gitsign(shallow, "resign", "HEAD^.."), 2, "ERR_USAGE", /HEAD is the first commit/)
  }, 60_000)

  test("no upstream", () => {
    const ran = expectRefusedBefore(
      2,
      "ERR_USAGE",
      /@\{upstream\} stands for nothing here: no upstream/,
      "@{upstream}..",
    )
    expect(ran.stderr).not.toContain("fsck")
    git("config", "branch.main.remote", "origin")
    git("config", "branch.main.merge", "refs/heads/main")
    git("config", "remote.origin.url", "../nowhere")
    git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    expectRefusedBefore(2, "ERR_USAGE", /@\{u\} stands for nothing here: .* not fetched/, "@{u}..")
  }, 60_000)
})
