/**
 * The shell steps of packaging/ci, run as the runners of GitHub Actions and GitLab run them, in clones of a real repository with real
 * signatures.
 *
 * @module
 */

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { parse } from "yaml"
import { EMAIL, type Ran, type Services, startServices, Workspace } from "../e2e/harness.ts"

const CI = resolve(import.meta.dirname, "../../packaging/ci")

interface Step {
  readonly name: string
  readonly id?: string
  readonly if?: string
  readonly env: Readonly<Record<string, string>>
  readonly run: string
}
const action = parse(readFileSync(join(CI, "action.yml"), "utf8"))
const steps: readonly Step[] = action.runs.steps
const gitlab = parse(readFileSync(join(CI, "gitlab.yml"), "utf8"))["gitsign-verify"]

let services: Services
let workspace: Workspace
let origin: string
/** Object ids by name: main before and after, a good and a bad branch, GitHub's merges of them. */
const ids: Record<string, string> = {}

/** A clone without the history, as runners make it, with the commit checked out that they check out. */
function clone(name: string, ...refspecs: string[]): string {
  const path = workspace.repository(name)
  workspace.git(path, "remote", "add", "origin", `file://${origin}`)
  workspace.git(path, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", ...refspecs)
  workspace.git(path, "checkout", "--quiet", "--detach", "FETCH_HEAD")
  return path
}

const commit = (path: string, message: string, ...more: string[]): string => {
  workspace.git(path, "commit", "--quiet", "--allow-empty", "--message", message, ...more)
  return workspace.git(path, "rev-parse", "HEAD")
}

beforeAll(async () => {
  services = await startServices()
  workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: await services.token() })
  origin = join(workspace.root, "origin.git")
  const path = workspace.repository("author")
  workspace.git(path, "init", "--quiet", "--bare", origin)
  // As GitHub and GitLab have it.
  workspace.git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
  mkdirSync(join(path, ".gitsign"))
  const policy = {
    version: 1,
    signers: { maintainers: [{ issuer: services.issuer, subject: EMAIL }] },
    rules: [
      { name: "branches", branches: ["**"], signers: ["maintainers"] },
      { name: "tags", tags: ["**"], signers: ["maintainers"] },
    ],
  }
  writeFileSync(join(path, ".gitsign/policy.yaml"), JSON.stringify(policy))
  workspace.git(path, "add", ".")
  ids.old = commit(path, "first")
  ids.main = commit(path, "second")
  workspace.git(path, "switch", "--quiet", "--create", "good")
  commit(path, "one")
  ids.good = commit(path, "two")
  workspace.git(path, "tag", "--message", "version 1", "v1.0")
  workspace.git(path, "switch", "--quiet", "--create", "bad")
  ids.bad = commit(path, "::error::quick\tfix ##[error]", "--no-gpg-sign")
  for (const name of ["good", "bad"]) {
    const tree = `${ids[name]}^{tree}`
    const merge = workspace.git(
      path,
      "commit-tree",
      "--no-gpg-sign",
      "-p",
      "main",
      "-p",
      ids[name] ?? "",
      "-m",
      "merge",
      tree,
    )
    workspace.git(path, "update-ref", `refs/pull/${name}/merge`, merge)
    ids[`${name}-merge`] = merge
  }
  workspace.git(path, "push", "--quiet", origin, "main", "good", "bad", "v1.0", "refs/pull/*:refs/pull/*")
  workspace.git(origin, "symbolic-ref", "HEAD", "refs/heads/main")
}, 120_000)

afterAll(() => services?.close())

type Context = Readonly<Record<string, unknown>>

/** The value of `${{ … }}`: names of the contexts, joined by `||` and `==`, and strings. */
function evaluate(expression: string, context: Context): unknown {
  if (expression.includes(" == ")) {
    const [left = "", right = ""] = expression.split(" == ")
    return evaluate(left, context) === evaluate(right, context)
  }
  for (const part of expression.split("||").map((one) => one.trim())) {
    const value = /^'.*'$/.test(part) ? part.slice(1, -1) : lookUp(part, context)
    if (value !== undefined && value !== "") return value
  }
  return ""
}

const lookUp = (path: string, context: Context): unknown =>
  path.split(".").reduce<unknown>((value, name) => Object(value)[name], context)

