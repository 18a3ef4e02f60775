/**
 * `gitsign verify` asked about many things at once, on real repositories: what the arguments mean, which policy judges, what git itself is told.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Ran, type Services, startServices, statusOf, Workspace } from "./harness.ts"

const ALICE = "alice@example.com"
const BOB = "bob@example.com"
const MALLORY = "mallory@example.com"

let services: Services
let workspace: Workspace
let repository: string
const tokens: Record<string, string> = {}

/** Makes a commit as somebody; unsigned as nobody. */
function commit(who: string | undefined, subject: string, ...args: string[]): string {
  const email = who ?? "nobody@example.com"
  const env = {
    SIGSTORE_ID_TOKEN: tokens[email] ?? "",
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_EMAIL: email,
  }
  const signing = who === undefined ? ["--no-gpg-sign"] : []
  const ran = workspace.run(repository, "git", ["commit", "-q", "--allow-empty", "-m", subject, ...signing, ...args], {
    env,
  })
  expect(ran.status, ran.stderr).toBe(0)
  return workspace.git(repository, "rev-parse", "HEAD")
}

function writePolicy(changes: { signers?: string; rules?: string; more?: string } = {}): void {
  mkdirSync(join(repository, ".gitsign"), { recursive: true })
  const signers =
    changes.signers ??
    `  all: [{ issuer: ${services.issuer}, subject: ${ALICE} }, { issuer: ${services.issuer}, subject: ${BOB} }]`
  const rules =
    changes.rules ??
    "  - { name: all, branches: ['**'], signers: [all] }\n  - { name: tags, tags: ['**'], signers: [all] }"
  writeFileSync(
    join(repository, ".gitsign/policy.yaml"),
    `version: 1\nsigners:\n${signers}\nrules:\n${rules}\n${changes.more ?? ""}`,
  )
  workspace.git(repository, "add", ".")
}

interface Verified {
  readonly verdict: string
  readonly error: { readonly code: string } | null
  readonly object: { readonly id: string }
  readonly subject: string
}

/** What `verify --format json` says: subjects and codes of its objects, in order. */
function verify(...args: string[]): { status: number | null; found: string[]; ran: Ran } {
  const ran = workspace.gitsign(repository, "verify", "--format=json", ...args)
  const objects: Verified[] = ran.stdout === "" ? [] : JSON.parse(ran.stdout).objects
  return {
    status: ran.status,
    found: objects.map(({ subject, error }) => `${subject}${error === null ? "" : ` ${error.code}`}`),
    ran,
  }
}

beforeAll(async () => {
  services = await startServices()
  workspace = new Workspace(services.environment)
  for (const who of [ALICE, BOB, MALLORY]) tokens[who] = await services.token(who)
  repository = workspace.repository("range")
  writePolicy()
  commit(ALICE, "zero")
  workspace.git(repository, "branch", "start")
  commit(ALICE, "one")
  commit(BOB, "two")
  workspace.git(repository, "branch", "good")
  commit(MALLORY, "three")
  commit(undefined, "four")
  workspace.git(repository, "switch", "-q", "-c", "side", "good")
  commit(BOB, "aside")
  workspace.git(repository, "switch", "-q", "main")
}, 120_000)

afterAll(async () => {
  workspace?.close()
  await services?.close()
})

