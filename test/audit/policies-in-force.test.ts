/**
 * Which policy judges which ref, in real repositories whose default branch has had several.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { policiesInForce, policyRefusals } from "../../src/audit/policies-in-force.ts"
import { isGitsignError } from "../../src/errors.ts"

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
}

const policy = (subject: string): string => `version: 1
signers:
  team: [{ issuer: https://issuer.example, subject: ${subject}@example.com }]
rules:
  - { name: all, branches: ['**'], signers: [team] }
`

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "gitsign-in-force-"))
  git("init", "-q", "-b", "main")
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

function git(...args: string[]): string {
  const ran = spawnSync("git", args, { cwd, env: ENV, encoding: "utf8" })
  if (ran.status !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`)
  return ran.stdout.trim()
}

/** Commits on the current branch; undefined takes the policy away. */
function commit(text: string | undefined, file = ".gitsign/policy.yaml"): string {
  mkdirSync(join(cwd, file, ".."), { recursive: true })
  if (text === undefined) rmSync(join(cwd, file), { force: true })
  else writeFileSync(join(cwd, file), text)
  git("add", "-A")
  git("commit", "-q", "--allow-empty", "-m", "a commit")
  return git("rev-parse", "HEAD")
}

/** Who is named by the policy for each of the branches that there are, and for a new one. */
async function subjects(): Promise<Record<string, string>> {
  const lines = git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/").split("\n")
  const branches = lines.map((line) => ({ id: line.split(" ")[0] ?? "", ref: line.split(" ")[1] ?? "" }))
  const main = branches.find(({ ref }) => ref === "refs/heads/main")
  const of = await policiesInForce({ cwd, env: ENV }, main && { id: main.id, name: "main" }, branches)
  const named = [...branches.map(({ ref }) => ref), "refs/heads/new", "refs/tags/v1"].map((ref) => {
    const found = of(ref)
    if (found === undefined) return [ref, "none"] as const
    if (isGitsignError(found)) return [ref, found.code] as const
    const [entry] = found.compiled.policy.signers.get("team") ?? []
    const subject = entry?.scheme === "keyless" ? entry.subject : undefined
    return [ref, subject !== undefined && "exact" in subject ? subject.exact.replace(/@.*/, "") : "?"] as const
  })
  return Object.fromEntries(named.map(([ref, who]) => [ref.replace("refs/heads/", ""), who]))
}

describe("a branch goes by", () => {
  test("the policy of the default branch, while it has none or a former one of it", async () => {
    git("branch", "bare", commit(undefined, "README"))
    git("branch", "first", commit(policy("alice")))
    git("branch", "second", commit(policy("bob")))
    git("branch", "third", commit("more", ".gitsign/note"))
    commit(policy("carol"))
    expect(await subjects()).toEqual({
      main: "carol",
      bare: "carol",
      first: "carol",
      second: "carol",
      third: "carol",
      new: "carol",
      "refs/tags/v1": "carol",
    })
  })

  test("its own, once it has one that the default branch never had", async () => {
    commit(policy("alice"))
    git("switch", "-q", "-c", "release")
    commit(policy("bob"))
    git("switch", "-q", "main")
    expect(await subjects()).toEqual({ main: "alice", release: "bob", new: "alice", "refs/tags/v1": "alice" })
    // What was on a branch that was merged was in the default branch's history, though its own side won.
    git("merge", "-q", "-s", "ours", "-m", "merge", "release")
    expect((await subjects()).release).toBe("alice")
  })

  test("its own, though the folder of the default branch has changed beside its policy", async () => {
    commit(policy("alice"))
    git("branch", "release")
    commit("more", ".gitsign/note")
    expect((await subjects()).release).toBe("alice")
    git("switch", "-q", "release")
    commit(policy("bob"))
    expect((await subjects()).release).toBe("bob")
  })

  test("what counts first of the two places", async () => {
    const chainguard =
      "spec:\n  authorities:\n    - keyless:\n        url: https://f.example\n        identities: [{ issuer: https://i.example, subject: a@example.com }]\n"
    commit(chainguard, ".chainguard/source.yaml")
    git("branch", "old")
    commit(policy("bob"))
    expect(await subjects()).toMatchObject({ main: "bob", old: "bob" })
    // Nor does one of that kind that the default branch never had.
    git("switch", "-q", "--orphan", "anew")
    commit(chainguard.replace("a@example.com", "z@example.com"), ".chainguard/source.yaml")
    expect(await subjects()).toMatchObject({ main: "bob", anew: "bob" })
  })

  test("none where there is none, and the reason where it is broken", async () => {
    commit(undefined, "README")
    git("switch", "-q", "-c", "own")
    commit(policy("bob"))
    git("switch", "-q", "-c", "broken")
    commit("nonsense")
    expect(await subjects()).toEqual({
      main: "none",
      own: "bob",
      broken: "ERR_POLICY",
      new: "none",
      "refs/tags/v1": "none",
    })
    git("branch", "-q", "-D", "main")
    expect(await subjects()).toEqual({ own: "bob", broken: "ERR_POLICY", new: "none", "refs/tags/v1": "none" })
  })
})