const expand = (text: string, context: Context): string =>
  text.replace(/\$\{\{ (.*?) \}\}/g, (_, expression) => String(evaluate(expression, context)))

interface ActionRan extends Ran {
  readonly outputs: Readonly<Record<string, unknown>>
  readonly summary: string
}

/** Runs the action as the runner does: each step its own bash, outputs through a file, nothing after a step that failed. */
function runAction(
  path: string,
  { event, env, inputs = {} }: { event: object; env: Record<string, string>; inputs?: Record<string, string> },
): ActionRan {
  const scratch = join(workspace.root, `runner-${Math.random().toString(36).slice(2)}`)
  mkdirSync(scratch)
  const eventFile = join(scratch, "event.json")
  writeFileSync(eventFile, JSON.stringify(event))
  const defaults = Object.entries(action.inputs).map(([name, input]) => [name, Object(input).default])
  const context = {
    inputs: { ...Object.fromEntries(defaults), ...inputs },
    github: { event, ref: env.GITHUB_REF },
    steps: {} as Record<string, { outputs: Record<string, string> }>,
  }
  const log = { status: 0 as number | null, stdout: "", stderr: "" }
  for (const step of steps) {
    if (step.if !== undefined && evaluate(step.if, context) !== true) continue
    const output = join(scratch, `output-${context.steps.length}-${step.id ?? "none"}`)
    const script = join(scratch, "step.sh")
    for (const file of [output, join(scratch, "summary")]) writeFileSync(file, "", { flag: "a" })
    writeFileSync(script, step.run)
    const ran = workspace.run(path, "bash", ["--noprofile", "--norc", "-eo", "pipefail", script], {
      env: {
        GITHUB_ACTIONS: "true",
        GITHUB_EVENT_PATH: eventFile,
        GITHUB_SERVER_URL: "https://github.com",
        GITHUB_REPOSITORY: "acme/app",
        GITHUB_ACTION_PATH: CI,
        GITHUB_OUTPUT: output,
        GITHUB_STEP_SUMMARY: join(scratch, "summary"),
        RUNNER_TEMP: scratch,
        ...env,
        ...Object.fromEntries(Object.entries(step.env).map(([name, value]) => [name, expand(value, context)])),
      },
    })
    const lines = readFileSync(output, "utf8")
      .split("\n")
      .filter((line) => line !== "")
    const outputs = lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])
    if (step.id !== undefined) context.steps[step.id] = { outputs: Object.fromEntries(outputs) }
    log.stdout += ran.stdout
    log.stderr += ran.stderr
    log.status = ran.status
    if (ran.status !== 0) break
  }
  const outputs = Object.entries(action.outputs).map(([name, one]) => [name, expand(Object(one).value, context)])
  return { ...log, outputs: Object.fromEntries(outputs), summary: readFileSync(join(scratch, "summary"), "utf8") }
}

const pullRequest = (name: string) => ({
  event: {
    pull_request: { base: { sha: ids.main, ref: "main" }, head: { sha: ids[name], ref: name } },
    repository: { default_branch: "main" },
  },
  env: {
    GITHUB_EVENT_NAME: "pull_request",
    GITHUB_REF: `refs/pull/${name}/merge`,
    GITHUB_SHA: ids[`${name}-merge`] ?? "",
  },
})

const push = (ref: string, before: string, after: string) => ({
  event: { before, after, repository: { default_branch: "main" } },
  env: { GITHUB_EVENT_NAME: "push", GITHUB_REF: ref, GITHUB_SHA: after },
})

const NONE = "0".repeat(40)

/** What npm is not asked for, or cannot give; whoever registers a name that was asked for without a version would run in every job. */
const UNINSTALLED: readonly (readonly [string, string, RegExp])[] = [
  ["a name alone", "gitsign-of-nobody", /nothing on PATH|no gitsign-of-nobody on PATH/],
  ["a name with a tag", "gitsign-of-nobody@latest", /nothing on PATH|no gitsign-of-nobody@latest on PATH/],
  ["a scoped name alone", "@nobody/gitsign", /a package without its version/],
  ["a tarball that is not there", "/nowhere/gitsign-1.0.0.tgz", /npm could not install/],
]

