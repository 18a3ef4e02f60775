/**
 * Attacks on a repository with a policy, as data: each folder of fixtures/attacks does its harm in a real repository on the sandbox, and
 * the verifier has to answer with exactly the code that the folder names.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { ERROR_CODES } from "../../src/errors.ts"
import { type Ran, type Services, startServices, Workspace } from "./harness.ts"

const FOLDER = resolve(import.meta.dirname, "../../fixtures/attacks")
const CASES = readdirSync(FOLDER, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []))

/** Who there is, and what gets them an identity token of the sandbox. */
const PEOPLE: Readonly<Record<string, readonly string[]>> = {
  alice: ["alice@example.com"],
  Alice: ["Alice@example.com"],
  "alice-at-subdomain": ["alice@example.com.evil.org"],
  // The domain of example.com with a Cyrillic letter: certificates hold ASCII only
  "alice-in-cyrillic": ["alice@xn--exmple-4nf.com"],
  bob: ["bob@example.com"],
  mallory: ["mallory@example.com"],
  website: ["website@example.com"],
  "bot-of-mallory": workflow("mallory/app", "refs/heads/main", "refs/heads/main"),
  "bot-in-cyrillic": workflow("\u0430cme/app", "refs/heads/main", "refs/heads/main"),
  "bot-of-branch": workflow("acme/app", "refs/heads/evil", "refs/heads/evil"),
  "bot-for-branch": workflow("acme/app", "refs/heads/main", "refs/heads/evil"),
}

function workflow(repository: string, workflowRef: string, ref: string): string[] {
  const file = `${repository}/.github/workflows/release.yml@${workflowRef}`
  return ["--github", repository, "--claim", `job_workflow_ref=${file}`, "--claim", `ref=${ref}`]
}

const external = process.env.GITSIGN_E2E_FULCIO_URL !== undefined

let services: Services
let workspace: Workspace

beforeAll(async () => {
  if (external) return
  services = await startServices()
  workspace = new Workspace(services.environment)
  const tokens = join(workspace.root, "tokens")
  mkdirSync(tokens)
  for (const [name, words] of Object.entries(PEOPLE)) {
    writeFileSync(join(tokens, name), services.sandbox("token", ...words).trim())
  }
  const as = join(workspace.root, "bin", "as")
  writeFileSync(
    as,
    `#!/bin/sh\nwho=$1; shift\nexport SIGSTORE_ID_TOKEN="$(cat '${tokens}'/"$who")"\n` +
      'export GIT_AUTHOR_NAME="$who" GIT_COMMITTER_NAME="$who" GIT_AUTHOR_EMAIL="$who@example.com" GIT_COMMITTER_EMAIL="$who@example.com"\n' +
      'exec "$@"\n',
  )
  chmodSync(as, 0o755)
  workspace.env.ISSUER = services.issuer
  workspace.env.GITHUB_ISSUER = services.issuer
  const base = join(workspace.root, "base")
  mkdirSync(base)
  expectDone(workspace.run(base, "sh", ["-eu", join(FOLDER, "base.sh")]))
}, 120_000)

afterAll(async () => {
  workspace?.close()
  await services?.close()
})

const expectDone = (ran: Ran): void => expect(`${ran.stdout}${ran.stderr}#${ran.status}`).toMatch(/#0$/)

const isThere = (program: string): boolean => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0

function caseOf(name: string): {
  expect: keyof typeof ERROR_CODES
  arguments: string[]
  needs: string | undefined
  input: string | undefined
  environment: Record<string, string>
} {
  const lines = readFileSync(join(FOLDER, name, "case.txt"), "utf8").split("\n")
  const value = (key: string): string | undefined =>
    lines.find((line) => line.startsWith(`${key}: `))?.slice(key.length + 2)
  return {
    expect: value("expect") as keyof typeof ERROR_CODES,
    arguments: (value("arguments") ?? "").split(" "),
    needs: value("needs"),
    input: value("input"),
    environment: Object.fromEntries((value("environment") ?? "").split(" ").filter(Boolean).map(pair)),
  }
}

const pair = (text: string): [string, string] => {
  const [name = "", ...words] = text.split("=")
  return [name, words.join("=")]
}

describe.skipIf(external)("attacks", () => {
  test("without one everything is in order", () => {
    const base = join(workspace.root, "base")
    const ran = workspace.gitsign(base, "verify", "base~1..main")
    expect(ran).toMatchObject({ status: 0, stderr: "" })
    expect(workspace.gitsign(base, "verify", "v1")).toMatchObject({ status: 0, stderr: "" })
    expect(workspace.gitsign(base, "verify", "--all", "--policy-ref=HEAD")).toMatchObject({ status: 0, stderr: "" })
  })

  test.for(CASES)("%s", (name, { skip }) => {
    const { needs } = caseOf(name)
    if (needs !== undefined && !isThere(needs)) skip(`there is no ${needs}`)
    const repository = join(workspace.root, name)
    cpSync(join(workspace.root, "base"), repository, { recursive: true })
    expectDone(workspace.run(repository, "sh", ["-eu", join(FOLDER, name, "attack.sh")]))
    const { expect: code, arguments: words, input: file, environment: env } = caseOf(name)
    const input = file === undefined ? "" : readFileSync(join(repository, file), "utf8")
    const verify = (...args: string[]): Ran =>
      workspace.run(repository, workspace.program, ["verify", ...args], { env, input })
    const ran = verify("--format=json", ...words)
    expect(ran.status, ran.stderr).toBe(ERROR_CODES[code].exit)
    const told =
      ran.stdout === ""
        ? []
        : JSON.parse(ran.stdout).objects.map((one: { error: { code: string } | null }) => one.error?.code)
    // What could not be begun says so on stderr; everything else says it of the object.
    if (ran.stdout === "") expect(ran.stderr).toContain(`[${code}]`)
    else expect([...new Set(told.filter(Boolean))]).toContain(code)
    // People are told the same.
    const text = verify("--format=text", ...words)
    expect(text.status).toBe(ran.status)
    expect(`${text.stdout}${text.stderr}`).toContain(`[${code}]`)
  })
})
