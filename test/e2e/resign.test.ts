/**
 * `gitsign resign` with real git: whatever a history holds, only signatures and ids change; and what it must not touch, it does not.
 *
 * @module
 */

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { type Ran, type Services, startServices, Workspace } from "./harness.ts"
import { commitsOf, expectRan, expectRefused, expectResigned, unsignedHistory, writeCommit } from "./resign-history.ts"

let services: Services
let token: string
let workspace: Workspace

beforeAll(async () => {
  services = await startServices()
  token = await services.token()
}, 60_000)

afterAll(() => services?.close())

beforeEach(() => {
  workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: token })
  workspace.git(workspace.root, "config", "--global", "commit.gpgsign", "false")
  workspace.git(workspace.root, "config", "--global", "tag.gpgsign", "false")
})

afterEach(() => workspace.close())

/** What all refs point to. */
const refsOf = (repository: string): string => workspace.git(repository, "for-each-ref")

const unsigned = (name: string, count: number, ...initArguments: string[]): string =>
  unsignedHistory(workspace, name, count, ...initArguments)

const verifyAll = (repository: string, ...range: string[]): Ran =>
  workspace.gitsign(repository, "verify", "--any-identity", ...range)

describe.each([["sha1"], ["sha256"]])("in a %s repository", (format) => {
  test("a range is signed again, byte for byte the same but for signatures and parents", () => {
    const repository = workspace.repository("everything", `--object-format=${format}`)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    const commit = (parts: Parameters<typeof writeCommit>[2]): string => writeCommit(workspace, repository, parts)
    const base = commit({ parents: [], message: "base\n" })
    const signedTag = (() => {
      const old = commit({ parents: [base], message: "merged\n" })
      git("-c", "tag.gpgsign=true", "tag", "-s", "-m", "a tag\n\nof two parts", "merged", old)
      return { old, raw: git("cat-file", "tag", "merged") }
    })()
    const mergetag = `mergetag ${signedTag.raw.replace(/\n/g, "\n ")}\n`.replace(/\n \n$/, "\n")
    const empty = commit({ parents: [base], message: "" })
    const latin1 = commit({
      parents: [empty],
      author: "J\u00f6rg <j@example.com> 1234567890 -0800",
      headers: "encoding ISO-8859-1\n",
      message: Buffer.from("gr\u00fc\u00dfe\n\nparent 1234\ngpgsig no header\n", "latin1"),
    })
    const crlf = commit({ parents: [latin1], message: "with\r\n\r\ncarriage returns\r\n\n\n\ntrailing  \n" })
    const sides = ["one", "two", "three"].map((side) => commit({ parents: [crlf], message: `${side}\n` }))
    const octopus = commit({ parents: [crlf, ...sides], message: Buffer.from([0xff, 0xfe, 0x80, 0x0a]) })
    const merge = commit({
      parents: [octopus, signedTag.old],
      headers: `${mergetag}HG:extra branch:default\nunknown of\n several\n  lines\n`,
      message: "merge tag\n",
    })
    const noNewline = commit({ parents: [merge], message: "no line feed at the end" })
    const sign = format === "sha1" ? "gpgsig" : "gpgsig-sha256"
    const badlySigned = commit({
      parents: [noNewline],
      headers: `${sign} -----BEGIN SIGNED MESSAGE-----\n AAAA\n -----END SIGNED MESSAGE-----\nafter it\n`,
      message: "badly signed\n",
    })
    git("update-ref", "refs/heads/main", badlySigned)
    git("reset", "--quiet", "--hard")
    const before = commitsOf(workspace, repository, `${base}..main`)
    expect(before).toHaveLength(11)

    const ran = workspace.gitsign(repository, "resign", `${base}..`)
    expectRan(ran, /^main is now \w{12}, was \w{12}: 11 commits signed again by dev@example.com \(/, /--undo/)
    expect(ran.stderr).toContain("1 commit by other authors: your signature says that you vouch for it")
    const after = commitsOf(workspace, repository, `${base}..main`)
    expectResigned(workspace, repository, before, after)
    expect(git("status", "--porcelain")).toBe("")
    expect(git("reflog", "-1", "--format=%gs", "HEAD")).toBe("resign: 11 commits signed again")
    expect(git("reflog", "-1", "--format=%gs", "main")).toBe("resign: 11 commits signed again")
    expectRan(verifyAll(repository, `${base}..main`), /^/)
    // The embedded tag is that of the old commit, and its signature as good as before.
    const merged = git("log", "-1", "--show-signature", "HEAD~2")
    expect(merged).toMatch(/^tag merged names a non-parent \w+\ngitsign: good signature/m)
    expect(ran.stderr).toContain("1 merge of a tag keeps the tag, which stays on the old commit")
    expect(git("diff", badlySigned, "main")).toBe("")
    expect(git("range-diff", "--no-color", `${base}..${badlySigned}`, `${base}..main`)).not.toMatch(
      /^\S+:\s+\S+ [!<>]/m,
    )
  }, 120_000)

  test("notes of every kind go along, and everything can be undone", () => {
    const repository = unsigned("notes", 4, `--object-format=${format}`)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    git("notes", "add", "-m", "plain", "HEAD")
    git("notes", "--ref", "review", "add", "-m", "first", "HEAD~2")
    git("notes", "--ref", "review", "append", "-m", "second", "HEAD~2")
    git("notes", "--ref", "elsewhere", "add", "-m", "not in the range", "HEAD~3")
    const [elsewhere, refs, head] = [
      git("rev-parse", "refs/notes/elsewhere"),
      refsOf(repository),
      git("rev-parse", "HEAD"),
    ]
    expectRan(workspace.gitsign(repository, "resign", "HEAD~3.."), /3 commits signed again/)
    expect(git("notes", "show", "HEAD")).toBe("plain")
    expect(git("notes", "--ref", "review", "show", "HEAD~2")).toBe("first\n\nsecond")
    expect(git("notes", "show", head)).toBe("plain")
    expect(git("rev-parse", "refs/notes/elsewhere")).toBe(elsewhere)
    expect(git("fsck", "--strict", "--no-dangling")).toBe("")
    expect(git("status", "--porcelain")).toBe("")

    expectRan(workspace.gitsign(repository, "resign", "--undo", "--dry-run"), /^main would be /)
    expect(git("rev-parse", "HEAD")).not.toBe(head)
    expectRan(workspace.gitsign(repository, "resign", "--undo"), /^main is now /)
    expect(git("rev-parse", "HEAD")).toBe(head)
    const withoutNotes = (text: string): string => text.replace(/^.*refs\/notes\/.*\n?/gm, "").trimEnd()
    expect(withoutNotes(refsOf(repository))).toBe(withoutNotes(refs))
    expectRefused(
      workspace.gitsign(repository, "resign", "--undo"),
      3,
      "ERR_RESIGN",
      /has not moved main, or that was undone/,
    )
  }, 60_000)
})

describe("what is signed again", () => {
  test("only from the first commit on that is not in order, unless with --all", () => {
    const repository = workspace.repository("leading")
    const signed = ["a", "b"].map((file) => workspace.commit(repository, file, "1\n", "-S"))
    const bad = workspace.commit(repository, "c", "1\n")
    workspace.commit(repository, "d", "1\n", "-S")
    const before = commitsOf(workspace, repository, "HEAD")
    const dry = workspace.gitsign(repository, "resign", "--dry-run", "--root")
    expectRan(
      dry,
      /^would sign again 2 of 4 commits of main:\n {2}\w{12} {2}change c {2}A Developer {2}.*\[ERR_NOT_SIGNED\]\n/,
    )
    expect(dry.stdout).toContain("change d  A Developer  comes after a commit that changes")
    expect(dry.stderr).toContain("1 commit had a good signature, which yours replaces")
    expect(commitsOf(workspace, repository, "HEAD")).toEqual(before)

    expectRan(workspace.gitsign(repository, "resign", `${bad}^..main`), /2 commits signed again/)
    const after = commitsOf(workspace, repository, "HEAD")
    expectResigned(workspace, repository, before, after, signed)
    expectRan(
      workspace.gitsign(repository, "resign", "--root"),
      /^nothing to do: all 4 commits of main are in order\n$/,
    )
    expectRefused(
      workspace.gitsign(repository, "resign", "HEAD.."),
      2,
      "ERR_USAGE",
      /there are no commits in HEAD\.\.main/,
    )
    expectRan(workspace.gitsign(repository, "resign", "--root", "--all", "main"), /4 commits signed again/)
    expectResigned(workspace, repository, after, commitsOf(workspace, repository, "HEAD"))
  }, 60_000)

  test("what a policy refuses, by the policy from before the range", () => {
    const repository = workspace.repository("policy")
    mkdirSync(join(repository, ".gitsign"))
    const policy = [
      "version: 1",
      "signers:",
      "  us:",
      `    - { issuer: '${services.issuer}', subject: dev@example.com }`,
      "rules:",
      "  - { name: main, branches: [main], signers: [us] }",
      "",
    ].join("\n")
    workspace.commit(repository, ".gitsign/policy.yaml", policy, "-S")
    return services.token("stranger@example.com").then((other) => {
      writeFileSync(join(repository, "a"), "1\n")
      workspace.git(repository, "add", "a")
      const made = workspace.run(repository, "git", ["commit", "-q", "-S", "-m", "a"], {
        env: { SIGSTORE_ID_TOKEN: other },
      })
      expect(made.status, made.stderr).toBe(0)
      const before = commitsOf(workspace, repository, "HEAD~1..")
      const verified = workspace.gitsign(repository, "verify", "HEAD~1..")
      expect(verified.status).toBe(1)
      expectRan(workspace.gitsign(repository, "resign", "--dry-run", "HEAD~1.."), /\[ERR_IDENTITY\]/)
      expectRan(workspace.gitsign(repository, "resign", "HEAD~1.."), /1 commit signed again/)
      expectResigned(workspace, repository, before, commitsOf(workspace, repository, "HEAD~1.."))
      expectRan(workspace.gitsign(repository, "verify", "HEAD~1.."), /^/)
    })
  }, 60_000)

  test("a branch without a rule is refused before the login, and a signer that the policy does not know is told after it", async () => {
    const repository = unsigned("no-rule", 2)
    mkdirSync(join(repository, ".gitsign"))
    const first = workspace.git(repository, "rev-parse", "HEAD")
    const policy = [
      "version: 1",
      `since: ${first}`,
      `signers: { us: [{ issuer: '${services.issuer}', subject: dev@example.com }] }`,
      "rules: [{ name: main, branches: [main], signers: [us] }]",
      "",
    ].join("\n")
    workspace.commit(repository, ".gitsign/policy.yaml", policy, "-S")
    workspace.git(repository, "branch", "topic")
    const refs = refsOf(repository)
    for (const args of [["--root"], ["--all", "--root"], ["--dry-run", "--all", "--root"]]) {
      const ran = workspace.gitsign(repository, "resign", ...args, "topic")
      expectRefused(ran, 1, "ERR_NO_RULE", /no rule of .* is for refs\/heads\/topic, so nobody may sign there/)
      expect(ran.stdout).toBe("")
    }
    expect(refsOf(repository)).toBe(refs)
    const other = { SIGSTORE_ID_TOKEN: await services.token("stranger@example.com") }
    const ran = workspace.run(repository, workspace.program, ["resign", "--root"], { env: other })
    expectRan(ran, /^main is now .* 2 commits signed again by stranger@example\.com/)
    expect(ran.stderr).toMatch(/^gitsign: 2 commits by other authors: your signature says that you vouch for them$/m)
    expect(ran.stderr).toMatch(
      /^gitsign: warning: 2 of the 2 new commits would be refused by main:\.gitsign\/policy\.yaml: signed by stranger@example\.com.* \[ERR_IDENTITY\]$/m,
    )
    expectRan(workspace.gitsign(repository, "resign", "--undo"), /^main is now /)
    const mine = workspace.gitsign(repository, "resign", "--root")
    expectRan(mine, /2 commits signed again by dev@example\.com/)
    expect(mine.stderr).not.toMatch(/warning|by other authors/)
    const done = workspace.gitsign(repository, "resign", "--root")
    expectRan(
      done,
      /^nothing to do: all 3 commits of main are in order; 1 of them is accepted although it is not signed/,
    )
  }, 60_000)

  test("a branch that is not checked out, with a dirty work tree and index", () => {
    const repository = unsigned("dirty", 3)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    git("branch", "topic")
    git("switch", "--quiet", "-c", "work", "HEAD~1")
    writeFileSync(join(repository, "file-0"), "changed\n")
    writeFileSync(join(repository, "new"), "staged\n")
    git("add", "new")
    writeFileSync(join(repository, "untracked"), "x\n")
    const state = [
      git("status", "--porcelain"),
      git("rev-parse", "HEAD"),
      readFileSync(join(repository, ".git/index"), "latin1"),
    ]
    const before = commitsOf(workspace, repository, "topic")
    expectRan(workspace.gitsign(repository, "resign", "main~2..topic"), /^topic is now .*2 commits/)
    expectResigned(workspace, repository, before, commitsOf(workspace, repository, "topic"), before.slice(0, 1))
    expect([
      git("status", "--porcelain"),
      git("rev-parse", "HEAD"),
      readFileSync(join(repository, ".git/index"), "latin1"),
    ]).toEqual(state)
    // The one that is checked out, too: its trees stay what they are.
    const own = git("status", "--porcelain")
    expectRan(workspace.gitsign(repository, "resign", "HEAD~1.."), /^work is now .*1 commit /)
    expect(git("status", "--porcelain")).toBe(own)
  }, 60_000)

  test("a detached HEAD, which alone is moved", () => {
    const repository = unsigned("detached", 3)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    git("checkout", "--quiet", "--detach")
    const [main, before] = [git("rev-parse", "main"), commitsOf(workspace, repository, "HEAD")]
    const ran = workspace.gitsign(repository, "resign", "HEAD~2..HEAD")
    expectRan(ran, /^HEAD is now /, /these branches stay on the old commits, unless with --update-refs: main/)
    expectResigned(workspace, repository, before, commitsOf(workspace, repository, "HEAD"), before.slice(0, 1))
    expect(git("rev-parse", "main")).toBe(main)
    expect(workspace.tryGit(repository, "symbolic-ref", "-q", "HEAD").status).toBe(1)
    expectRan(workspace.gitsign(repository, "resign", "--undo"), /^HEAD is now /)
    expect(git("rev-parse", "HEAD")).toBe(main)
    expect(workspace.tryGit(repository, "symbolic-ref", "-q", "HEAD").status).toBe(1)
  }, 60_000)

  test("a branch of a linked worktree, of a bare repository, and one that is reached through a link", () => {
    const repository = unsigned("main", 2)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    const linked = join(workspace.root, "linked")
    git("worktree", "add", "--quiet", "-b", "topic", linked)
    workspace.commit(linked, "x", "1\n")
    expectRan(workspace.gitsign(linked, "resign", "main.."), /^topic is now .*1 commit /)
    expect(workspace.git(linked, "log", "-1", "--format=%G?")).toBe("G")
    const elsewhere = workspace.gitsign(repository, "resign", "--all", "main..topic")
    expectRefused(elsewhere, 3, "ERR_RESIGN", /topic is checked out in .*\/linked/)
    expectRefused(workspace.gitsign(repository, "resign", "--undo", "topic"), 3, "ERR_RESIGN", /checked out/)
    expectRan(workspace.gitsign(linked, "resign", "--undo"), /^topic is now /)

    git("clone", "--quiet", "--bare", ".", join(workspace.root, "bare.git"))
    expectRan(
      workspace.gitsign(join(workspace.root, "bare.git"), "resign", "--root", "topic"),
      /^topic is now .*3 commits/,
    )

    symlinkSync(repository, join(workspace.root, "other-name"))
    const ran = workspace.run(join(workspace.root, "other-name"), "sh", [
      "-c",
      "cd -L . && exec gitsign resign HEAD~1..",
    ])
    expectRan(ran, /^main is now .*1 commit /)
  }, 60_000)

  test("with --update-refs also the branches that point there; the others and tags are told", () => {
    const repository = unsigned("stack", 4)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    git("branch", "lower", "HEAD~1")
    git("branch", "base", "HEAD~3")
    git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    git("tag", "light", "HEAD~1")
    git("tag", "-a", "-m", "x", "heavy", "HEAD")
    git("tag", "outside", "HEAD~3")
    git("branch", "fork", "HEAD~2")
    workspace.git(repository, "switch", "--quiet", "fork")
    workspace.commit(repository, "z", "1\n")
    workspace.git(repository, "switch", "--quiet", "main")
    const refs = refsOf(repository)
    const dry = workspace.gitsign(repository, "resign", "--dry-run", "base..")
    expectRan(dry, /3 commits/, /these branches stay on the old commits, unless with --update-refs: lower\n/)
    expect(dry.stderr).toContain("these tags stay on the old commits: heavy, light\n")
    expect(dry.stderr).toContain("these branches go on from the old commits, and stay: fork\n")
    expect(refsOf(repository)).toBe(refs)
    const ran = workspace.gitsign(repository, "resign", "--update-refs", "base..")
    expectRan(ran, /^main is now .*\nlower is now \w+, was \w+\n$/)
    expect(ran.stderr).not.toContain("lower")
    expect(git("rev-parse", "lower")).toBe(git("rev-parse", "main~1"))
    expect(git("rev-parse", "alias")).toBe(git("rev-parse", "main"))
    expect(git("log", "-1", "--format=%gs", "-g", "lower")).toBe("resign: 3 commits signed again")
    const moved = refsOf(repository)
    expect(moved).toContain("refs/gitsign/resign/1/before/heads/main")
    workspace.git(repository, "switch", "--quiet", "lower")
    workspace.commit(repository, "later", "1\n")
    workspace.git(repository, "switch", "--quiet", "main")
    const undone = workspace.gitsign(repository, "resign", "--undo")
    expectRan(undone, /^main is now /, /lower has moved since, and stays where it is/)
    expect(refsOf(repository)).not.toContain("refs/gitsign/resign/1/before/heads/main")
    // What has stayed can still be taken back, and its old commits are kept.
    expect(refsOf(repository)).toContain("refs/gitsign/resign/1/before/heads/lower")
  }, 60_000)
})

describe("undoing", () => {
  test("what came later is not thrown away, and two runs go back one after the other", () => {
    const repository = unsigned("later", 3)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    const first = git("rev-parse", "HEAD")
    expectRan(workspace.gitsign(repository, "resign", "HEAD~1.."), /1 commit /)
    const second = git("rev-parse", "HEAD")
    expectRan(workspace.gitsign(repository, "resign", "--all", "HEAD~2.."), /2 commits /)
    const third = git("rev-parse", "HEAD")
    workspace.commit(repository, "later", "1\n")
    const ran = workspace.gitsign(repository, "resign", "--undo")
    expectRefused(ran, 3, "ERR_RESIGN", /main is at \w+, and was at \w+ when it had been signed again/)
    const [, hint = ""] = /hint: put what came later on the old commits: (git rebase .*)\n/.exec(ran.stderr) ?? []
    expect(workspace.run(repository, "sh", ["-c", hint]).status).toBe(0)
    expect(git("rev-parse", "HEAD~1")).toBe(second)
    git("reset", "--quiet", "--hard", "HEAD~1")
    expectRefused(workspace.gitsign(repository, "resign", "--undo"), 3, "ERR_RESIGN", /git reflog main/)
    git("reset", "--quiet", "--hard", third)
    expectRan(workspace.gitsign(repository, "resign", "--undo", "main"), /^main is now /)
    expect(git("rev-parse", "HEAD")).toBe(second)
    expectRan(workspace.gitsign(repository, "resign", "--undo"), /^main is now /)
    expect(git("rev-parse", "HEAD")).toBe(first)
    expect(refsOf(repository)).not.toContain("refs/gitsign")
    // What was made is still there for whoever changes their mind.
    expect(git("cat-file", "-t", third)).toBe("commit")
  }, 60_000)
})

describe("what is refused, and nothing is changed", () => {
  test("commits that are on a remote, unless forced", () => {
    const repository = unsigned("published", 3)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    git("init", "--quiet", "--bare", "../remote.git")
    git("remote", "add", "origin", "../remote.git")
    git("push", "--quiet", "origin", "HEAD~1:refs/heads/main")
    const refs = refsOf(repository)
    const ran = workspace.gitsign(repository, "resign", "--root")
    expectRefused(ran, 2, "ERR_PUBLISHED", /2 of the 3 commits to sign are in refs\/remotes\/origin\/main already/)
    expect(ran.stderr).toMatch(/: gitsign resign --root --force\n/)
    // The symbolic one says less, and comes before it in the order of names.
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    expectRefused(
      workspace.gitsign(repository, "resign", "--all", "--root", "main"),
      2,
      "ERR_PUBLISHED",
      /are in refs\/remotes\/origin\/main already.*\n.*: gitsign resign --root --all --force main\n/,
    )
    git("symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    expect(refsOf(repository)).toBe(refs)
    const before = commitsOf(workspace, repository, "main")
    expectRan(workspace.gitsign(repository, "resign", "--force", "--root"), /3 commits signed/, /--force-with-lease/)
    expectResigned(workspace, repository, before, commitsOf(workspace, repository, "main"))
    git("push", "--quiet", "--force-with-lease", "origin", "main")
    expectRefused(
      workspace.gitsign(repository, "resign", "--undo"),
      2,
      "ERR_PUBLISHED",
      /3 commits signed again are in refs\/remotes\/origin\/main already.*\n.*: gitsign resign --undo --force\n/,
    )
    expectRan(workspace.gitsign(repository, "resign", "--undo", "--force"), /^main is now /)
    // Where fetch puts branches is a matter of configuration.
    git("update-ref", "-d", "refs/remotes/origin/main")
    git("config", "remote.origin.fetch", "+refs/heads/*:refs/there/*")
    git("update-ref", "refs/there/main", "main~2")
    expectRefused(
      workspace.gitsign(repository, "resign", "--root"),
      2,
      "ERR_PUBLISHED",
      /1 of the 3 commits to sign is in refs\/there\/main already/,
    )
    expectRan(workspace.gitsign(repository, "resign", "--dry-run", "main~2.."), /2 commits of main/)
  }, 60_000)

  test.each([
    [["resign"], 2, "ERR_USAGE", /say which commits/],
    [["resign", "main"], 2, "ERR_USAGE", /main is no range[\s\S]*gitsign resign main\.\.,.*'main\^\.\.'/],
    [["resign", "HEAD~1...main"], 2, "ERR_USAGE", /two dots/],
    [["resign", "HEAD~1..HEAD~0"], 2, "ERR_USAGE", /not the name of one branch/],
    [["resign", "HEAD~1..v1"], 2, "ERR_USAGE", /refs\/tags\/v1, which is no branch/],
    [["resign", "HEAD~1..both"], 3, "ERR_GIT", /both names more than one thing/],
    [["resign", "both..main"], 3, "ERR_GIT", /both names more than one thing/],
    [["resign", "HEAD~1..nothing"], 2, "ERR_USAGE", /there is no .*nothing/],
    [["resign", "nothing.."], 2, "ERR_USAGE", /there is no revision nothing/],
    [["resign", "HEAD~1..", "^nothing"], 2, "ERR_USAGE", /there is no revision nothing/],
    [["resign", "HEAD~1..", "main"], 2, "ERR_USAGE", /main is a second range/],
    [["resign", "--undo", "main", "both"], 2, "ERR_USAGE", /one branch back at a time/],
    [["resign", "--undo", "--allow-changed"], 2, "ERR_USAGE", /cannot be used with/],
    [["resign", "HEAD~1^.."], 2, "ERR_USAGE", /HEAD~1 is the first commit[\s\S]*gitsign resign --root main/],
    [["resign", "HEAD~1..-x"], 2, "ERR_USAGE", /no revision/],
    [["resign", "--root", "a..b"], 2, "ERR_USAGE", /--root begins at the first commit/],
    [["resign", "--undo", "--all"], 2, "ERR_USAGE", /cannot be used with/],
    [["resign", "--undo"], 3, "ERR_RESIGN", /has not moved main/],
  ])("gitsign %s", (args, status, code, message) => {
    const repository = unsigned("usage", 2)
    workspace.git(repository, "tag", "v1")
    workspace.git(repository, "tag", "both")
    workspace.git(repository, "branch", "both")
    const refs = refsOf(repository)
    expectRefused(workspace.gitsign(repository, ...args), status, code, message)
    expect(refsOf(repository)).toBe(refs)
  })

  test("while a rebase, merge, cherry-pick or bisect is under way, here or in another worktree", () => {
    const repository = unsigned("busy", 3)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    git("switch", "--quiet", "-c", "side", "HEAD~2")
    workspace.commit(repository, "file-2", "conflict\n")
    git("switch", "--quiet", "main")
    const resign = (...args: string[]): Ran => workspace.gitsign(repository, "resign", ...args)
    const under = (operation: string): RegExp => new RegExp(`a ${operation} of (main|HEAD) is under way here`)

    expect(workspace.tryGit(repository, "merge", "side").status).toBe(1)
    expectRefused(resign("HEAD~1.."), 3, "ERR_RESIGN", under("merge"))
    git("merge", "--abort")
    expect(workspace.tryGit(repository, "cherry-pick", "side").status).toBe(1)
    expectRefused(resign("HEAD~1.."), 3, "ERR_RESIGN", under("cherry-pick"))
    git("cherry-pick", "--abort")
    git("bisect", "start", "HEAD", "HEAD~2")
    expectRefused(resign("HEAD~1..HEAD"), 3, "ERR_RESIGN", under("bisect"))
    git("bisect", "reset")
    expect(workspace.tryGit(repository, "rebase", "side").status).toBe(1)
    expectRefused(resign("main~1..HEAD"), 3, "ERR_RESIGN", under("rebase"))
    expectRefused(resign("main~1..main"), 3, "ERR_RESIGN", under("rebase"))
    // Another branch has nothing to do with it.
    expectRan(resign("--dry-run", "main~2..side"), /1 commit of side/)
    git("rebase", "--abort")

    const linked = join(workspace.root, "linked")
    git("switch", "--quiet", "side")
    git("worktree", "add", "--quiet", linked, "main")
    expect(workspace.tryGit(linked, "rebase", "side").status).toBe(1)
    expectRefused(resign("main~1..main"), 3, "ERR_RESIGN", /a rebase of main is under way in .*\/linked/)
  }, 60_000)

  test("history that git shows otherwise: replace refs, grafts, the end of a shallow clone", () => {
    const repository = unsigned("shown", 4)
    const git = (...args: string[]): string => workspace.git(repository, ...args)
    git("replace", "--graft", "HEAD~1", "HEAD~3")
    expectRefused(workspace.gitsign(repository, "resign", "HEAD~2.."), 3, "ERR_RESIGN", /shows another commit/)
    git("replace", "-d", git("--no-replace-objects", "rev-parse", "HEAD~1"))
    mkdirSync(join(repository, ".git/info"), { recursive: true })
    writeFileSync(join(repository, ".git/info/grafts"), `${git("rev-parse", "HEAD~1")} ${git("rev-parse", "HEAD~3")}\n`)
    const base = git("-c", "advice.graftFileDeprecated=false", "rev-parse", "HEAD~2")
    expectRefused(workspace.gitsign(repository, "resign", `${base}..`), 3, "ERR_RESIGN", /shows another commit/)
    writeFileSync(join(repository, ".git/info/grafts"), "")
    const shallow = join(workspace.root, "shallow")
    git("clone", "--quiet", "--depth=2", `file://${repository}`, shallow)
    git("-C", shallow, "remote", "set-head", "origin", "--delete")
    git("-C", shallow, "remote", "remove", "origin")
    expectRefused(workspace.gitsign(shallow, "resign", "--root"), 3, "ERR_SHALLOW", /ends at/)
    expectRan(workspace.gitsign(shallow, "resign", "HEAD~1.."), /1 commit signed again/)
    expect(workspace.git(shallow, "fsck", "--strict", "--no-dangling")).toBe("")
  }, 60_000)
})
