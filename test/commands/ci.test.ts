/**
 * What each CI system says about a change, in the variables and payloads that it documents.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { type CiContext, detectCi } from "../../src/commands/ci.ts"
import { isGitsignError } from "../../src/errors.ts"

const OLD = "0".repeat(39).concat("a")
const NEW = "b".repeat(40)
const MERGE = "c".repeat(40)
const NONE = "0".repeat(40)

const files = (event?: unknown) => ({
  readFile: (path: string): string => {
    if (event === undefined) throw new Error(`ENOENT: ${path}`)
    return typeof event === "string" ? event : JSON.stringify(event)
  },
})

/** Base, head and ref, the part that decides what is verified. */
const changeOf = (env: Record<string, string>, event?: unknown): unknown => {
  const { base, head, ref } = detectCi(env, files(event)) ?? {}
  return [base, head, ref]
}

const GITHUB = {
  GITHUB_ACTIONS: "true",
  GITHUB_EVENT_PATH: "/github/workflow/event.json",
  GITHUB_SERVER_URL: "https://github.com",
  GITHUB_REPOSITORY: "acme/app",
  GITHUB_SHA: MERGE,
}
const repository = { default_branch: "main" }

const GITLAB = {
  GITLAB_CI: "true",
  CI_COMMIT_SHA: NEW,
  CI_DEFAULT_BRANCH: "main",
  CI_PROJECT_URL: "https://gitlab.com/acme/app",
}

describe("GitHub", () => {
  test("a pull request: its own commits, not the merge that GitHub made, by the rules of its target", () => {
    const env = {
      ...GITHUB,
      GITHUB_EVENT_NAME: "pull_request",
      GITHUB_REF: "refs/pull/7/merge",
      GITHUB_STEP_SUMMARY: "/tmp/summary",
      GITHUB_OUTPUT: "/tmp/output",
    }
    const pull_request = { base: { sha: OLD, ref: "release/1.x" }, head: { sha: NEW, ref: "evil" } }
    expect(detectCi(env, files({ pull_request, repository }))).toEqual({
      system: "github",
      base: OLD,
      head: NEW,
      ref: "refs/heads/release/1.x",
      source: "evil",
      format: "github",
      fetchHint: `give actions/checkout the option fetch-depth: 0, or run: git fetch --depth=2147483647 origin ${OLD} ${NEW}`,
      commitUrl: "https://github.com/acme/app/commit/",
      summaryFile: "/tmp/summary",
      outputFile: "/tmp/output",
    } satisfies CiContext)
  })

  test.each([
    ["a push", "push", "refs/heads/main", { before: OLD, after: NEW }, [OLD, NEW, "refs/heads/main"]],
    ["a forced push", "push", "refs/heads/x", { before: OLD, after: NEW, forced: true }, [OLD, NEW, "refs/heads/x"]],
    ["a new branch", "push", "refs/heads/x", { before: NONE, after: NEW }, ["origin/main", NEW, "refs/heads/x"]],
    ["the first push", "push", "refs/heads/main", { before: NONE, after: NEW }, [undefined, NEW, "refs/heads/main"]],
    [
      "a tag",
      "push",
      "refs/tags/v1.0",
      { before: NONE, after: NEW },
      ["origin/main", "refs/tags/v1.0", "refs/tags/v1.0"],
    ],
    ["by hand", "workflow_dispatch", "refs/heads/x", {}, ["origin/main", MERGE, "refs/heads/x"]],
    ["a schedule", "schedule", "refs/heads/main", {}, [undefined, MERGE, "refs/heads/main"]],
    [
      "a merge queue",
      "merge_group",
      "refs/heads/gh-readonly-queue/main/pr-1",
      { merge_group: { base_sha: OLD, head_sha: NEW, base_ref: "refs/heads/main" } },
      [OLD, NEW, "refs/heads/main"],
    ],
  ] as const)("%s", (_, name, ref, event, expected) => {
    const env = { ...GITHUB, GITHUB_EVENT_NAME: name, GITHUB_REF: ref }
    expect(changeOf(env, { ...event, repository })).toEqual(expected)
  })

  test("a new tag is fetched as the tag that it is", () => {
    const env = { ...GITHUB, GITHUB_EVENT_NAME: "push", GITHUB_REF: "refs/tags/v1.0" }
    expect(detectCi(env, files({ before: NONE, after: NEW, repository }))?.fetchHint).toContain(
      "git fetch --depth=2147483647 origin +refs/tags/v1.0:refs/tags/v1.0 +refs/heads/main:refs/remotes/origin/main",
    )
  })

  test("SHA-256 repositories", () => {
    const env = { ...GITHUB, GITHUB_EVENT_NAME: "push", GITHUB_REF: "refs/heads/main" }
    const event = { before: "0".repeat(64), after: "d".repeat(64), repository }
    expect(changeOf(env, event)).toEqual([undefined, "d".repeat(64), "refs/heads/main"])
  })

  test.each([
    ["no event file", undefined],
    ["an event that is not JSON", "{"],
    ["an id that is a revision", { pull_request: { base: { sha: "main^{/x}", ref: "main" }, head: { sha: NEW } } }],
    ["an id that is an option", { pull_request: { base: { sha: "--output=x", ref: "main" }, head: { sha: NEW } } }],
    ["no head", { pull_request: { base: { sha: OLD, ref: "main" } } }],
    ["a branch that is an operator", { pull_request: { base: { sha: OLD, ref: "a..b" }, head: { sha: NEW } } }],
    ["a branch that is an option", { pull_request: { base: { sha: OLD, ref: "-x" }, head: { sha: NEW } } }],
    ["a branch with a line feed", { pull_request: { base: { sha: OLD, ref: "a\nb" }, head: { sha: NEW } } }],
    ["a number for a branch", { pull_request: { base: { sha: OLD, ref: 1 }, head: { sha: NEW } } }],
    ["nothing", {}],
    ["a list", []],
    ["null", null],
  ])("what makes no sense is ERR_CONFIG: %s", (_, event) => {
    const env = { ...GITHUB, GITHUB_EVENT_NAME: "pull_request", GITHUB_REF: "refs/pull/7/merge" }
    let thrown: unknown
    try {
      detectCi(env, files(event))
    } catch (error) {
      thrown = error
    }
    expect(isGitsignError(thrown) && thrown.code).toBe("ERR_CONFIG")
  })
})

