/**
 * The advice of `gitsign verify` is followed to the letter in real repositories: it mends what was refused, and touches nothing else.
 *
 * @module
 */

import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { type Services, startServices, Workspace } from "./harness.ts"

const ALICE = "alice@example.com"
const MALLORY = "mallory@example.com"
const WORDS = "have it signed where it was made: gitsign resign COMMIT^..BRANCH"

let services: Services
let workspace: Workspace
let repository: string
let number = 0
const tokens: Record<string, string> = {}

beforeAll(async () => {
  services = await startServices()
  workspace = new Workspace({ ...services.environment, GIT_AUTHOR_EMAIL: ALICE, GIT_COMMITTER_EMAIL: ALICE })
  for (const who of [ALICE, MALLORY]) tokens[who] = await services.token(who)
  workspace.env.SIGSTORE_ID_TOKEN = tokens[ALICE] ?? ""
  repository = workspace.repository("plain/work")
  git("init", "-q", "--bare", "../origin.git")
  git("remote", "add", "origin", "../origin.git")
  writePolicy()
  commit("zero")
  commit("one")
  git("push", "-q", "origin", "main")
  git("switch", "-q", "-c", "uns")
  begin("forked", "plain")
  unsigned("bad")
  git("switch", "-q", "main")
  commit("two")
  unsigned("three")
}, 120_000)

afterAll(async () => {
  workspace?.close()
  await services?.close()
})

const git = (...args: string[]): string => workspace.git(repository, ...args)
const commit = (subject: string, ...args: string[]): string => {
  git("commit", "-q", "--allow-empty", "-m", subject, ...args)
  return git("rev-parse", "HEAD")
}
const unsigned = (subject: string): string => commit(subject, "--no-gpg-sign")

/** A policy that names Alice, and asks what else is said. */
function writePolicy(more = ""): void {
  mkdirSync(join(repository, ".gitsign"), { recursive: true })
  const signers = `signers: { all: [{ issuer: ${services.issuer}, subject: ${ALICE} }] }`
  const rules = `rules: [{ name: all, branches: ['**'], signers: [all]${more} }]`
  writeFileSync(join(repository, ".gitsign/policy.yaml"), `version: 1\n${signers}\n${rules}\n`)
  git("add", ".")
}

/**
 * A copy of one of the repositories. `plain`: `main` is published with two good commits, `uns` stands there, too. `forked`: each has more,
 * the last of each is not signed, and `main` is checked out.
 */
function begin(name: string, from: "plain" | "forked"): void {
  cpSync(join(workspace.root, from), join(workspace.root, name), { recursive: true })
  repository = join(workspace.root, name, "work")
}

beforeEach(() => begin(`copy-${++number}`, "plain"))

/** The status and the hints. */
function verify(...args: string[]): { status: number | null; hints: string[]; stdout: string } {
  const { status, stdout, stderr } = workspace.gitsign(repository, "verify", ...args)
  const hints = [...`${stdout}${stderr}`.matchAll(/^gitsign: hint: (.*)$|^ +hint +(.*)$/gm)]
  return { status, stdout, hints: hints.map(([, one, other]) => one ?? other ?? "") }
}

/** Runs what a shell would. */
const follow = (command: string | undefined, env: Record<string, string> = {}): void => {
  const ran = workspace.run(repository, "sh", ["-c", command ?? "false"], { env })
  expect(ran.status, `${command}\n${ran.stderr}`).toBe(0)
}

const subjects = (range: string): string[] => git("log", "--format=%s", range).split("\n")
const tip = (branch: string): string => git("rev-parse", branch)

