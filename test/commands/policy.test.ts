/**
 * The verbs of `gitsign policy` on real repositories: what they say, what they exit with, and their JSON against its schema.
 *
 * @module
 */

import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { runCommandLine } from "../../src/commands/cli.ts"
import { Messages } from "../../src/commands/messages.ts"
import { isGitsignError } from "../../src/errors.ts"
import { policyOutputViolations } from "../support/policy-output.ts"

const ISSUER = "https://accounts.google.com"
const POLICY = `version: 1
signers:
  maintainers:
    - issuer: ${ISSUER}
      subject: alice@example.com
  bots:
    - issuer: https://token.actions.githubusercontent.com
      subject: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
      workflow: { repository: acme/app }
rules:
  - { name: main, branches: [main], signers: [maintainers, bots] }
  - { name: policy, branches: ['**'], paths: ['.gitsign/**'], signers: [maintainers] }
  - { name: releases, tags: ['v*'], signers: [maintainers], require: { timestamp: true } }
examples:
  - { signer: { issuer: '${ISSUER}', subject: alice@example.com }, branch: main, expect: allowed }
`

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "gitsign-policy-verbs-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
}

let count = 0
/** A repository with these files in its work tree, committed. */
function repository(files: Readonly<Record<string, string>>, ...options: string[]): string {
  const path = join(root, `${count++}`)
  execFileSync("git", ["init", "-q", "-b", "main", ...options, path], { env: ENV })
  write(path, files)
  if (options.length === 0) commit(path)
  return path
}

function write(path: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), content)
  }
}

const git = (cwd: string, ...args: string[]): string => execFileSync("git", args, { cwd, env: ENV, encoding: "utf8" })
const commit = (path: string): void => {
  git(path, "add", ".")
  git(path, "commit", "-q", "--allow-empty", "-m", "policy")
}

interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a verb of `gitsign policy` as the program would. */
async function policy(cwd: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const out = { stdout: "", stderr: "" }
  const io = {
    cwd,
    env: { ...ENV, ...env },
    stdout: (text: string) => {
      out.stdout += text
    },
    stderr: (text: string) => {
      out.stderr += text
    },
  }
  const messages = new Messages(io)
  try {
    return { status: await runCommandLine(["policy", ...args], io, messages), ...out }
  } catch (error) {
    if (!isGitsignError(error)) throw error
    return { status: messages.error(error), ...out }
  } finally {
    messages.close()
  }
}

/** Runs a verb with `--format json` and gives its document, which is as the schema says. */
async function json(cwd: string, args: readonly string[]): Promise<Ran & { document: Record<string, unknown> }> {
  const ran = await policy(cwd, [...args, "--format", "json"])
  const document: Record<string, unknown> = JSON.parse(ran.stdout)
  expect(policyOutputViolations(document)).toEqual([])
  return { ...ran, document }
}