describe("action.yml", () => {
  test("nothing of a change is put into a script: it comes in variables", () => {
    for (const { run } of steps) expect(run).not.toContain("${{")
  })

  test("a good pull request, in the shallow clone that actions/checkout makes", () => {
    const path = clone("good-pull", `+${ids["good-merge"]}:refs/remotes/pull/good/merge`)
    const ran = runAction(path, pullRequest("good"))
    expect(ran.status, ran.stdout + ran.stderr).toBe(0)
    expect(ran.stdout).toContain(`2 ok   ${EMAIL} (${services.issuer})\n`)
    expect(ran.outputs).toEqual({ verdict: "ok", bad: "0", unchecked: "0", total: "2" })
    expect(ran.summary).toContain("### gitsign: 2 commits verified\n")
    expect(workspace.git(path, "rev-parse", "--is-shallow-repository")).toBe("false")
  })

  test("a pull request with a commit that is not signed", () => {
    const path = clone("bad-pull", `+${ids["bad-merge"]}:refs/remotes/pull/bad/merge`)
    const ran = runAction(path, pullRequest("bad"))
    expect(ran.status).toBe(1)
    const annotations = ran.stdout.split("\n").filter((line) => /^\s*::/.test(line))
    expect(annotations).toHaveLength(1)
    expect(annotations[0]).toContain(`::error title=gitsign%3A commit ${ids.bad?.slice(0, 7)} is refused::`)
    expect(annotations[0]).toContain("[ERR_NOT_SIGNED]")
    expect(ran.stdout + ran.stderr).not.toContain("##[")
    expect(ran.outputs).toEqual({ verdict: "bad", bad: "1", unchecked: "0", total: "3" })
    expect(ran.summary).toContain("### gitsign: 1 refused of 3 commits\n")
    expect(ran.summary).toContain(`https://github.com/acme/app/commit/${ids.bad}`)
    // Both say the same, and it names the branch: whoever reads it may be on another one.
    const command = `gitsign resign --force ${ids.bad?.slice(0, 12)}^..bad`
    expect(annotations[0]?.endsWith(`%0A${command}`), annotations[0]).toBe(true)
    const plain = ran.summary.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code))
    expect(plain).toContain(`**To mend it:** <code>${command}</code>\n`)
  })

  test("warn-only says the same and lets it pass", () => {
    const path = clone("warned", `+${ids["bad-merge"]}:refs/remotes/pull/bad/merge`)
    const ran = runAction(path, { ...pullRequest("bad"), inputs: { "warn-only": "true" } })
    expect(ran.status).toBe(0)
    expect(ran.outputs.verdict).toBe("bad")
    expect(ran.stdout).toContain("::error title=")
  })

  test("without fetching, a shallow clone is explained", () => {
    const path = clone("shallow", `+${ids["good-merge"]}:refs/remotes/pull/good/merge`)
    const ran = runAction(path, { ...pullRequest("good"), inputs: { fetch: "false" } })
    expect(ran.status).toBe(3)
    expect(ran.stderr).toContain("[ERR_SHALLOW]")
    expect(ran.stderr).toContain("fetch-depth: 0")
    expect(ran.outputs.verdict).toBe("unchecked")
  })

  test("what its hint says, mends it", () => {
    const path = clone("hinted", `+${ids["good-merge"]}:refs/remotes/pull/good/merge`)
    const { stderr } = runAction(path, { ...pullRequest("good"), inputs: { fetch: "false" } })
    const [, command] = /or run: (git fetch .*)/.exec(stderr) ?? []
    expect(workspace.run(path, "sh", ["-c", command ?? "false"]).status).toBe(0)
    expect(runAction(path, { ...pullRequest("good"), inputs: { fetch: "false" } }).status).toBe(0)
  })

  test("a push, a forced one, and a new branch", () => {
    for (const [name, ref, before, after, total] of [
      ["push", "refs/heads/main", ids.old, ids.main, "1"],
      ["forced", "refs/heads/main", ids.good, ids.main, "0"],
      ["new-branch", "refs/heads/good", NONE, ids.good, "2"],
    ] as const) {
      const path = clone(name, `+${after}:refs/remotes/origin/${ref.slice(11)}`)
      const ran = runAction(path, push(ref, before ?? "", after ?? ""))
      expect([name, ran.status, ran.outputs.total, ran.stderr]).toEqual([name, 0, total, ""])
    }
  })

  test("a whole history has no policy from before it, so that somebody has to name one", () => {
    const path = clone("first-push", `+${ids.main}:refs/remotes/origin/main`)
    const first = push("refs/heads/main", NONE, ids.main ?? "")
    const ran = runAction(path, first)
    expect([ran.status, ran.outputs.verdict]).toEqual([2, "unchecked"])
    expect(ran.stderr).toContain("[ERR_POLICY_MISSING]")
    const named = runAction(path, { ...first, inputs: { policy: "HEAD:.gitsign/policy.yaml" } })
    expect([named.status, named.outputs.total], named.stdout + named.stderr).toEqual([0, "2"])
  })

  test("a signed tag, in whose place the checkout left its commit", () => {
    const path = clone("tagged", `+${ids.good}:refs/tags/v1.0`)
    expect(workspace.git(path, "cat-file", "-t", "v1.0")).toBe("commit")
    const ran = runAction(path, push("refs/tags/v1.0", NONE, ids.good ?? ""))
    expect([ran.status, ran.outputs.total], ran.stdout + ran.stderr).toEqual([0, "1"])
    expect(workspace.git(path, "cat-file", "-t", "v1.0")).toBe("tag")
  })

  test("a tag that is not signed is refused", () => {
    workspace.git(join(workspace.root, "author"), "tag", "--no-sign", "light", ids.good ?? "")
    workspace.git(join(workspace.root, "author"), "push", "--quiet", origin, "light")
    const path = clone("light", "+refs/tags/light:refs/tags/light")
    const ran = runAction(path, push("refs/tags/light", NONE, ids.good ?? ""))
    expect([ran.status, ran.outputs.verdict], ran.stdout + ran.stderr).toEqual([1, "bad"])
    expect(ran.stdout).toContain("[ERR_NOT_SIGNED]")
  })

  test("the policy of the change itself counts for nothing", async () => {
    const author = join(workspace.root, "author")
    const mallory = { SIGSTORE_ID_TOKEN: await services.token("mallory@example.com") }
    workspace.git(author, "switch", "--quiet", "--create", "let-me-in", "main")
    const policy = join(author, ".gitsign/policy.yaml")
    writeFileSync(policy, readFileSync(policy, "utf8").replace(EMAIL, "mallory@example.com"))
    for (const args of [
      ["commit", "--quiet", "--all", "--message", "mallory may"],
      ["tag", "--message", "mine", "mine"],
    ]) {
      expect(workspace.run(author, "git", args, { env: mallory }).status).toBe(0)
    }
    const head = workspace.git(author, "rev-parse", "HEAD")
    workspace.git(author, "push", "--quiet", origin, "let-me-in", "mine")
    workspace.git(author, "switch", "--quiet", "bad")
    const path = clone("let-me-in", "+refs/heads/let-me-in:refs/remotes/origin/let-me-in")
    const tagged = clone("let-my-tag-in", "+refs/tags/mine:refs/tags/mine")
    for (const ran of [
      runAction(path, push("refs/heads/let-me-in", NONE, head)),
      runAction(tagged, push("refs/tags/mine", NONE, head)),
    ]) {
      expect([ran.status, ran.outputs.bad], ran.stdout + ran.stderr).toEqual([1, "1"])
      expect(ran.stdout).toContain("signed by mallory@example.com")
    }
  })

  test("gitsign from an npm package, and none at all", () => {
    const path = clone("npm", `+${ids["good-merge"]}:refs/remotes/pull/good/merge`)
    const root = resolve(import.meta.dirname, "../..")
    // The Go program of that name, which cannot do it.
    const go = join(workspace.root, "go")
    mkdirSync(go)
    writeFileSync(join(go, "gitsign"), '#!/bin/sh\necho "Usage: gitsign verify"\n', { mode: 0o755 })
    const env = { ...pullRequest("good").env, PATH: `${go}:${process.env.PATH}` }
    const installed = runAction(path, { ...pullRequest("good"), env, inputs: { gitsign: root } })
    expect(installed.status, installed.stdout + installed.stderr).toBe(0)
    const own = runAction(path, { ...pullRequest("good"), env })
    expect(own.status, own.stdout + own.stderr).toBe(0)
    const none = runAction(path, { ...pullRequest("good"), env, inputs: { gitsign: join(go, "gitsign") } })
    expect([none.status, none.outputs.verdict]).toEqual([2, "unchecked"])
    expect(none.stdout).toContain("::error title=gitsign%3A not found::")
  })

  test.each(UNINSTALLED)("exits with 2 and not with 1 where gitsign is %s", (_, gitsign, why) => {
    const path = clone(`npm-${encodeURIComponent(gitsign)}`, `+${ids["good-merge"]}:refs/remotes/pull/good/merge`)
    const ran = runAction(path, { ...pullRequest("good"), inputs: { gitsign } })
    expect([ran.status, ran.outputs.verdict], ran.stdout + ran.stderr).toEqual([2, "unchecked"])
    expect(ran.stdout).toContain("::error title=gitsign%3A not found::")
    expect(ran.stdout).toMatch(why)
  })

  test("no network is touched where the signatures carry their proof", (context) => {
    const path = clone("offline", "+refs/heads/*:refs/remotes/origin/*")
    workspace.git(path, "fetch", "--quiet", "--depth=2147483647", "origin", "+refs/heads/*:refs/remotes/origin/*")
    if (workspace.run(path, "unshare", ["--net", "true"]).status !== 0)
      context.skip("no name space without a network here")
    const { event, env } = pullRequest("good")
    writeFileSync(join(path, "event.json"), JSON.stringify(event))
    const ran = workspace.run(path, "unshare", ["--net", workspace.program, "verify", "--ci"], {
      env: { ...env, GITHUB_ACTIONS: "true", GITHUB_EVENT_PATH: join(path, "event.json") },
    })
    expect(ran.status, ran.stdout + ran.stderr).toBe(0)
  })
})