describe("a commit of a branch that is not checked out", () => {
  let bad: string
  let main: string
  beforeEach(() => {
    begin(`forked-${number}`, "forked")
    bad = tip("uns")
    main = tip("main")
  })

  test.each([
    ["named", ["uns"]],
    ["by its id, where no other branch has it", ["ID"]],
    ["with its story", ["--explain", "uns"]],
    ["without a policy", ["--any-identity", "uns"]],
    ["as JSON", ["--format", "json", "uns"]],
  ])("%s", (_, args) => {
    const { status, hints } = verify(...args.map((arg) => (arg === "ID" ? bad : arg)))
    expect([status, hints]).toEqual([1, [expect.stringContaining(`gitsign resign ${bad.slice(0, 12)}^..uns`)]])
  })

  test("is mended by what is said, and nothing else is touched", () => {
    follow(verify("uns").hints[0])
    expect([verify("main..uns").status, subjects("main..uns"), tip("main")]).toEqual([0, ["bad"], main])
  })

  test("where several have it", () => {
    git("branch", "also", "uns")
    expect(verify(bad).hints).toEqual([WORDS])
    git("switch", "-q", "also")
    expect(verify(bad).hints).toEqual([`gitsign resign ${bad.slice(0, 12)}^..also`])
    git("switch", "-q", "--detach")
    expect([verify().hints, verify("main..HEAD").hints]).toEqual([[WORDS], [WORDS]])
  })

  test("and more of them, once and in words", () => {
    expect(verify("uns", "main").hints).toEqual([WORDS])
    expect(verify("main...uns").hints).toEqual([WORDS])
    const ids = git("rev-list", "uns", "main", "^main~2")
    const { stdout } = workspace.run(repository, workspace.program, ["verify", "-"], { input: ids })
    expect(stdout.match(/^gitsign: hint: .*$/gm)).toEqual([`gitsign: hint: ${WORDS}`])
    expect(verify("main..uns", "--format", "github").stdout).toMatch(/%0Agitsign resign [0-9a-f]{12}\^\.\.uns\n/)
  })

  test("and is published", () => {
    git("push", "-q", "origin", "uns")
    const { hints } = verify("origin/main..uns")
    expect(hints).toEqual([`gitsign resign --force ${bad.slice(0, 12)}^..uns`])
    follow(hints[0])
    expect([verify("origin/main..uns").status, tip("main")]).toEqual([0, main])
  })

  test("and is far behind what everybody has", () => {
    git("push", "-q", "origin", "main")
    commit("four")
    git("push", "-q", "origin", "main")
    expect(verify(main).hints).toEqual([WORDS])
  })
})

test("what was merged in since is of others, and stays", () => {
  const bad = unsigned("bad")
  git("switch", "-q", "main")
  // Somebody else's, which came in where nobody looked.
  const theirs = unsigned("theirs")
  git("push", "-q", "origin", "main")
  git("switch", "-q", "uns")
  git("merge", "-q", "--no-edit", "main")
  git("push", "-q", "origin", "uns")
  const { status, hints } = verify("main..uns")
  expect([status, hints]).toEqual([1, [`gitsign resign --force ${theirs.slice(0, 12)}..uns`]])
  follow(hints[0])
  expect([verify("main..uns").status, git("merge-base", "main", "uns")]).toEqual([0, theirs])
  // A single one with a merge above it is for a person to look at.
  expect(verify("main").hints).toEqual([`gitsign resign --force ${theirs.slice(0, 12)}^..main`])
  expect(verify(bad).hints).toEqual([WORDS])
})

