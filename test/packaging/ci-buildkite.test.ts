/**
 * The steps that docs/ci.md gives for Buildkite, run as its agent runs them: each where its `if` holds, in a clone on no branch.
 *
 * @module
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { parse } from "yaml"
import { EMAIL, type Services, startServices, Workspace } from "../e2e/harness.ts"

interface Step {
  readonly if: string
  readonly command: string
}
const docs = readFileSync(resolve(import.meta.dirname, "../../docs/ci.md"), "utf8")
const [, block = ""] = /^## Buildkite[^`]*```yaml\n([\s\S]*?)```/m.exec(docs) ?? []
const steps: readonly Step[] = parse(block).steps

let services: Services
let workspace: Workspace
let origin: string
const ids: Record<string, string> = {}

beforeAll(async () => {
  services = await startServices()
  workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: await services.token() })
  origin = join(workspace.root, "origin.git")
  const path = workspace.repository("author")
  workspace.git(path, "init", "--quiet", "--bare", origin)
  const commit = (name: string, ...more: string[]): void => {
    workspace.git(path, "commit", "--quiet", "--allow-empty", "--message", name, ...more)
    ids[name] = workspace.git(path, "rev-parse", "HEAD")
  }
  mkdirSync(join(path, ".gitsign"))
  const policy = {
    version: 1,
    signers: { maintainers: [{ issuer: services.issuer, subject: EMAIL }] },
    // Not for every branch, so that it has to be known which one it is.
    rules: [
      { name: "main", branches: ["main", "release/**"], signers: ["maintainers"] },
      { name: "tags", tags: ["**"], signers: ["maintainers"] },
    ],
    otherwise: "allow",
  }
  writeFileSync(join(path, ".gitsign/policy.yaml"), JSON.stringify(policy))
  workspace.git(path, "add", ".")
  commit("first")
  commit("main")
  workspace.git(path, "switch", "--quiet", "--create", "topic")
  commit("good")
  workspace.git(path, "tag", "--message", "version 1", "v1.0")
  commit("bad", "--no-gpg-sign")
  workspace.git(path, "push", "--quiet", origin, "main", "topic", "v1.0")
}, 120_000)

afterAll(async () => {
  workspace?.close()
  await services?.close()
})

/** What of Buildkite's conditionals the steps use: comparisons of names with strings and null, joined by `&&` or by `||`. */
function holds(condition: string, facts: Readonly<Record<string, string | null>>): boolean {
  if (condition.includes("||")) return condition.split("||").some((part) => holds(part, facts))
  if (condition.includes("&&")) return condition.split("&&").every((part) => holds(part, facts))
  const [, name = "", operator, value = ""] = /^\s*(\S+) (==|!=) (.*?)\s*$/.exec(condition) ?? []
  if (!(name in facts) || operator === undefined) throw new Error(`not understood: ${condition}`)
  return (facts[name] === JSON.parse(value)) === (operator === "==")
}

interface Build {
  readonly branch: string
  readonly commit: string
  readonly tag?: string
  readonly base?: string
}

function run(name: string, { branch, commit, tag, base }: Build): (number | null | string)[] {
  const path = workspace.repository(name)
  workspace.git(path, "remote", "add", "origin", origin)
  workspace.git(path, "fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
  workspace.git(path, "checkout", "--quiet", "--detach", ids[commit] ?? "")
  const pull = base === undefined ? null : "7"
  const facts = { "build.branch": branch, "build.tag": tag ?? null, "build.pull_request.id": pull }
  return steps
    .filter((step) => holds(step.if, facts))
    .flatMap(({ command }) => {
      const { status, stdout, stderr } = workspace.run(path, "bash", ["-e", "-c", command], {
        env: {
          BUILDKITE: "true",
          BUILDKITE_BRANCH: branch,
          BUILDKITE_COMMIT: ids[commit] ?? "",
          BUILDKITE_PIPELINE_DEFAULT_BRANCH: "main",
          BUILDKITE_PULL_REQUEST: pull ?? "false",
          BUILDKITE_PULL_REQUEST_BASE_BRANCH: base ?? "",
          BUILDKITE_TAG: tag ?? "",
        },
      })
      return [status, /^ *\d+ (ok|bad).*/m.exec(stdout)?.[0].trim() ?? stderr]
    })
}

const OK = `1 ok   ${EMAIL}`

test.each<[string, Build, number, string]>([
  ["the default branch", { branch: "main", commit: "main" }, 0, OK],
  ["a change of the default branch that is not signed", { branch: "main", commit: "bad" }, 1, "1 bad"],
  ["a branch without rules", { branch: "topic", commit: "bad" }, 0, "2 ok   no rule applies"],
  ["a branch with rules", { branch: "release/1", commit: "good" }, 0, OK],
  ["a good pull request", { branch: "topic", commit: "good", base: "main" }, 0, OK],
  ["a bad one, of a fork's branch main", { branch: "main", commit: "bad", base: "main" }, 1, OK],
  ["a tag", { branch: "v1.0", tag: "v1.0", commit: "good" }, 0, OK],
])("%s", (name, build, status, line) => {
  expect(run(encodeURIComponent(name), build)).toEqual([status, expect.stringContaining(line)])
})

test("no name of a branch gets into a command", () => {
  for (const { command } of steps) expect(command).not.toContain("$")
})