describe("check", () => {
  test("a policy without a fault, from wherever it is", async () => {
    const path = repository({ ".gitsign/policy.yaml": POLICY, "sub/file": "x" })
    for (const [args, cwd, source] of [
      [[], path, ".gitsign/policy.yaml"],
      [[], join(path, "sub"), "../.gitsign/policy.yaml"],
      [[".gitsign/policy.yaml"], path, ".gitsign/policy.yaml"],
      [["HEAD"], path, "HEAD:.gitsign/policy.yaml"],
      [["main:.gitsign/policy.yaml"], join(path, "sub"), "main:.gitsign/policy.yaml"],
    ] as const) {
      const { status, stdout, stderr } = await policy(cwd, ["check", ...args])
      expect(stdout).toBe(`${source}: 2 signers, 3 rules, 1 example; nothing to warn about\n`)
      expect([status, stderr]).toEqual([0, ""])
    }
    const { document } = await json(path, ["check"])
    expect(document).toMatchObject({ usable: true, signers: 2, rules: 3, examples: 1, warnings: [], error: null })
    expect(document.policy).toMatchObject({ source: ".gitsign/policy.yaml", format: "gitsign" })
  })

  test("in a bare repository, and where a setting names it", async () => {
    const path = repository({ ".gitsign/policy.yaml": POLICY, "other.yaml": POLICY.replace("alice", "bob") })
    const bare = join(root, "bare")
    git(root, "clone", "-q", "--bare", path, bare)
    expect((await policy(bare, ["check"])).stdout).toMatch(/^HEAD:\.gitsign\/policy\.yaml: /)
    git(bare, "config", "gitsign.policy", "main:other.yaml")
    expect((await policy(bare, ["check"])).stdout).toMatch(/^main:other\.yaml: /)
    const set = await policy(join(path, ".gitsign"), ["check"], { GITSIGN_POLICY: "other.yaml" })
    expect(set.stdout).toMatch(/^other\.yaml: /)
  })

  test("warnings, which --strict makes an answer", async () => {
    const warned = POLICY.replace("subject: alice@example.com", "subjectRegExp: '[a-z]+@example.com'")
    const path = repository({ ".gitsign/policy.yaml": warned })
    const { status, stdout } = await policy(path, ["check"])
    expect(stdout).toMatch(/; 1 warning\n {2}line 4 {2}.*example\\\.com.* {2}\[unescaped-dot\]\n$/)
    expect(status).toBe(0)
    expect((await policy(path, ["check", "--strict"])).status).toBe(1)
    const { document } = await json(path, ["check"])
    expect(document.warnings).toMatchObject([{ id: "unescaped-dot", line: 4 }])
  })

  test("commits that are not in this repository", async () => {
    const path = repository({ README: "x" })
    const known = git(path, "rev-parse", "HEAD").trim()
    const exempt = (id: string): string => `  - { commit: '${id}', reason: r, author: a@example.com }\n`
    const text = `${POLICY}since: ${known}\nexemptions:\n${exempt(known)}${exempt("1".repeat(40))}`
    write(path, { ".gitsign/policy.yaml": text })
    const { document, stdout } = await json(path, ["check"])
    expect(document.warnings).toMatchObject([{ id: "unknown-commit", line: 19 }])
    write(path, { ".gitsign/policy.yaml": `${POLICY}since: '${"2".repeat(40)}'\n` })
    expect((await json(path, ["check"])).document.warnings).toMatchObject([{ id: "unknown-commit", line: 16 }])
    write(path, { ".gitsign/policy.yaml": text })
    expect(stdout).toContain("111111111111, exempted, is no commit of this repository")
    write(path, { ".git/shallow": `${known}\n` })
    expect((await json(path, ["check"])).document.warnings).toEqual([])
  })

  test("a date that is still to come", async () => {
    const path = repository({ ".gitsign/policy.yaml": `${POLICY}since: 2099-01-01\n` })
    const { document } = await json(path, ["check"])
    expect(document.warnings).toMatchObject([
      { id: "since-date", line: 16 },
      { id: "since-future", line: 16, message: expect.stringMatching(/^since: 2099-01-01 in .* is in the future: /) },
    ])
    write(path, { ".gitsign/policy.yaml": `${POLICY}since: 2001-01-01\n` })
    expect((await json(path, ["check"])).document.warnings).toMatchObject([{ id: "since-date" }])
  })

  test("a policy that cannot be used is told in both ways", async () => {
    const path = repository({ ".gitsign/policy.yaml": POLICY.replace("version: 1", "version: 1\nnonsense: true") })
    const text = await policy(path, ["check"])
    expect([text.status, text.stdout]).toEqual([2, ""])
    expect(text.stderr).toMatch(/^gitsign: error: .*policy\.yaml line 2: .*nonsense.* \[ERR_POLICY\]\ngitsign: hint: /)
    expect(text.stderr).toMatch(/\ngitsign: hint: correct that line; every member is in docs\/policy\.md\n$/)
    // What the hint shows where nothing is there yet is a policy without a fault.
    write(path, { "empty.yaml": "" })
    const empty = await policy(path, ["check", "empty.yaml"])
    const [, example = ""] = /hint: a whole file in one line: (.*)\n$/.exec(empty.stderr) ?? []
    write(path, { "example.yaml": example })
    expect((await policy(path, ["check", "example.yaml"])).status).toBe(0)
    const { status, stderr, document } = await json(path, ["check"])
    expect([status, stderr]).toEqual([2, text.stderr])
    expect(document).toMatchObject({ usable: false, policy: null, error: { code: "ERR_POLICY" }, rules: null })
    const open = POLICY.replace("subject: alice@example.com", "subjectRegExp: '.*'")
    write(path, { ".gitsign/policy.yaml": open })
    expect((await json(path, ["check"])).document.error).toMatchObject({ code: "ERR_POLICY_OPEN" })
  })

  test.each([
    ["nothing.yaml", 2, "ERR_POLICY_MISSING"],
    ["main:nothing.yaml", 2, "ERR_POLICY_MISSING"],
    ["none", 2, "ERR_POLICY_MISSING"],
    ["no-such-branch", 2, "ERR_USAGE"],
    ["link.yaml", 2, "ERR_POLICY_FILE"],
    ["--nonsense", 2, "ERR_USAGE"],
  ])("%s exits with %i", async (name, status, code) => {
    const path = repository({ README: "x" })
    git(path, "branch", "none")
    symlinkSync("README", join(path, "link.yaml"))
    const ran = await policy(path, ["check", name])
    expect(ran.stderr).toContain(`[${code}]`)
    expect([ran.status, ran.stdout]).toEqual([status, ""])
  })

  test("where there is no policy, and no repository", async () => {
    const missing = await policy(repository({ README: "x" }), ["check"])
    expect(missing.stderr).toMatch(/\[ERR_POLICY_MISSING\]\ngitsign: hint: propose one with: gitsign policy init\n$/)
    expect(missing.status).toBe(2)
    const outside = mkdtempSync(join(root, "outside-"))
    for (const args of [["check"], ["init"], ["init", "--write"], ["diff", "main"], ["diff", "main:x", "main"]]) {
      const ran = await policy(outside, args)
      expect(ran.stderr).toBe(
        "gitsign: error: not a git repository [ERR_USAGE]\ngitsign: hint: run it inside the repository\n",
      )
      expect(ran.status).toBe(2)
    }
    write(outside, { "policy.yaml": POLICY })
    expect((await policy(outside, ["check", "policy.yaml"])).status).toBe(0)
  })

  test("a link in the work tree does not make room for another policy", async () => {
    const path = repository({ ".chainguard/source.yaml": POLICY, "real.yaml": POLICY })
    mkdirSync(join(path, ".gitsign"))
    symlinkSync("../nowhere", join(path, ".gitsign/policy.yaml"))
    expect((await policy(path, ["check"])).stderr).toContain("[ERR_POLICY_FILE]")
  })

  test("what others wrote does not reach the terminal", async () => {
    const path = repository({
      ".gitsign/policy.yaml": POLICY.replace("alice@", '"\\u001b[31malice@').replace(/(alice@.*)/, '$1"'),
    })
    const { stdout } = await policy(path, ["explain", "\u001b[31malice@example.com"])
    expect(stdout).not.toContain("\u001b")
    expect(stdout).toContain("\\u{1b}[31malice@example.com is one of maintainers")
  })
})