describe("what the arguments mean", () => {
  const REFUSED = ["four ERR_NOT_SIGNED", "three ERR_IDENTITY"]

  test.each<[string[], number, string[]]>([
    [["start..main"], 1, [...REFUSED, "two", "one"]],
    [["start..good"], 0, ["two", "one"]],
    [["start.."], 1, [...REFUSED, "two", "one"]],
    [["good...side"], 0, ["aside"]],
    [["main", "--not", "good"], 1, REFUSED],
    [["main", "^good"], 1, REFUSED],
    [["--since-commit", "good"], 1, REFUSED],
    [["start..good", "good..side"], 0, ["two", "one", "aside"]],
    [["good"], 0, ["two"]],
    [["good", "side"], 0, ["two", "aside"]],
    [["main~1"], 1, ["three ERR_IDENTITY"]],
    [["good..good"], 0, []],
    [["--all", "--not", "start"], 1, [...REFUSED, "two", "one", "aside"]],
  ])("%j", (args, status, found) => {
    const answer = verify(...args)
    expect(answer.ran.stderr).not.toContain("ERR_BUG")
    expect([answer.status, [...answer.found].sort()]).toEqual([status, [...found].sort()])
  })

  test("walks go from new to old, no commit before its children", () => {
    expect(verify("start..main").found).toEqual([...REFUSED, "two", "one"])
  })

  test("- reads object ids, and nothing else", () => {
    const ids = workspace.git(repository, "rev-list", "start..main")
    const ran = workspace.run(repository, workspace.program, ["verify", "--format=json", "-"], { input: ids })
    expect(ran.status).toBe(1)
    expect(JSON.parse(ran.stdout).objects.map(({ object }: Verified) => object.id)).toEqual(ids.split("\n"))
    const wrong = workspace.run(repository, workspace.program, ["verify", "-"], { input: "main\n" })
    expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining("ERR_USAGE")])
    const missing = workspace.run(repository, workspace.program, ["verify", "--policy-ref=main", "-"], {
      input: "0".repeat(40),
    })
    expect([missing.status, missing.stdout]).toEqual([3, expect.stringContaining("[ERR_GIT]")])
  })

  test("a whole history has no before: it takes a policy that is named", () => {
    expect(verify("--all").ran).toMatchObject({ status: 2, stderr: expect.stringContaining("[ERR_POLICY_MISSING]") })
    expect(verify("--all", "--policy-ref=start").found).toHaveLength(6)
    expect(verify("--all", "--policy=main:.gitsign/policy.yaml").found).toHaveLength(6)
    expect(verify("--all", `--policy=${join(repository, ".gitsign/policy.yaml")}`).found).toHaveLength(6)
  })

  test("without a policy and without flags nobody is expected, and that is no success", () => {
    const empty = workspace.repository("without-policy")
    workspace.run(empty, "git", ["commit", "-q", "--allow-empty", "-m", "a"], {
      env: { SIGSTORE_ID_TOKEN: tokens[ALICE] ?? "" },
    })
    workspace.run(empty, "git", ["commit", "-q", "--allow-empty", "-m", "b"], {
      env: { SIGSTORE_ID_TOKEN: tokens[ALICE] ?? "" },
    })
    const range = workspace.gitsign(empty, "verify", "HEAD~1..HEAD")
    expect([range.status, range.stderr]).toEqual([2, expect.stringContaining("ERR_POLICY_MISSING")])
    const one = workspace.gitsign(empty, "verify", "HEAD")
    expect([one.status, one.stderr]).toEqual([2, expect.stringContaining("ERR_IDENTITY_REQUIRED")])
    const flags = [`--certificate-identity=${ALICE}`, `--certificate-oidc-issuer=${services.issuer}`]
    expect(workspace.gitsign(empty, "verify", ...flags, "HEAD~1..HEAD")).toMatchObject({ status: 0 })
    expect(
      workspace.gitsign(empty, "verify", "--certificate-identity=x", "--certificate-oidc-issuer=y", "HEAD~1..HEAD"),
    ).toMatchObject({ status: 1 })
  })

  test("--warn-only says what is wrong and exits with 0; what is no answer still is none", () => {
    const ran = workspace.gitsign(repository, "verify", "--warn-only", "start..main")
    expect(ran).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("[ERR_IDENTITY]"),
      stderr: expect.stringContaining("--warn-only"),
    })
    expect(workspace.gitsign(repository, "verify", "--warn-only", "nothing..main").status).toBe(3)
    expect(workspace.gitsign(repository, "verify", "--warn-only", "HEAD").status).toBe(0)
  })

  test("--explain tells of the certificate, the log, the steps and the nearest rule", () => {
    const ran = workspace.gitsign(repository, "verify", "--explain", "main~1")
    expect(ran.status).toBe(1)
    for (const word of [MALLORY, "SHA-256", "serial", "rekor", "refused    by rule all", "11  identity: failed"]) {
      expect(ran.stdout.toLowerCase()).toContain(word === "rekor" ? "log  " : word.toLowerCase())
    }
  })

  test("a tag stands for itself where a policy judges, for its commit where flags do", () => {
    workspace.run(repository, "git", ["tag", "-s", "-m", "signed", "v1", "good"], {
      env: { SIGSTORE_ID_TOKEN: tokens[ALICE] ?? "" },
    })
    workspace.git(repository, "-c", "tag.gpgSign=false", "tag", "-a", "-m", "unsigned", "v2", "good")
    expect(verify("v1").found).toEqual(["signed"])
    expect(verify("v2")).toMatchObject({ status: 1, found: ["unsigned ERR_NOT_SIGNED"] })
    expect(verify("--any-identity", "v2")).toMatchObject({ status: 0, found: ["two"] })
    expect(workspace.gitsign(repository, "verify-tag", "--policy=main:.gitsign/policy.yaml", "v1")).toMatchObject({
      status: 0,
    })
    expect(workspace.gitsign(repository, "verify-tag", "--policy=main:.gitsign/policy.yaml", "v2")).toMatchObject({
      status: 1,
    })
    workspace.git(repository, "tag", "-d", "v1", "v2")
  })
})

