/**
 * `gitsign verify` asked about many things at once, on real repositories: what the arguments mean, which policy judges, what git itself is told.
 *
 * @module
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
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
    [["main", "^good", "^start"], 1, REFUSED],
    [["main", "--not", "good", "start"], 1, REFUSED],
    [["--all", "--not", "good", "start"], 1, [...REFUSED, "aside"]],
    [["good^!"], 0, ["two"]],
    [["good^@"], 0, ["one"]],
    [["main", "^main~1^@"], 1, REFUSED],
    [[":/two"], 0, ["two"]],
    [[":/two..side"], 0, ["aside"]],
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

  /** What `verify -` says when it is given these ids. */
  const verifyIds = (input: string, ...args: string[]): Ran =>
    workspace.run(repository, workspace.program, ["verify", ...args, "-"], { input })

  test("of ids on stdin a first commit, what nobody signs and what is not here say so, and the rest is verified", () => {
    const [tree, missing] = [workspace.git(repository, "rev-parse", "good^{tree}"), "1".repeat(40)]
    const input = `${workspace.git(repository, "rev-list", "good")}\n${tree}\n${missing}\n`
    const ran = verifyIds(input, "--format=json")
    expect(ran.status).toBe(1)
    const codes = JSON.parse(ran.stdout).objects.map(({ error }: Verified) => error?.code)
    expect(codes).toEqual([undefined, undefined, "ERR_POLICY_MISSING", "ERR_NOT_SIGNED", "ERR_GIT"])
    const { stdout } = verifyIds(input)
    expect(stdout).toContain("is a first commit, which has no before")
    expect(stdout).toContain("--policy-ref HEAD")
    expect(stdout).toContain(`there is no object ${missing} in this repository`)
    expect(stdout).not.toContain(`${missing}^`)
    // Where all lack a policy, it is the question that is wrong.
    const first = verifyIds(workspace.git(repository, "rev-parse", "start"))
    expect([first.status, first.stderr]).toEqual([2, expect.stringContaining("ERR_POLICY_MISSING")])
    const absent = verifyIds(missing)
    expect([absent.status, absent.stderr]).toEqual([3, expect.stringContaining(`no object ${missing} in`)])
  })

  test("several commits that are named: a first one does not keep the others from being verified", () => {
    expect(verify("good", "start")).toMatchObject({ status: 1, found: ["two", "zero ERR_POLICY_MISSING"] })
  })

  test("without ids on stdin nothing was verified, and abbreviated ones are none", () => {
    const empty = verifyIds("")
    expect([empty.status, empty.stderr]).toEqual([2, expect.stringContaining("ERR_USAGE")])
    expect(empty.stderr).toContain("gitsign: hint: see whether the command before the pipe failed")
    for (const id of [workspace.git(repository, "rev-parse", "good").slice(0, 20), "1".repeat(64)]) {
      const ran = verifyIds(id)
      expect([ran.status, ran.stderr]).toEqual([2, expect.stringContaining("whole object ids of 40 digits")])
    }
  })

  test.each<[string[], number, RegExp]>([
    [["nothing"], 2, /there is no revision nothing in this repository \[ERR_USAGE\]/],
    [["nothing..main"], 2, /there is no revision nothing in this repository \[ERR_USAGE\]/],
    [["main", "^nothing"], 2, /there is no revision nothing in this repository \[ERR_USAGE\]/],
    [["good~50"], 2, /there is no revision good~50 in this repository \[ERR_USAGE\]/],
    [["start^@"], 2, /start\^@ names nothing: this commit has no parents \[ERR_USAGE\]/],
    [["main", "^start^@"], 2, /start\^@ names nothing: this commit has no parents \[ERR_USAGE\]/],
    [["good^{tree}..main"], 2, /good\^\{tree\} stands for a tree, not for a commit \[ERR_USAGE\]/],
    [["1".repeat(40)], 3, /there is no object 1{40} in this repository \[ERR_GIT\]/],
    [["--not", "good", "main"], 2, /--not takes all names behind it, and nothing says what is to be verified/],
    [["--explain", "start..good"], 2, /--explain takes one object, and no range or list/],
    [["--explain", "good^@"], 2, /--explain takes one object, and no range or list/],
    [["--explain", "-"], 2, /--explain takes one object, and no range or list/],
    [["--explain", "good", "--not", "start"], 2, /--explain takes one object, and no range or list/],
  ])("%j is refused", (args, status, message) => {
    const ran = workspace.gitsign(repository, "verify", ...args)
    expect([ran.status, ran.stdout, ran.stderr]).toEqual([status, "", expect.stringMatching(message)])
    expect(ran.stderr).not.toContain("{commit}")
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
    expect(workspace.gitsign(repository, "verify", "--warn-only", "nothing..main").status).toBe(2)
    const document = workspace.gitsign(repository, "verify", "--warn-only", "--format=json", "start..main")
    expect([document.status, JSON.parse(document.stdout).exitStatus]).toEqual([0, 1])
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
    // The id of a tag stands for the tag, too, and its rules are none of a branch.
    const file = join(workspace.root, "tags.yaml")
    writeFileSync(
      file,
      `version: 1\nsigners:\n  a: [{ issuer: ${services.issuer}, subject: ${ALICE} }]\nrules:\n  - { name: main, branches: [main], signers: [a] }\n  - { name: tags, tags: ['v*'], signers: [a] }\n`,
    )
    workspace.git(repository, "switch", "-q", "--detach", "good")
    const id = workspace.git(repository, "rev-parse", "v1")
    const named = verify(`--policy=${file}`, id)
    const input = workspace.run(repository, workspace.program, ["verify", `--policy=${file}`, "-"], { input: id })
    workspace.git(repository, "switch", "-q", "main")
    expect([named.status, named.found, input.status]).toEqual([0, ["signed"], 0])
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
    // Of several that are left out, the policy of each.
    expect(verify("change", "^change~1", "^good").found).toEqual(["thank you ERR_IDENTITY"])
    workspace.git(repository, "switch", "-q", "main")
  })

  test.each(["", "bad ref..x", "-", "refs/heads/", "a.lock"])("--ref %j is no name of a branch", (ref) => {
    const options = ref === "-" ? ["--ref=refs/heads/a..b"] : [`--ref=${ref}`]
    for (const flags of [[], ["--policy-ref", "HEAD"], ["--any-identity"]]) {
      const { status, stderr } = workspace.gitsign(repository, "verify", ...flags, ...options, "start..good")
      expect([status, stderr]).toEqual([2, expect.stringContaining("is no name of a branch [ERR_USAGE]")])
    }
  })

  test("--ref may name what only the remote has", () => {
    expect(verify("--ref", "nosuch", "start..good").status).toBe(0)
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
    // Flags say whom to expect, and it is asked all the same: of the changes of the policy, and of nothing else.
    const flags = [`--root-policy=${root}`, "--any-identity"]
    expect(verify(...flags, "good..change").found).toEqual(["thank you", "let mallory in ERR_POLICY_CHANGE"])
    expect(verify(...flags, "start..good")).toMatchObject({ status: 0, found: ["two", "one"] })
    const text = (...args: string[]): Ran =>
      workspace.run(repository, workspace.program, ["verify", "--any-identity", ...args], {
        env: { GITSIGN_ROOT_POLICY: root },
      })
    expect(text("good")).toMatchObject({ status: 0 })
    const refused = text("change~1")
    expect([refused.status, refused.stdout]).toEqual([1, expect.stringContaining("[ERR_POLICY_CHANGE]")])
    // Where a shallow clone ends, a commit seems to change all that it has.
    const shallow = join(workspace.root, "shallow-root")
    workspace.git(workspace.root, "clone", "-q", "--depth=1", "--branch=change", `file://${repository}`, shallow)
    const ended = workspace.run(shallow, workspace.program, ["verify", ...flags, "HEAD"], {})
    expect([ended.status, ended.stdout]).toEqual([3, expect.stringContaining("[ERR_SHALLOW]")])
    writeFileSync(root, readFileSync(root, "utf8").replace("'**'", "main"))
    workspace.git(repository, "switch", "-q", "--detach", "change")
    const unknown = verify(...flags, "good..HEAD")
    expect([unknown.status, unknown.found]).toEqual([3, ["thank you", "let mallory in ERR_REF_REQUIRED"]])
    expect(verify(...flags, "start..good~0")).toMatchObject({ status: 0 })
    workspace.git(repository, "switch", "-q", "-")
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

test("a policy that begins in the future says so, in every format", () => {
  const file = join(workspace.root, "later.yaml")
  const policy = readFileSync(join(repository, ".gitsign/policy.yaml"), "utf8")
  writeFileSync(file, `${policy.replace(/^since:.*$/m, "")}\nsince: 2099-01-01\n`)
  const args = ["verify", "--policy", file, "start..main"]
  const note = `since: 2099-01-01 in ${file} is in the future: until then nothing is judged but what is being pushed`
  expect(workspace.gitsign(repository, ...args)).toMatchObject({ status: 0, stdout: expect.stringContaining(note) })
  expect(JSON.parse(workspace.gitsign(repository, ...args, "--format=json").stdout).notes).toEqual([note])
  writeFileSync(file, `${policy.replace(/^since:.*$/m, "")}\nsince: 2001-01-01\n`)
  expect(JSON.parse(workspace.gitsign(repository, ...args, "--format=json").stdout).notes).toEqual([])
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
    workspace.git(workspace.root, "clone", "-q", "--depth=1", "--branch=change", `file://${repository}`, shallow)
    const range = workspace.gitsign(shallow, "verify", "origin/start..HEAD")
    expect([range.status, range.stderr]).toEqual([3, expect.stringContaining("git fetch --unshallow")])
    expect(range.stderr).not.toContain("{commit}")
    const all = workspace.gitsign(shallow, "verify", "--all", "--policy-ref=HEAD")
    expect(all).toMatchObject({ status: 0, stdout: expect.stringContaining("shallow clone") })
  })

  test("a clone of one branch: the printed command fetches the other", () => {
    const origin = `file://${repository}`
    for (const [name, ...options] of [["single", "--single-branch"], ["cut", "--depth=2"], ["fully"]]) {
      const clone = join(workspace.root, `clone-${name}`)
      workspace.git(workspace.root, "clone", "-q", ...options, "--branch", "side", origin, clone)
      if (name === "fully") workspace.git(clone, "update-ref", "-d", "refs/remotes/origin/good")
      const { status, stderr } = workspace.gitsign(clone, "verify", "origin/good..HEAD")
      const [, command = ""] = /^gitsign: hint: fetch it with: (.*)$/m.exec(stderr) ?? []
      const unshallow = name === "cut" ? "--unshallow " : ""
      expect([status, command]).toEqual([
        name === "cut" ? 3 : 2,
        `git fetch ${unshallow}origin good:refs/remotes/origin/good`,
      ])
      workspace.git(clone, ...command.split(" ").slice(1))
      expect(workspace.gitsign(clone, "verify", "origin/good..HEAD")).toMatchObject({ status: 0 })
    }
    const other = workspace.gitsign(repository, "verify", "origin/$(id)..HEAD").stderr
    expect(other).toContain("see what is there with")
  })

  test("a shallow clone: what stands at its end has a policy before it that is not here", () => {
    const shallow = join(workspace.root, "shallow-end")
    workspace.git(workspace.root, "clone", "-q", "--depth=1", "--branch=change", `file://${repository}`, shallow)
    const one = workspace.gitsign(shallow, "verify")
    expect([one.status, one.stderr]).toEqual([3, expect.stringContaining("this shallow clone ends at")])
    expect(one.stderr).toContain("git fetch --deepen 1")
    expect(workspace.gitsign(shallow, "verify", "--policy-ref=HEAD").status).toBe(0)
    workspace.git(shallow, "fetch", "-q", "--deepen", "1")
    expect(workspace.gitsign(shallow, "verify")).toMatchObject({ status: 0, stderr: "" })
    const ids = workspace.git(shallow, "rev-list", "HEAD")
    const list = workspace.run(shallow, workspace.program, ["verify", "--format=json", "-"], { input: ids })
    const codes = JSON.parse(list.stdout).objects.map(({ error }: Verified) => error?.code)
    expect([list.status, codes]).toEqual([3, [undefined, "ERR_SHALLOW"]])
    // Where nobody has a policy, it is asked whom to expect, as everywhere.
    const bare = join(workspace.root, "shallow-without-policy")
    workspace.git(workspace.root, "clone", "-q", "--depth=1", `file://${workspace.root}/without-policy`, bare)
    const unasked = workspace.gitsign(bare, "verify")
    expect([unasked.status, unasked.stderr]).toEqual([2, expect.stringContaining("ERR_IDENTITY_REQUIRED")])
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
    const id = workspace.git(other, "rev-parse", "HEAD")
    const ids = (input: string): Ran => workspace.run(other, workspace.program, ["verify", ...flags, "-"], { input })
    expect(ids(id)).toMatchObject({ status: 0 })
    expect(ids(id.slice(0, 40))).toMatchObject({ status: 2, stderr: expect.stringContaining("ids of 64 digits") })
  })

  test("bare", () => {
    const bare = join(workspace.root, "bare.git")
    workspace.git(workspace.root, "clone", "-q", "--bare", repository, bare)
    expect(workspace.gitsign(bare, "verify", "start..good")).toMatchObject({ status: 0 })
    expect(workspace.gitsign(bare, "verify", "start..main")).toMatchObject({ status: 1 })
  })
})