describe("explain", () => {
  test("what somebody may sign", async () => {
    const path = repository({ ".gitsign/policy.yaml": POLICY })
    const { status, stdout } = await policy(path, ["explain", "alice@example.com"])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^alice@example\.com is one of maintainers of \.gitsign\/policy\.yaml$/m)
    expect(stdout).toMatch(/^ {2}yes {2}rule "main" \(line 11\), commits on main, as maintainers: alice@example\.com/m)
    expect(stdout).toMatch(/^ {2}yes {2}rule "releases".*\n {9}if the signature has a timestamp$/m)
    const { document } = await json(path, ["explain", "alice@example.com"])
    expect(document).toMatchObject({ allowed: true, signers: ["maintainers"], verdict: null })
  })

  test.each([
    ["alice@example.com", [], 0, /yes {2}rule "main"/],
    ["alice@example.com", ["--issuer", "https://elsewhere.example"], 1, /\[ERR_ISSUER\]/],
    ["Alice@example.com", [], 1, /\[ERR_LOOKALIKE\]/],
    ["eve@example.com", [], 1, /eve@example\.com is no signer.*\n( {2}no .*\n){3}no rule lets it sign anything\n$/],
    ["alice@example.com", ["--ref", "main"], 0, /a commit on refs\/heads\/main: allowed, by rule "main"\n$/],
    ["alice@example.com", ["--ref", "feature"], 1, /a commit on refs\/heads\/feature: refused: .*\[ERR_NO_RULE\]\n$/],
    ["alice@example.com", ["--ref", "refs/tags/v1"], 0, /the tag v1: allowed/],
    [
      "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
      ["--ref", "main", "--path", ".gitsign/policy.yaml"],
      1,
      /that changes \.gitsign\/policy\.yaml: refused: .*rule "policy".*\[ERR_IDENTITY\]\n$/,
    ],
    [
      "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
      ["--ref", "main", "--path", "src/a.c"],
      0,
      /that changes src\/a\.c: allowed, by rule "main"\n$/,
    ],
    [`SHA256:${"A".repeat(43)}`, [], 1, /no rule lets it sign anything/],
    ["0123456789012345678901234567890123456789", [], 1, /no rule lets it sign anything/],
  ])("%s %j exits with %i", async (identity, args, status, text) => {
    const path = repository({ ".gitsign/policy.yaml": POLICY })
    const ran = await policy(path, ["explain", identity, ...args])
    expect(ran.stdout).toMatch(text)
    expect(ran.status).toBe(status)
    expect((await json(path, ["explain", identity, ...args])).document.allowed).toBe(status === 0)
  })

  test("of another policy, and a path without a branch", async () => {
    const path = repository({ ".gitsign/policy.yaml": POLICY })
    write(path, { ".gitsign/policy.yaml": POLICY.replace("alice", "bob") })
    expect((await policy(path, ["explain", "bob@example.com"])).status).toBe(0)
    expect((await policy(path, ["explain", "bob@example.com", "--policy", "HEAD"])).status).toBe(1)
    const asked = await policy(path, ["explain", "bob@example.com", "--path", "x"])
    expect([asked.status, asked.stderr]).toEqual([2, expect.stringContaining("[ERR_REF_REQUIRED]")])
    expect((await policy(path, ["explain"])).status).toBe(2)
  })
})