describe("what the CI system should have said is told, and what to do without it", () => {
  const pull = { ...GITHUB, GITHUB_REF: "refs/pull/7/merge" }
  const WITHOUT = "; or say what to verify: gitsign verify --ref BRANCH BASE..HEAD"

  test.each([
    [
      "an event without a pull request",
      pull,
      files({ repository }),
      "GITHUB_REF is of a pull request, refs/pull/7/merge, and the event in GITHUB_EVENT_PATH (/github/workflow/event.json) has none",
      "GITHUB_EVENT_PATH has to name the event of the pull request, with pull_request.base and pull_request.head",
    ],
    [
      "no event",
      { ...pull, GITHUB_EVENT_PATH: "" },
      files(),
      "GITHUB_REF is of a pull request, refs/pull/7/merge, and GITHUB_EVENT_PATH names no event",
      "GITHUB_EVENT_PATH has to name the event of the pull request, with pull_request.base and pull_request.head",
    ],
    [
      "an event that cannot be read",
      pull,
      files(),
      "cannot read the event in GITHUB_EVENT_PATH: ENOENT: /github/workflow/event.json",
      "GITHUB_EVENT_PATH has to name the file with the event's payload, as the runner sets it",
    ],
    [
      "a part of an event",
      pull,
      files({ pull_request: { base: { sha: "x", ref: "main" } } }),
      "what the CI system says for pull_request.base.sha is no object id",
      "pull_request.base.sha of the event in GITHUB_EVENT_PATH has to be a commit's whole id, 40 or 64 digits",
    ],
    [
      "no ref",
      { ...GITHUB, GITHUB_REF: "" },
      files({ repository }),
      "the CI system does not say GITHUB_REF",
      "GITHUB_REF has to be the name of a branch or tag, such as refs/heads/main",
    ],
    [
      "no commit",
      { GITLAB_CI: "true" },
      files(),
      "the CI system does not say CI_COMMIT_SHA",
      "CI_COMMIT_SHA has to be a commit's id",
    ],
  ])("%s", (_, env, read, message, hint) => {
    let thrown: unknown
    try {
      detectCi(env, read)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: "ERR_CONFIG", message, hint: `${hint}${WITHOUT}` })
  })
})