describe("a change that goes to a branch with rules, from one without", () => {
  beforeEach(() => {
    git("switch", "-q", "main")
    const file = join(repository, ".gitsign/policy.yaml")
    writePolicy()
    writeFileSync(file, readFileSync(file, "utf8").replace("'**'", "main"))
    git("add", ".")
    commit("for main only")
    git("push", "-q", "origin", "main")
    git("switch", "-q", "-c", "topic")
    unsigned("bad")
    git("push", "-q", "origin", "topic")
  })
  const CI = (event: string): Record<string, string> => ({
    GITHUB_ACTIONS: "true",
    GITHUB_EVENT_NAME: "pull_request",
    GITHUB_EVENT_PATH: event,
    GITHUB_REF: "refs/pull/1/merge",
  })

  test("in CI", () => {
    const event = join(workspace.root, `event-${number}.json`)
    const pull_request = { base: { sha: tip("main"), ref: "main" }, head: { sha: tip("topic"), ref: "topic" } }
    writeFileSync(event, JSON.stringify({ pull_request }))
    const ran = workspace.run(repository, workspace.program, ["verify", "--ci"], { env: CI(event) })
    const [, command] = /^gitsign: hint: (.*)$/m.exec(ran.stdout) ?? []
    expect([ran.status, command]).toEqual([1, `gitsign resign --force --ref main ${tip("topic").slice(0, 12)}^..topic`])
    follow(command)
    expect(verify("--ref", "main", "main..topic").status).toBe(0)
  })

  test("by hand", () => {
    const { hints } = verify("--ref", "main", "main..topic")
    expect(hints).toEqual([`gitsign resign --force --ref main ${tip("topic").slice(0, 12)}^..topic`])
    expect(verify("--ref", "main", "topic").hints).toEqual(hints)
  })
})

describe("a tag that is not signed is signed by what is said, and keeps its message", () => {
  const MESSAGE = "first line\n\n# no comment\n\n\n  last line"

  test.each([
    ["without a policy", ["--any-identity"], "verify-tag"],
    ["as JSON", ["--any-identity", "--format", "json"], "verify-tag"],
    ["by the policy", [], "verify"],
    ["among others", ["main"], "verify"],
  ])("%s", (_, args, verb) => {
    git("tag", "--no-sign", "--cleanup=verbatim", "-a", "-m", MESSAGE, "v1.0", "main")
    const file = join(repository, ".gitsign/policy.yaml")
    writeFileSync(
      file,
      `${readFileSync(file, "utf8").trimEnd().slice(0, -1)}, { name: tags, tags: ['**'], signers: [all] }]\n`,
    )
    const call = [verb, ...(verb === "verify" ? ["--policy", file] : []), ...args, "v1.0"]
    const { status, stdout, stderr } = workspace.gitsign(repository, ...call)
    const [, hint = ""] = /^gitsign: hint: (.*)$/m.exec(`${stdout}${stderr}`) ?? []
    expect([status, hint]).toEqual([1, expect.stringContaining("-F - v1.0 'refs/tags/v1.0^{}'")])
    follow(hint.replace("sign it with: ", ""))
    expect(workspace.gitsign(repository, ...call).status).toBe(0)
    const { stdout: object } = workspace.run(repository, "git", ["cat-file", "tag", "v1.0"])
    expect(object.slice(object.indexOf("\n\n") + 2, object.indexOf("-----BEGIN"))).toBe(`${MESSAGE}\n`)
    expect(tip("v1.0^{}")).toBe(tip("main"))
  })

  test("never one that it only claims to be", () => {
    git("tag", "--no-sign", "-a", "-m", "one", "v1.0", "main")
    git("update-ref", "refs/tags/x", tip("refs/tags/v1.0"))
    git("tag", "-d", "v1.0")
    const file = join(repository, ".gitsign/policy.yaml")
    for (const asked of ["x", tip("refs/tags/x")]) {
      const { stdout, stderr } = workspace.gitsign(repository, "verify", "--policy", file, asked, "main")
      expect(`${stdout}${stderr}`).toMatch(/git cat-file tag refs\/tags\/(x|NAME) /)
      expect(`${stdout}${stderr}`).not.toContain("refs/tags/v1.0")
    }
  })

  test("or had none", () => {
    git("tag", "--no-sign", "v2.0", "main")
    const file = join(repository, ".gitsign/policy.yaml")
    writeFileSync(
      file,
      `${readFileSync(file, "utf8").trimEnd().slice(0, -1)}, { name: tags, tags: ['**'], signers: [all] }]\n`,
    )
    const { hints } = verify("--policy", file, "v2.0")
    expect(hints).toEqual(["git tag -s -f -m v2.0 v2.0 'refs/tags/v2.0^{}'"])
    follow(hints[0])
    expect([verify("--policy", file, "v2.0").status, tip("v2.0^{}")]).toEqual([0, tip("main")])
  })
})