describe("test", () => {
  const example = (who: string, expected: string): string =>
    `  - { signer: { issuer: '${ISSUER}', subject: ${who}@example.com }, branch: main, expect: ${expected} }\n`

  test("examples in the policy, beside it, and named", async () => {
    const path = repository({
      ".gitsign/policy.yaml": POLICY,
      ".gitsign/policy.test.yaml": `examples:\n${example("eve", "ERR_IDENTITY")}`,
      "more.yaml": `examples:\n${example("alice", "allowed")}`,
    })
    const { status, stdout } = await policy(path, ["test", "--examples", "more.yaml"])
    expect(stdout).toMatch(
      /^ok {4}\.gitsign\/policy\.yaml line 15: alice.*: allowed\nok {4}\.gitsign\/policy\.test\.yaml line 2: eve.*: ERR_IDENTITY\nok {4}more\.yaml line 2: .*\n3 examples, all as expected\n$/,
    )
    expect(status).toBe(0)
    const atHead = await json(path, ["test", "HEAD"])
    expect(atHead.document).toMatchObject({ passed: 2, failed: 0 })
    expect(atHead.stdout).toContain('"HEAD:.gitsign/policy.test.yaml"')
  })

  test("one that does not hold is the answer no", async () => {
    const path = repository({
      ".gitsign/policy.yaml": POLICY,
      ".gitsign/policy.test.yaml": `examples:\n${example("eve", "allowed")}${example("alice", "ERR_ISSUER")}`,
    })
    const { status, stdout } = await policy(path, ["test"])
    expect(status).toBe(1)
    expect(stdout).toMatch(
      /^FAIL .*line 2: eve@example\.com .*: ERR_IDENTITY, not allowed\n {8}signed by eve@example\.com/m,
    )
    expect(stdout).toMatch(/^FAIL .*line 3: alice@example\.com .*: allowed, not ERR_ISSUER\n/m)
    expect(stdout).toMatch(/\n2 of 3 examples not as expected\n$/)
    expect((await json(path, ["test"])).document).toMatchObject({ passed: 1, failed: 2 })
  })

  test("none, or some that make no sense, are no test", async () => {
    const bare = POLICY.slice(0, POLICY.indexOf("examples:"))
    const path = repository({ ".gitsign/policy.yaml": bare })
    const none = await policy(path, ["test"])
    const [sample = "", said] = none.stderr.split(/^(?=gitsign: )/m)
    expect(said).toContain("[ERR_POLICY]")
    write(path, { ".gitsign/policy.test.yaml": sample })
    expect(await policy(path, ["test"])).toMatchObject({ status: 0, stdout: expect.stringMatching(/2 examples, all/) })
    expect((await json(path, ["check"])).document.examples).toBe(2)
    expect(none.stderr).toMatch(/has no examples to test \[ERR_POLICY\]\n.*policy\.test\.yaml/)
    expect(none.status).toBe(2)
    write(path, { ".gitsign/policy.test.yaml": "examples:\n  - { expect: allowed }\n" })
    const broken = await policy(path, ["test"])
    expect(broken.stderr).toMatch(/policy\.test\.yaml line 2: .*\[ERR_POLICY\]/)
    const checked = await policy(path, ["check"])
    expect(checked.stderr).toMatch(/policy\.test\.yaml line 2: .*\n.*hint: correct that line; /)
    expect(checked.status).toBe(2)
    expect(broken.status).toBe(2)
    rmSync(join(path, ".gitsign/policy.test.yaml"))
    symlinkSync("../elsewhere.yaml", join(path, ".gitsign/policy.test.yaml"))
    expect((await policy(path, ["test"])).stderr).toContain("[ERR_POLICY_FILE]")
  })
})