test.each([
  [{ GITEA_ACTIONS: "true" }, "gitea"],
  [{ GITEA_ACTIONS: "true", FORGEJO_ACTIONS: "true" }, "forgejo"],
] as const)("Gitea and Forgejo speak as GitHub does: %o", (more, system) => {
  const env = {
    ...GITHUB,
    ...more,
    GITHUB_SERVER_URL: "https://git.example",
    GITHUB_EVENT_NAME: "push",
    GITHUB_REF: "refs/heads/main",
  }
  expect(detectCi(env, files({ before: OLD, after: NEW }))).toMatchObject({
    system,
    base: OLD,
    head: NEW,
    commitUrl: "https://git.example/acme/app/commit/",
  })
})

describe("GitLab", () => {
  test("a merge request: what its target does not have, whatever its target was before", () => {
    const env = {
      ...GITLAB,
      CI_MERGE_REQUEST_TARGET_BRANCH_NAME: "main",
      CI_MERGE_REQUEST_DIFF_BASE_SHA: OLD,
      CI_COMMIT_BEFORE_SHA: NONE,
    }
    expect(detectCi(env, files())).toEqual({
      system: "gitlab",
      base: "origin/main",
      head: NEW,
      ref: "refs/heads/main",
      source: undefined,
      format: "text",
      fetchHint: `give the job the variable GIT_DEPTH: "0", and run: git fetch --depth=2147483647 origin +refs/heads/main:refs/remotes/origin/main ${NEW}`,
      commitUrl: "https://gitlab.com/acme/app/-/commit/",
      summaryFile: undefined,
      outputFile: undefined,
    } satisfies CiContext)
  })

  test("a pipeline for merged results: the commits of the branch, not GitLab's merge", () => {
    const env = {
      ...GITLAB,
      CI_COMMIT_SHA: MERGE,
      CI_MERGE_REQUEST_TARGET_BRANCH_NAME: "main",
      CI_MERGE_REQUEST_TARGET_BRANCH_SHA: OLD,
      CI_MERGE_REQUEST_SOURCE_BRANCH_SHA: NEW,
    }
    expect(changeOf(env)).toEqual([OLD, NEW, "refs/heads/main"])
  })

  test.each([
    ["a push", { CI_COMMIT_BRANCH: "main", CI_COMMIT_BEFORE_SHA: OLD }, [OLD, NEW, "refs/heads/main"]],
    ["a new branch", { CI_COMMIT_BRANCH: "x", CI_COMMIT_BEFORE_SHA: NONE }, ["origin/main", NEW, "refs/heads/x"]],
    ["the first push", { CI_COMMIT_BRANCH: "main", CI_COMMIT_BEFORE_SHA: NONE }, [undefined, NEW, "refs/heads/main"]],
    [
      "a tag",
      { CI_COMMIT_TAG: "v1.0", CI_COMMIT_BEFORE_SHA: NONE },
      ["origin/main", "refs/tags/v1.0", "refs/tags/v1.0"],
    ],
  ])("%s", (_, env, expected) => {
    expect(changeOf({ ...GITLAB, ...env })).toEqual(expected)
  })
})