test("of a history from its first commit on one thing is said, and not two that exclude each other", () => {
  git("switch", "-q", "--orphan", "other")
  unsigned("first")
  unsigned("second")
  const from = "have it signed where it was made: gitsign resign --root BRANCH"
  expect(verify("--all", "--policy-ref", "main").hints).toEqual([from])
})

describe("what nobody may be told to sign", () => {
  const TAMPERED = "get it again from where it was made, or ask its author to sign it anew; do not trust this copy"

  function tamper(subject: string): void {
    commit(subject)
    const changed = git("cat-file", "commit", "HEAD").replace(`\n${subject}`, `\n${subject}, changed`)
    const made = workspace.run(repository, "git", ["hash-object", "-t", "commit", "-w", "--stdin"], {
      input: `${changed}\n`,
    })
    git("reset", "-q", "--hard", made.stdout.trim())
  }

  test("a changed commit, also where another is only not signed", () => {
    tamper("pay")
    expect(verify("main..uns").hints).toEqual([TAMPERED])
    unsigned("after it")
    const { stdout, hints } = verify("main..uns")
    expect(stdout).toContain("[ERR_CONTENT]")
    expect(hints).toEqual([TAMPERED, WORDS])
  })

  test("a stranger's", () => {
    workspace.run(repository, "git", ["commit", "-q", "--allow-empty", "-m", "mine"], {
      env: { SIGSTORE_ID_TOKEN: tokens[MALLORY] ?? "" },
    })
    const name = "if this signer is right, name it in the policy, under signers"
    expect(verify("main..uns").hints).toEqual([name])
    unsigned("after it")
    expect(verify("main..uns").hints).toEqual([name, WORDS])
  })
})

describe("what a rule asks for is mended by what is said", () => {
  /** The branch has the policy; `uns` one commit that it refuses. */
  function refusedBy(require: string, ...config: string[]): string[] {
    git("switch", "-q", "main")
    writePolicy(`, require: { ${require} }`)
    git("commit", "-q", "-m", "stricter")
    git("switch", "-q", "-C", "uns")
    git(...config, "commit", "-q", "--allow-empty", "-m", "lacking")
    const { status, hints } = verify("main..uns")
    expect(status).toBe(1)
    return hints
  }
  const resign = () => `gitsign resign ${tip("uns").slice(0, 12)}^..uns`

  test("timestamp", () => {
    const hints = refusedBy("timestamp: true")
    expect(hints).toEqual(["sign it again with a timestamp authority in gitsign.timestampServerURL", resign()])
    follow(hints[1], services.timestampEnvironment)
    const after = workspace.run(repository, workspace.program, ["verify", "main..uns"], {
      env: services.timestampEnvironment,
    })
    expect(after.status, after.stdout).toBe(0)
  })

  test("offlineProof", () => {
    const hints = refusedBy("offlineProof: true", "-c", "gitsign.rekorMode=online")
    expect(hints).toEqual(["sign it again with: git config gitsign.rekorMode offline", resign()])
    git("config", "gitsign.rekorMode", "online")
    follow(hints[0]?.replace("sign it again with: ", ""))
    follow(hints[1])
    expect(verify("main..uns").status).toBe(0)
  })

  test("committer", () => {
    workspace.env.GIT_COMMITTER_EMAIL = "bob@example.com"
    try {
      refusedBy("committer: true")
    } finally {
      workspace.env.GIT_COMMITTER_EMAIL = ALICE
    }
    const { hints } = verify("main~1..uns", "--policy-ref", "main")
    expect(hints).toHaveLength(1)
    const [, command] = /make it your own with: (.*)$/.exec(hints[0] ?? "") ?? []
    git("switch", "-q", "main")
    follow(command?.replace("COMMIT", "uns").replace("BRANCH", "uns"))
    expect([verify("main..uns").status, subjects("main..uns")]).toEqual([0, ["lacking"]])
  })
})