describe("which policy judges", () => {
  test("the one from before the change, not the one in it", () => {
    workspace.git(repository, "switch", "-q", "-c", "change", "good")
    writePolicy({ signers: `  all: [{ issuer: ${services.issuer}, subject: ${MALLORY} }]` })
    commit(ALICE, "let mallory in")
    commit(MALLORY, "thank you")
    expect(verify("good..change").found).toEqual(["thank you ERR_IDENTITY", "let mallory in"])
    // Once it is accepted it counts.
    expect(verify("change~1..change").found).toEqual(["thank you"])
    expect(verify("change").found).toEqual(["thank you"])
    workspace.git(repository, "switch", "-q", "main")
  })

  test("rules for branches need a branch", () => {
    const file = join(workspace.root, "branches.yaml")
    writeFileSync(
      file,
      `version: 1\nsigners:\n  a: [{ issuer: ${services.issuer}, subject: ${ALICE} }]\n  b: [{ issuer: ${services.issuer}, subject: ${BOB} }]\nrules:\n  - { name: main, branches: [main], signers: [a] }\n  - { name: rest, branches: [side], signers: [a, b] }\n`,
    )
    expect(verify(`--policy=${file}`, "good..side").found).toEqual(["aside"])
    expect(verify(`--policy=${file}`, "--ref=main", "good..side").found).toEqual(["aside ERR_IDENTITY"])
    expect(verify(`--policy=${file}`, "--ref=refs/heads/other", "good..side").found).toEqual(["aside ERR_NO_RULE"])
    workspace.git(repository, "switch", "-q", "--detach", "good")
    const detached = verify(`--policy=${file}`, "start..HEAD")
    workspace.git(repository, "switch", "-q", "main")
    expect([detached.status, detached.ran.stderr]).toEqual([2, expect.stringContaining("ERR_REF_REQUIRED")])
  })

  test("a policy of the verifier's own says who may change the one in the repository", () => {
    const root = join(workspace.root, "root.yaml")
    writeFileSync(
      root,
      `version: 1\nsigners:\n  bob: [{ issuer: ${services.issuer}, subject: ${BOB} }]\nrules:\n  - { name: root, branches: ['**'], signers: [bob] }\n`,
    )
    expect(verify(`--root-policy=${root}`, "good..change").found).toEqual([
      "thank you ERR_IDENTITY",
      "let mallory in ERR_POLICY_CHANGE",
    ])
    expect(verify(`--root-policy=${root}`, "start..good").found).toEqual(["two", "one"])
  })

  test("since, exemptions and what they leave out", () => {
    const three = workspace.git(repository, "rev-parse", "main~1")
    const four = workspace.git(repository, "rev-parse", "main")
    const policy = (more: string): string => {
      const file = join(workspace.root, "more.yaml")
      writeFileSync(
        file,
        `version: 1\nsigners:\n  a: [{ issuer: ${services.issuer}, subject: ${BOB} }]\nrules:\n  - { name: all, branches: ['**'], signers: [a] }\n${more}`,
      )
      return `--policy=${file}`
    }
    expect(verify(policy(""), "start..main").status).toBe(1)
    expect(verify(policy(`since: ${four}\n`), "start..main").found).toEqual(["four ERR_NOT_SIGNED"])
    expect(verify(policy(`since: ${four}\n`), "main~1")).toMatchObject({ status: 0, found: ["three"] })
    const exempt = policy(
      `since: ${three}\nexemptions:\n  - { commit: ${three}, reason: known, author: ${ALICE} }\n  - { commit: ${four}, reason: known, author: ${ALICE} }\n`,
    )
    expect(verify(exempt, "start..main")).toMatchObject({ status: 0, found: ["four", "three"] })
    const elsewhere = verify(policy(`since: ${"1".repeat(40)}\n`), "start..main")
    expect([elsewhere.status, elsewhere.ran.stderr]).toEqual([2, expect.stringContaining("ERR_POLICY")])
  })
})