describe("a push is refused that leaves", () => {
  const refusals = async (ref: string, before: string | undefined, after: string): Promise<string[]> => {
    const head = { id: git("rev-parse", "main"), ref: "refs/heads/main" }
    const found = await policyRefusals({ cwd, env: ENV }, head, [{ ref, before, after }])
    return found.map(({ problem }) => problem.code)
  }

  test("a policy that cannot be used", async () => {
    const before = commit(policy("alice"))
    const broken = commit("nonsense")
    git("reset", "-q", "--hard", before)
    rmSync(join(cwd, ".gitsign"), { recursive: true })
    symlinkSync("elsewhere", join(cwd, ".gitsign"))
    git("add", "-A")
    git("commit", "-q", "-m", "a link")
    const link = git("rev-parse", "HEAD")
    git("reset", "-q", "--hard", before)
    expect(await refusals("refs/heads/main", before, broken)).toEqual(["ERR_POLICY"])
    expect(await refusals("refs/heads/new", undefined, broken)).toEqual(["ERR_POLICY"])
    expect(await refusals("refs/heads/main", before, link)).toEqual(["ERR_POLICY_MISSING"])
    expect(await refusals("refs/notes/x", undefined, broken)).toEqual([])
  })

  test("one that git finds only by a name with a slash in it", async () => {
    const before = commit(policy("alice"))
    const entry = Buffer.concat([
      Buffer.from("100644 .gitsign/policy.yaml\0"),
      Buffer.from(git("rev-parse", "HEAD:.gitsign/policy.yaml"), "hex"),
    ])
    const args = ["hash-object", "-t", "tree", "--literally", "-w", "--stdin"]
    const tree = spawnSync("git", args, { cwd, env: ENV, input: entry }).stdout.toString().trim()
    const after = git("commit-tree", "-m", "x", "-p", before, tree)
    expect(git("cat-file", "-t", `${after}:.gitsign/policy.yaml`)).toBe("blob")
    const [code] = await refusals("refs/heads/main", before, after)
    // Which of the two says so depends on who reads the tree first.
    expect(["ERR_POLICY_MISSING", "ERR_DAMAGED"]).toContain(code)
  })

  test("none on the default branch", async () => {
    const before = commit(policy("alice"))
    const none = commit(undefined)
    git("reset", "-q", "--hard", before)
    expect(await refusals("refs/heads/main", before, none)).toEqual(["ERR_POLICY_MISSING"])
    expect(await refusals("refs/heads/other", before, none)).toEqual([])
  })

  test("the default branch with a former policy for which nobody signed", async () => {
    const first = commit(policy("alice"))
    const second = commit(policy("bob"))
    const back = commit(policy("alice"))
    git("reset", "-q", "--hard", second)
    expect(await refusals("refs/heads/main", second, first)).toEqual(["ERR_POLICY_CHANGE"])
    // There the default branch's present one counts.
    expect(await refusals("refs/heads/other", second, first)).toEqual([])
    // A commit that says so is signed by somebody, and judged.
    expect(await refusals("refs/heads/main", second, back)).toEqual([])
    git("reset", "-q", "--hard", first)
    const aside = commit("x", "README")
    git("reset", "-q", "--hard", second)
    expect(await refusals("refs/heads/main", second, aside)).toEqual(["ERR_POLICY_CHANGE"])
  })

  test("a branch with a former policy of its own", async () => {
    const main = commit(policy("alice"))
    git("switch", "-q", "-c", "release")
    const first = commit(policy("bob"))
    const second = commit(policy("carol"))
    expect(await refusals("refs/heads/release", second, first)).toEqual(["ERR_POLICY_CHANGE"])
    expect(await refusals("refs/heads/release", second, main)).toEqual([])
    expect(await refusals("refs/heads/new", undefined, first)).toEqual([])
  })

  test("a policy whose beginning is not there", async () => {
    const before = commit(policy("alice"))
    const gone = commit(`since: ${"a".repeat(40)}\n${policy("alice")}`)
    const tree = git("rev-parse", "HEAD^{tree}")
    const odd = commit(`since: ${tree}\n${policy("alice")}`)
    const good = commit(`since: ${before}\n${policy("alice")}`)
    git("reset", "-q", "--hard", before)
    expect(await refusals("refs/heads/main", before, gone)).toEqual(["ERR_POLICY"])
    expect(await refusals("refs/heads/main", before, odd)).toEqual(["ERR_POLICY"])
    expect(await refusals("refs/heads/main", before, good)).toEqual([])
  })
})
