/**
 * A policy proposed from real signatures, and what it then does to the history that it was proposed from.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { policyOutputViolations } from "../support/policy-output.ts"
import { EMAIL, type Ran, type Services, startServices, Workspace } from "./harness.ts"

let services: Services
let workspace: Workspace
let bob: string
let eve: string

beforeAll(async () => {
  services = await startServices()
  workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: await services.token() })
  bob = await services.token("bob@example.com")
  eve = await services.token("eve@example.com")
}, 60_000)

afterAll(async () => {
  workspace?.close()
  await services?.close()
})

let count = 0
/** Commits a change, with these arguments; gives the commit's id. */
function commit(repository: string, args: readonly string[], token?: string): string {
  writeFileSync(join(repository, "file"), `${count++}`)
  workspace.git(repository, "add", ".")
  const env = token === undefined ? {} : { SIGSTORE_ID_TOKEN: token }
  const ran = workspace.run(repository, "git", ["commit", "--quiet", ...args], { env })
  expect(ran.stderr + ran.status).toMatch(/0$/)
  return workspace.git(repository, "rev-parse", "HEAD")
}

const UNSIGNED = ["--no-gpg-sign"]

/** Puts another commit in the place of HEAD: the same, with one word of its message changed behind the signature. */
function tamper(repository: string): string {
  const raw = workspace.git(repository, "cat-file", "commit", "HEAD").replace("harmless", "harmful!")
  const made = workspace.run(repository, "git", ["hash-object", "-w", "-t", "commit", "--stdin"], { input: `${raw}\n` })
  workspace.git(repository, "reset", "--quiet", "--hard", made.stdout.trim())
  return made.stdout.trim()
}

const init = (repository: string, ...args: string[]): Ran => workspace.gitsign(repository, "policy", "init", ...args)

test("proposes those whose signatures hold, from where signing began, and tells what would be refused", () => {
  const repository = workspace.repository("history")
  commit(repository, ["-m", "old", ...UNSIGNED])
  const first = commit(repository, ["-m", "signing begins"])
  commit(repository, ["-m", "by bob"], bob)
  const slip = commit(repository, ["-m", "quick fix", ...UNSIGNED])
  commit(repository, ["-m", "harmless"], eve)
  const forged = tamper(repository)
  const last = commit(repository, ["-m", "all is well"])
  workspace.git(repository, "tag", "-s", "-m", "one", "v1.0")
  workspace.git(repository, "tag", "--no-sign", "light")

  const { status, stdout, stderr } = init(repository)
  expect([status, stderr]).toEqual([0, expect.stringContaining("6 commits and 1 tag: 2 signers; ")])
  expect(stdout).toMatch(new RegExp(`^since: ${first}$`, "m"))
  expect(stdout).toMatch(/ 2 cannot be verified and would be refused\. From [0-9a-f]{40} on all are verified\.$/m)
  expect(stdout).toMatch(/# 2 commits since \d{4}-\d\d-\d\d\n {4}- issuer: .*\n {6}subject: dev@example\.com$/m)
  expect(stdout).toMatch(/# 1 commit since .*\n.*\n {6}subject: bob@example\.com$/m)
  expect(stdout).toMatch(/# 1 tag since .*\n.*\n {6}subject: dev@example\.com$/m)
  expect(stdout).not.toContain("eve@")
  expect(stderr).toContain("2 not signed, 1 ERR_CONTENT")
  expect(stderr).toContain("1 tag cannot be signed: only names (git tag -s)")
  expect(stderr).toContain("under this policy 2 of the 6 that it judges would be refused:")
  expect(stderr).toMatch(new RegExp(`^gitsign: {3}${slip.slice(0, 12)} {2}quick fix .*\\[ERR_NOT_SIGNED\\]$`, "m"))
  expect(stderr).toMatch(new RegExp(`^gitsign: {3}${forged.slice(0, 12)} {2}harmful! .*\\[ERR_CONTENT\\]$`, "m"))

  const json = init(repository, "--format", "json")
  const document = JSON.parse(json.stdout)
  expect(policyOutputViolations(document)).toEqual([])
  expect(document).toMatchObject({
    branch: "main",
    commits: 6,
    tags: 1,
    lightweightTags: ["refs/tags/light"],
    since: { commit: first, judged: 5, unverified: 2 },
    cleanSince: { commit: last, judged: 1, unverified: 0 },
    policy: stdout,
    warnings: [],
    written: null,
    judged: 6,
  })
  expect(document.refused.map(({ id }: { id: string }) => id)).toEqual([forged, slip])
  expect(document.signers).toMatchObject([
    { type: "commit", identities: [EMAIL], issuer: services.issuer, count: 2 },
    {},
    {},
  ])

  const written = init(repository, "--write")
  expect(written.status).toBe(0)
  expect(written.stdout).toBe(`wrote ${join(repository, ".gitsign/policy.yaml")}\n`)
  expect(readFileSync(join(repository, ".gitsign/policy.yaml"), "utf8")).toBe(stdout)
  expect(workspace.gitsign(repository, "policy", "check", "--strict").status).toBe(0)
  expect(workspace.gitsign(repository, "policy", "explain", EMAIL, "--ref", "main").status).toBe(0)
  expect(workspace.gitsign(repository, "policy", "explain", "eve@example.com", "--ref", "main").status).toBe(1)
  expect(init(repository, "--write").status).toBe(2)
  expect(init(repository, "--write", "--force").status).toBe(0)
  expect(workspace.git(repository, "status", "--porcelain")).toBe("?? .gitsign/")
}, 120_000)

test("looks at other branches only when it is told to, and needs no since where everything is signed", () => {
  const repository = workspace.repository("branches")
  commit(repository, ["-m", "first"])
  workspace.git(repository, "switch", "--quiet", "-c", "side")
  commit(repository, ["-m", "by bob"], bob)
  workspace.git(repository, "switch", "--quiet", "main")
  const head = init(repository)
  expect(head.stdout).not.toContain("bob")
  expect(head.stdout).not.toMatch(/^since:/m)
  expect(head.stdout).toContain("# Nobody has signed a tag yet.")
  expect(head.stderr).toContain("under this policy the one that it judges for main and the tags is accepted")
  expect(init(repository, "--all").stdout).toContain("bob@example.com")
  const bare = join(workspace.root, "bare.git")
  workspace.git(repository, "clone", "--quiet", "--bare", repository, bare)
  expect(init(bare).stdout).toBe(head.stdout)
}, 60_000)
