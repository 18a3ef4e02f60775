/**
 * All real objects of fixtures/ in one repository: `gitsign verify --all` gives each the verdict that its case names, in every format, and
 * the formats hold to their public schemas.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { ERROR_CODES, type ErrorCode } from "../../src/errors.ts"
import { type Case, casesOf } from "../support/fixtures.ts"
import { junitViolations, sarifViolations, verifyViolations } from "../support/public-schemas.ts"
import { type Ran, Workspace } from "./harness.ts"

/** Each once, as it is: a few are there again with something that the verifier is told beside them. */
const CASES = ["commits", "tags"]
  .flatMap(casesOf)
  .filter(({ name, fields }) => name.startsWith("real-") && !fields.has("ignore-sct") && !fields.has("log-entry"))

/** No log answers there, so that what needs one cannot be checked. */
const NO_LOG = "http://127.0.0.1:9"

let workspace: Workspace
let repository: string

beforeAll(() => {
  workspace = new Workspace({ GITSIGN_REKOR_URL: NO_LOG })
  repository = workspace.repository("real", "--bare")
  const commits: string[] = []
  for (const one of CASES) {
    const type = one.kind === "tags" ? "tag" : "commit"
    const raw = one.read("object")
    const made = spawnSync("git", ["hash-object", "-w", "--literally", "-t", type, "--stdin"], {
      cwd: repository,
      env: workspace.env,
      input: raw,
      encoding: "utf8",
    })
    expect(made.stdout.trim()).toBe(one.fields.get("object-id"))
    if (type === "commit") commits.push(made.stdout.trim())
    const [, tag = one.name] = /^tag (.*)$/m.exec(raw.toString("latin1")) ?? []
    writeFileSync(refFile(type === "tag" ? "tags" : "heads", type === "tag" ? tag : one.name), made.stdout)
  }
  // Their parents are not here.
  writeFileSync(join(repository, "shallow"), commits.map((id) => `${id}\n`).join(""))
})

afterAll(() => workspace?.close())

const refFile = (kind: string, name: string): string => join(repository, "refs", kind, name)

const verifyAll = (...args: string[]): Ran =>
  workspace.gitsign(repository, "verify", "--all", "--any-identity", ...args)

/** What a case comes to where no log answers. */
function expectedOf(one: Case): { verdict: string; code: string | null } {
  if (one.expect === "verified") return { verdict: "verified", code: null }
  const code = one.expect as ErrorCode
  return ERROR_CODES[code].exit === 1 ? { verdict: "failed", code } : { verdict: "unavailable", code: "ERR_REKOR" }
}

const idOf = (one: Case): string => one.fields.get("object-id") ?? ""

describe("verify --all over all real objects", () => {
  test("there are all of them", () => {
    expect(CASES.length).toBeGreaterThanOrEqual(45)
  })

  test("json", () => {
    const ran = verifyAll("--format=json")
    expect(ran.status).toBe(1)
    const document = JSON.parse(ran.stdout)
    const found = Object.fromEntries(
      document.objects.map((one: { object: { id: string }; verdict: string; error: { code: string } | null }) => [
        one.object.id,
        { verdict: one.verdict, code: one.error?.code ?? null },
      ]),
    )
    expect(found).toEqual(Object.fromEntries(CASES.map((one) => [idOf(one), expectedOf(one)])))
    expect(verifyViolations(document)).toEqual([])
  })

  test("text: each bad one with its code, and the others counted", () => {
    const ran = verifyAll()
    expect(ran.status).toBe(1)
    for (const one of CASES) {
      const { verdict, code } = expectedOf(one)
      const line = ran.stdout.split("\n").find((text) => text.includes(idOf(one).slice(0, 7)))
      if (verdict === "verified") expect(line).toBeUndefined()
      else expect(line).toContain(`[${code}]`)
    }
    const count = (word: string): number =>
      [...ran.stdout.matchAll(new RegExp(`^ *(\\d+) ${word}\\b`, "gm"))].reduce((sum, [, n]) => sum + Number(n), 0)
    const of = (verdict: string): number => CASES.filter((one) => expectedOf(one).verdict === verdict).length
    expect([count("ok"), count("bad"), count("unchecked")]).toEqual([of("verified"), of("failed"), of("unavailable")])
  })

  test("ndjson: a line for each, in the same order as json, and one that sums up", () => {
    const lines = verifyAll("--format=ndjson")
      .stdout.trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
    const ids = JSON.parse(verifyAll("--format=json").stdout).objects.map(
      (one: { object: { id: string } }) => one.object.id,
    )
    expect(lines.slice(0, -1).map((one) => one.object.id)).toEqual(ids)
    expect(lines).toHaveLength(CASES.length + 1)
  })

  test("sarif and junit name exactly those that are not verified, and hold to their schemas", async () => {
    const sarif = JSON.parse(verifyAll("--format=sarif").stdout)
    const codes = sarif.runs[0].results.map((one: { ruleId: string }) => one.ruleId).sort()
    const expected = CASES.map(expectedOf).flatMap(({ code }) => code ?? [])
    expect(codes).toEqual(expected.sort())
    expect(sarifViolations(sarif)).toEqual([])
    const junit = verifyAll("--format=junit").stdout
    expect(await junitViolations(junit)).toEqual([])
    expect(junit.match(/<testcase /g)).toHaveLength(CASES.length)
    expect(junit.match(/<failure /g)).toHaveLength(CASES.filter((one) => expectedOf(one).verdict === "failed").length)
  })

  test("no network is touched for what carries its proof: a signature in offline mode does not ask the log", () => {
    const offline = CASES.filter((one) => one.expect === "verified").map(idOf)
    const ran = workspace.run(repository, workspace.program, ["verify", "--any-identity", "-"], {
      input: offline.join("\n"),
      env: { GITSIGN_REKOR_URL: NO_LOG, HTTPS_PROXY: NO_LOG, https_proxy: NO_LOG },
    })
    expect(ran.status).toBe(0)
  })

  test("one and two threads agree", () => {
    const one = verifyAll("--format=json", "--jobs=1")
    const two = verifyAll("--format=json", "--jobs=2")
    expect(JSON.parse(two.stdout)).toEqual(JSON.parse(one.stdout))
    expect(two.status).toBe(one.status)
  })
})