describe("git's own output with gitsign.policy", () => {
  test("G for who may, U for a stranger, B for bad, N for none, E where nothing could be checked", () => {
    workspace.git(repository, "config", "gitsign.policy", "start:.gitsign/policy.yaml")
    const letter = (revision: string): string => statusOf(workspace, repository, revision).letter
    expect(["good", "good~1", "main~1", "main"].map(letter)).toEqual(["G", "G", "U", "N"])
    expect(statusOf(workspace, repository, "good").trust).toBe("fully")
    expect(statusOf(workspace, repository, "main~1").trust).toBe("undefined")
    const bad = workspace.run(repository, "git", ["cat-file", "commit", "good"]).stdout.replace("\n\ntwo", "\n\n2")
    const made = workspace.run(repository, "git", ["hash-object", "-w", "-t", "commit", "--stdin"], { input: bad })
    expect(letter(made.stdout.trim())).toBe("B")
    expect(workspace.tryGit(repository, "verify-commit", "good").status).toBe(0)
    const stranger = workspace.tryGit(repository, "verify-commit", "main~1")
    expect(stranger.status).toBe(1)
    expect(stranger.stderr).toContain("[ERR_IDENTITY]")
    workspace.git(repository, "config", "gitsign.policy", "start:missing.yaml")
    expect(letter("good")).toBe("E")
    workspace.git(repository, "config", "--unset", "gitsign.policy")
    expect(letter("main~1")).toBe("G")
  })

  test("a path is taken from the top of the work tree, wherever git is run", () => {
    workspace.git(repository, "config", "gitsign.policy", ".gitsign/policy.yaml")
    mkdirSync(join(repository, "deep/er"), { recursive: true })
    expect(workspace.git(join(repository, "deep/er"), "log", "-1", "--format=%G?", "good")).toBe("G")
    expect(workspace.gitsign(join(repository, "deep/er"), "verify", "--format=json", "main~1").status).toBe(1)
    workspace.git(repository, "config", "--unset", "gitsign.policy")
  })
})

describe("repositories of other kinds", () => {
  test("a shallow clone: a range that leads out of it is not verified, and says how to get the rest", () => {
    const shallow = join(workspace.root, "shallow")
    workspace.git(workspace.root, "clone", "-q", "--depth=1", "--branch=good", `file://${repository}`, shallow)
    const range = workspace.gitsign(shallow, "verify", "origin/start..HEAD")
    expect([range.status, range.stderr]).toEqual([3, expect.stringContaining("git fetch --unshallow")])
    const all = workspace.gitsign(shallow, "verify", "--all", "--policy-ref=HEAD")
    expect(all).toMatchObject({ status: 0, stdout: expect.stringContaining("shallow clone") })
  })

  test("SHA-256", () => {
    const other = workspace.repository("sha256", "--object-format=sha256")
    const env = { SIGSTORE_ID_TOKEN: tokens[ALICE] ?? "" }
    workspace.run(other, "git", ["commit", "-q", "--allow-empty", "-m", "a"], { env })
    workspace.run(other, "git", ["commit", "-q", "--allow-empty", "-m", "b"], { env })
    const flags = [`--certificate-identity=${ALICE}`, `--certificate-oidc-issuer=${services.issuer}`]
    expect(workspace.gitsign(other, "verify", ...flags, "HEAD~1..HEAD")).toMatchObject({ status: 0 })
    expect(workspace.gitsign(other, "verify", ...flags, "--all")).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^ 2 ok/),
    })
  })

  test("bare", () => {
    const bare = join(workspace.root, "bare.git")
    workspace.git(workspace.root, "clone", "-q", "--bare", repository, bare)
    expect(workspace.gitsign(bare, "verify", "start..good")).toMatchObject({ status: 0 })
    expect(workspace.gitsign(bare, "verify", "start..main")).toMatchObject({ status: 1 })
  })
})