describe("diff", () => {
  test("who gains and who loses", async () => {
    const path = repository({ ".gitsign/policy.yaml": POLICY })
    write(path, { ".gitsign/policy.yaml": POLICY.replace("alice@example.com\n", "bob@example.com\n") })
    const { status, stdout } = await policy(path, ["diff", "HEAD"])
    expect(stdout).toMatch(/^\+ bob@example\.com \(https:\/\/accounts\.google\.com\)\n {4}commits to main\n/)
    expect(stdout).toMatch(/^- alice@example\.com \(https:\/\/accounts\.google\.com\)\n {4}commits to main\n/m)
    expect(stdout).toMatch(/\n1 may sign more, 1 may sign less\n$/)
    expect(status).toBe(0)
    expect((await policy(path, ["diff", "--exit-code", "HEAD"])).status).toBe(1)
    expect((await json(path, ["diff", "HEAD"])).document).toMatchObject({ differs: true })
  })

  test("nothing, and what is no person", async () => {
    const path = repository({ ".gitsign/policy.yaml": POLICY, "other.yaml": `# the same\n${POLICY}` })
    const same = await policy(path, ["diff", "--exit-code", "HEAD", "other.yaml"])
    expect(same.stdout).toBe("nobody may sign more or less under other.yaml than under HEAD:.gitsign/policy.yaml\n")
    expect(same.status).toBe(0)
    expect((await json(path, ["diff", "HEAD", "other.yaml"])).document).toMatchObject({ differs: false, changes: [] })
    write(path, { "other.yaml": `${POLICY}otherwise: allow\n` })
    const other = await policy(path, ["diff", "--exit-code", "HEAD", "other.yaml"])
    expect(other.stdout).toMatch(/^~ otherwise: refuse before, allow now$/m)
    expect(other.status).toBe(1)
  })

  test("a broken policy is no other policy", async () => {
    const path = repository({ ".gitsign/policy.yaml": POLICY, "other.yaml": "version: 2\n" })
    const ran = await policy(path, ["diff", "HEAD", "other.yaml"])
    expect([ran.status, ran.stdout]).toEqual([2, ""])
    expect((await policy(path, ["diff"])).status).toBe(2)
  })
})

describe("init", () => {
  test("where nobody has signed there is nothing to propose", async () => {
    const path = repository({ README: "x" })
    const ran = await policy(path, ["init"])
    expect(ran.stderr).toMatch(
      /no signature that can be verified is on 1 commit and 0 tags \(1 ERR_NOT_SIGNED\) \[ERR_NOT_SIGNED\]/,
    )
    expect([ran.status, ran.stdout]).toEqual([1, ""])
    const empty = join(root, "empty")
    execFileSync("git", ["init", "-q", empty], { env: ENV })
    expect(await policy(empty, ["init"])).toMatchObject({ status: 2, stdout: "" })
  })

  test("does not replace a policy, nor write through a link, nor into a bare repository", async () => {
    const path = repository({ ".gitsign/policy.yaml": POLICY })
    const there = await policy(path, ["init", "--write"])
    expect([there.status, there.stderr]).toEqual([2, expect.stringMatching(/already.*\[ERR_USAGE\]\n.*--force\n$/)])
    const linked = repository({ "real/x": "x" })
    symlinkSync("real", join(linked, ".gitsign"))
    expect(await policy(linked, ["init", "--write"])).toMatchObject({ status: 2 })
    expect((await policy(linked, ["init", "--write", "--force"])).stderr).toContain("[ERR_POLICY_FILE]")
    const bare = repository({}, "--bare")
    expect((await policy(bare, ["init", "--write"])).stderr).toContain("[ERR_USAGE]")
    expect(readFileSync(join(path, ".gitsign/policy.yaml"), "utf8")).toBe(POLICY)
  })
})