describe("Buildkite", () => {
  const BUILDKITE = {
    BUILDKITE: "true",
    BUILDKITE_COMMIT: NEW,
    BUILDKITE_BRANCH: "x",
    BUILDKITE_PULL_REQUEST: "false",
    BUILDKITE_PIPELINE_DEFAULT_BRANCH: "main",
  }

  test.each([
    ["a branch", {}, ["origin/main", NEW, "refs/heads/x"]],
    ["the default branch", { BUILDKITE_BRANCH: "main" }, [undefined, NEW, "refs/heads/main"]],
    [
      "a pull request",
      { BUILDKITE_PULL_REQUEST: "7", BUILDKITE_PULL_REQUEST_BASE_BRANCH: "release" },
      ["origin/release", NEW, "refs/heads/release"],
    ],
    ["a tag", { BUILDKITE_TAG: "v1.0" }, ["origin/main", "refs/tags/v1.0", "refs/tags/v1.0"]],
    ["a build started by hand", { BUILDKITE_COMMIT: "HEAD" }, ["origin/main", "HEAD", "refs/heads/x"]],
  ])("%s", (_, env, expected) => {
    expect(changeOf({ ...BUILDKITE, ...env })).toEqual(expected)
  })

  test("prints text, and says how to fetch", () => {
    expect(detectCi(BUILDKITE, files())).toMatchObject({ system: "buildkite", format: "text", commitUrl: undefined })
  })
})

describe("the branch that a change was made on", () => {
  const pull = (base: string, head: unknown) =>
    files({ pull_request: { base: { sha: OLD, ref: base }, head: { sha: NEW, ref: head } }, repository })
  const merge = { ...GITLAB, CI_MERGE_REQUEST_TARGET_BRANCH_NAME: "main" }
  const build = { BUILDKITE: "true", BUILDKITE_COMMIT: NEW, BUILDKITE_BRANCH: "x" }

  test.each([
    ["a pull request's", GITHUB, pull("main", "topic"), "topic"],
    ["a fork's with the name of the target, which names another one here", GITHUB, pull("main", "main"), undefined],
    ["none that is said", GITHUB, pull("main", null), undefined],
    ["a push's", { ...GITHUB, GITHUB_REF: "refs/heads/a/b", GITHUB_SHA: NEW }, files({ repository }), "a/b"],
    ["none of a tag", { ...GITHUB, GITHUB_REF: "refs/tags/v1", GITHUB_SHA: NEW }, files({ repository }), undefined],
    [
      "none of a merge queue, whose branch nobody has",
      { ...GITHUB, GITHUB_REF: "refs/heads/gh-readonly-queue/main/1" },
      files({ merge_group: { base_sha: OLD, head_sha: NEW, base_ref: "refs/heads/main" }, repository }),
      undefined,
    ],
    ["a merge request's", { ...merge, CI_MERGE_REQUEST_SOURCE_BRANCH_NAME: "topic" }, files(), "topic"],
    ["GitLab's", { ...GITLAB, CI_COMMIT_BRANCH: "x" }, files(), "x"],
    ["Buildkite's", { ...build, BUILDKITE_PULL_REQUEST: "false" }, files(), "x"],
    [
      "a pull request's at Buildkite",
      { ...build, BUILDKITE_PULL_REQUEST: "7", BUILDKITE_PULL_REQUEST_BASE_BRANCH: "main" },
      files(),
      "x",
    ],
  ])("%s", (_, env, read, source) => {
    expect(detectCi(env, read)?.source).toBe(source)
  })
})

test("elsewhere there is nothing to detect", () => {
  expect(detectCi({ CI: "true", HOME: "/home/dev" }, files())).toBeUndefined()
})

test("a hint can be pasted whatever the branch is called", () => {
  const env = { BUILDKITE: "true", BUILDKITE_COMMIT: NEW, BUILDKITE_BRANCH: "x;touch owned", BUILDKITE_TAG: "v1$(id)" }
  expect(() => detectCi({ ...env, BUILDKITE_TAG: "" }, files())).toThrow("no name of a branch")
  expect(detectCi(env, files())?.fetchHint).toContain("'+refs/tags/v1$(id):refs/tags/v1$(id)'")
})