describe("gitlab.yml", () => {
  /** Runs the job's script as the runner does, in one shell. */
  const runJob = (path: string, env: Record<string, string>): Ran =>
    workspace.run(path, "sh", ["-c", `set -e\n${gitlab.script.join("\n")}`], {
      env: { ...gitlab.variables, GITLAB_CI: "true", CI_DEFAULT_BRANCH: "main", ...env },
    })

  const mergeRequest = (name: string): Record<string, string> => ({
    CI_MERGE_REQUEST_TARGET_BRANCH_NAME: "main",
    CI_MERGE_REQUEST_DIFF_BASE_SHA: ids.main ?? "",
    CI_COMMIT_SHA: ids[name] ?? "",
    CI_COMMIT_BEFORE_SHA: NONE,
  })

  test("a good merge request, and its reports", () => {
    const path = clone("gitlab-good", `+${ids.good}:refs/pipelines/1`)
    const ran = runJob(path, mergeRequest("good"))
    expect(ran.status, ran.stdout + ran.stderr).toBe(0)
    expect(ran.stdout).toContain(`2 ok   ${EMAIL}`)
    expect(JSON.parse(readFileSync(join(path, "gl-code-quality-report.json"), "utf8"))).toEqual([])
    expect(readFileSync(join(path, "gitsign-junit.xml"), "utf8")).toContain('tests="2" failures="0" errors="0"')
  })

  test("a bad one", () => {
    const path = clone("gitlab-bad", `+${ids.bad}:refs/pipelines/2`)
    const ran = runJob(path, mergeRequest("bad"))
    expect(ran.status, ran.stdout + ran.stderr).toBe(1)
    expect(ran.stdout).toContain("[ERR_NOT_SIGNED]")
    const issues = JSON.parse(readFileSync(join(path, "gl-code-quality-report.json"), "utf8"))
    expect(issues).toMatchObject([{ check_name: "ERR_NOT_SIGNED", severity: "critical" }])
    expect(readFileSync(join(path, "gitsign-junit.xml"), "utf8")).toContain('tests="3" failures="1" errors="0"')
    expect(runJob(path, { ...mergeRequest("bad"), GITSIGN_CI_ARGUMENTS: "--warn-only" }).status).toBe(0)
  })

  test("a merge request whose target was the branch with the bad commit before", () => {
    const path = clone("gitlab-retargeted", `+${ids.bad}:refs/pipelines/3`)
    expect(runJob(path, { ...mergeRequest("bad"), CI_MERGE_REQUEST_DIFF_BASE_SHA: ids.bad ?? "" }).status).toBe(1)
  })

  test("a push and a tag", () => {
    const path = clone("gitlab-push", `+${ids.main}:refs/remotes/origin/main`)
    const pushed = runJob(path, {
      CI_COMMIT_BRANCH: "main",
      CI_COMMIT_SHA: ids.main ?? "",
      CI_COMMIT_BEFORE_SHA: ids.old ?? "",
    })
    expect(pushed.status, pushed.stdout + pushed.stderr).toBe(0)
    const tagged = runJob(path, { CI_COMMIT_TAG: "v1.0", CI_COMMIT_SHA: ids.good ?? "", CI_COMMIT_BEFORE_SHA: NONE })
    expect(tagged.status, tagged.stdout + tagged.stderr).toBe(0)
  })

  test("a merge request from a fork goes by the project, and not by the branches of the fork", () => {
    // The fork's main has the bad commit already, and so would its policy count.
    const fork = join(workspace.root, "fork.git")
    workspace.git(origin, "clone", "--quiet", "--bare", origin, fork)
    workspace.git(fork, "update-ref", "refs/heads/main", ids.bad ?? "")
    const path = workspace.repository("gitlab-fork")
    workspace.git(path, "remote", "add", "origin", `file://${fork}`)
    workspace.git(path, "fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
    workspace.git(path, "checkout", "--quiet", "--detach", ids.bad ?? "")
    const fromFork = {
      ...mergeRequest("bad"),
      CI_PROJECT_ID: "2",
      CI_MERGE_REQUEST_PROJECT_ID: "1",
      CI_MERGE_REQUEST_PROJECT_URL: `file://${origin.replace(/\.git$/, "")}`,
    }
    const ran = runJob(path, fromFork)
    expect(ran.status, ran.stdout + ran.stderr).toBe(1)
    expect(ran.stdout).toContain("[ERR_NOT_SIGNED]")
    // What cannot be had is not taken from the fork.
    const without = runJob(path, { ...fromFork, CI_MERGE_REQUEST_PROJECT_URL: "file:///nowhere" })
    expect([without.status, without.stderr]).toEqual([3, expect.stringContaining("could not be fetched from")])
  })

  test("nothing is installed that nobody has named", () => {
    expect(Object.keys(gitlab.variables)).not.toContain("GITSIGN_CI_PROGRAM")
    const path = clone("gitlab-without", `+${ids.good}:refs/pipelines/6`)
    const bare = join(workspace.root, "bare")
    mkdirSync(bare)
    for (const name of ["git", "npm", "node", "sh", "mktemp"]) {
      symlinkSync(workspace.run(path, "sh", ["-c", `command -v ${name}`]).stdout.trim(), join(bare, name))
    }
    const ran = runJob(path, { ...mergeRequest("good"), PATH: bare })
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringContaining("there is no gitsign on PATH")])
  })

  test.each(UNINSTALLED)("exits with 2 and not with 1 where gitsign is %s", (_, program, why) => {
    const path = clone(`gitlab-${encodeURIComponent(program)}`, `+${ids.good}:refs/pipelines/7`)
    const ran = runJob(path, { ...mergeRequest("good"), GITSIGN_CI_PROGRAM: program })
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringMatching(why)])
  })

  test("without a result there are no reports", () => {
    const path = clone("gitlab-broken", `+${ids.good}:refs/pipelines/4`)
    const ran = runJob(path, { ...mergeRequest("good"), CI_COMMIT_SHA: "e".repeat(40) })
    expect(ran.status).toBe(3)
    expect(workspace.run(path, "ls", ["gl-code-quality-report.json", "gitsign-junit.xml"]).stdout).toBe("")
  })
})

test("both files say which program of that name they mean", () => {
  symlinkSync("/bin/true", join(workspace.root, "not-gitsign"))
  const path = clone("other", `+${ids.good}:refs/pipelines/5`)
  const ran = workspace.run(path, "sh", ["-c", `set -e\n${gitlab.script.join("\n")}`], {
    env: { ...gitlab.variables, GITLAB_CI: "true", GITSIGN_CI_PROGRAM: join(workspace.root, "not-gitsign") },
  })
  expect(ran.status).toBe(2)
  expect(ran.stderr).toContain("cannot verify a change")
})
