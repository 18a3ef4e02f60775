/**
 * What a CI system says about the change that it runs for: the commits before and after, and the branch whose rules apply.
 *
 * Sources: GitHub "Variables" and "Webhook events and payloads"; GitLab "Predefined CI/CD variables"; Gitea's and Forgejo's runners, which
 * set GitHub's variables too; Buildkite "Environment variables".
 *
 * @module
 */

import { GitsignError, reasonOf } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"

/** The change that a CI job runs for. */
export interface CiContext {
  readonly system: "github" | "gitlab" | "gitea" | "forgejo" | "buildkite"
  /**
   * What is there already, and whose policy counts: an object id or `origin/NAME`, of which the clone may have nothing. For a tag the
   * default branch: whoever pushes a tag chooses its commit and the policy in it. Undefined: all that `head` reaches is new.
   */
  readonly base: string | undefined
  /** What comes: an object id, or for a tag its full name. */
  readonly head: string
  /** The full name of the branch that is changed, for a pull request its target; or of the tag. */
  readonly ref: string
  /** What whoever made the change calls the branch that it was made on; undefined where nobody knows, or there is none. */
  readonly source: string | undefined
  /** What `--format` is when nobody says it. */
  readonly format: "github" | "text"
  /** What to do when `base` or `head` is not there, or the clone is shallow. */
  readonly fetchHint: string
  /** The beginning of the address of a commit's page. */
  readonly commitUrl: string | undefined
  /** Files that the system reads when the step is over. */
  readonly summaryFile: string | undefined
  readonly outputFile: string | undefined
}

/** What {@link detectCi} may do beside looking at the environment. */
export interface CiFiles {
  /** The text of a file. May throw anything. */
  readFile(path: string): string
}

type Env = Readonly<Record<string, string | undefined>>

/**
 * The change that this job runs for, or undefined outside of the CI systems that are known.
 *
 * @throws ERR_CONFIG when the system says something that makes no sense
 */
export function detectCi(env: Env, files: CiFiles): CiContext | undefined {
  if (env.GITLAB_CI) return gitlab(env)
  if (env.BUILDKITE) return buildkite(env)
  // Both set GITHUB_ACTIONS as well, and Forgejo's runner has set GITEA_ACTIONS too.
  const system = env.FORGEJO_ACTIONS
    ? "forgejo"
    : env.GITEA_ACTIONS
      ? "gitea"
      : env.GITHUB_ACTIONS
        ? "github"
        : undefined
  return system === undefined ? undefined : actions(system, env, files)
}

/** What the branches of a change are, whichever system tells it. */
interface Change {
  readonly base: string | undefined
  readonly head: string
  readonly ref: string
  readonly source: string | undefined
}

function actions(system: "github" | "gitea" | "forgejo", env: Env, files: CiFiles): CiContext {
  const change = actionsChange(env, eventOf(env, files))
  const server = env.GITHUB_SERVER_URL
  return {
    system,
    ...change,
    format: "github",
    fetchHint: `give actions/checkout the option fetch-depth: 0, or run: ${fetchCommand(change)}`,
    commitUrl: server && env.GITHUB_REPOSITORY ? `${server}/${env.GITHUB_REPOSITORY}/commit/` : undefined,
    summaryFile: env.GITHUB_STEP_SUMMARY || undefined,
    outputFile: env.GITHUB_OUTPUT || undefined,
  }
}

/** A part of the event's payload; whatever is not an object is taken for an empty one. */
type Payload = Readonly<Record<string, unknown>>

const payload = (value: unknown): Payload =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}

function eventOf(env: Env, { readFile }: CiFiles): Payload {
  const path = env.GITHUB_EVENT_PATH
  if (!path) return {}
  try {
    return payload(JSON.parse(readFile(path)))
  } catch (cause) {
    throw unusable(
      `cannot read the event in GITHUB_EVENT_PATH: ${reasonOf(cause)}`,
      "GITHUB_EVENT_PATH has to name the file with the event's payload, as the runner sets it",
      cause,
    )
  }
}

function actionsChange(env: Env, event: Payload): Change {
  const pull = event.pull_request
  if (pull !== undefined && pull !== null) {
    const { base, head } = payload(pull)
    const ref = branch("pull_request.base.ref", payload(base).ref)
    // Not GITHUB_SHA: that is a merge which GitHub made for the test, and which nobody signs.
    return {
      base: objectId("pull_request.base.sha", payload(base).sha),
      head: objectId("pull_request.head.sha", payload(head).sha),
      ref,
      source: sourceOf(payload(head).ref, ref),
    }
  }
  const group = payload(event.merge_group)
  if (group.head_sha !== undefined) {
    return {
      base: objectId("merge_group.base_sha", group.base_sha),
      head: objectId("merge_group.head_sha", group.head_sha),
      ref: branch("merge_group.base_ref", group.base_ref),
      source: undefined,
    }
  }
  const ref = actionsRef(env)
  const known = otherBranch("repository.default_branch", payload(event.repository).default_branch, ref)
  if (ref.startsWith("refs/tags/")) return { base: known, head: ref, ref, source: undefined }
  const isPush = env.GITHUB_EVENT_NAME === "push"
  const before = isPush ? idOrZero("before", event.before) : undefined
  const after = isPush ? idOrZero("after", event.after) : undefined
  return {
    base: before ?? known,
    head: after ?? objectId("GITHUB_SHA", env.GITHUB_SHA),
    ref,
    source: labelOf(ref),
  }
}

/** @throws ERR_CONFIG also for the ref of a pull request, which is neither a branch nor a tag: what it changes, only its event says */
function actionsRef({ GITHUB_REF: value = "", GITHUB_EVENT_PATH: path }: Env): string {
  if (!value.startsWith("refs/pull/")) return refName("GITHUB_REF", value)
  const where = path ? `the event in GITHUB_EVENT_PATH (${path}) has none` : "GITHUB_EVENT_PATH names no event"
  throw unusable(
    `GITHUB_REF is of a pull request, ${value}, and ${where}`,
    "GITHUB_EVENT_PATH has to name the event of the pull request, with pull_request.base and pull_request.head",
  )
}

function gitlab(env: Env): CiContext {
  const change = gitlabChange(env)
  return {
    system: "gitlab",
    ...change,
    format: "text",
    fetchHint: `give the job the variable GIT_DEPTH: "0", and run: ${fetchCommand(change)}`,
    commitUrl: env.CI_PROJECT_URL ? `${env.CI_PROJECT_URL}/-/commit/` : undefined,
    summaryFile: undefined,
    outputFile: undefined,
  }
}

function gitlabChange(env: Env): Change {
  const sha = objectId("CI_COMMIT_SHA", env.CI_COMMIT_SHA)
  const target = env.CI_MERGE_REQUEST_TARGET_BRANCH_NAME
  if (target) {
    const ref = branch("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", target)
    return {
      // CI_MERGE_REQUEST_DIFF_BASE_SHA stays what it was when a merge request gets another target, so that commits of a branch that was the
      // target before would be taken for known.
      base: idOrZero("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", env.CI_MERGE_REQUEST_TARGET_BRANCH_SHA) ?? remote(ref),
      // In a pipeline for merged results CI_COMMIT_SHA is a merge that GitLab made for it.
      head: idOrZero("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", env.CI_MERGE_REQUEST_SOURCE_BRANCH_SHA) ?? sha,
      ref,
      source: sourceOf(env.CI_MERGE_REQUEST_SOURCE_BRANCH_NAME, ref),
    }
  }
  if (env.CI_COMMIT_TAG) {
    const ref = refName("CI_COMMIT_TAG", `refs/tags/${env.CI_COMMIT_TAG}`)
    return { base: otherBranch("CI_DEFAULT_BRANCH", env.CI_DEFAULT_BRANCH, ref), head: ref, ref, source: undefined }
  }
  const ref = branch("CI_COMMIT_BRANCH", env.CI_COMMIT_BRANCH)
  const before = idOrZero("CI_COMMIT_BEFORE_SHA", env.CI_COMMIT_BEFORE_SHA)
  const known = otherBranch("CI_DEFAULT_BRANCH", env.CI_DEFAULT_BRANCH, ref)
  return { base: before ?? known, head: sha, ref, source: labelOf(ref) }
}

function buildkite(env: Env): CiContext {
  const change = buildkiteChange(env)
  return {
    system: "buildkite",
    ...change,
    format: "text",
    fetchHint: `let the clone keep its history (no --depth in BUILDKITE_GIT_CLONE_FLAGS), or run: ${fetchCommand(change)}`,
    commitUrl: undefined,
    summaryFile: undefined,
    outputFile: undefined,
  }
}

/** Buildkite does not say what a branch was before a push, so that everything on it that is not on the default branch is verified again. */
function buildkiteChange(env: Env): Change {
  if (env.BUILDKITE_TAG) {
    const ref = refName("BUILDKITE_TAG", `refs/tags/${env.BUILDKITE_TAG}`)
    const name = "BUILDKITE_PIPELINE_DEFAULT_BRANCH"
    return { base: otherBranch(name, env.BUILDKITE_PIPELINE_DEFAULT_BRANCH, ref), head: ref, ref, source: undefined }
  }
  // A build that somebody starts for a branch says HEAD.
  const head = env.BUILDKITE_COMMIT === "HEAD" ? "HEAD" : objectId("BUILDKITE_COMMIT", env.BUILDKITE_COMMIT)
  const isPullRequest = env.BUILDKITE_PULL_REQUEST !== undefined && !/^(false|)$/.test(env.BUILDKITE_PULL_REQUEST)
  if (isPullRequest) {
    const ref = branch("BUILDKITE_PULL_REQUEST_BASE_BRANCH", env.BUILDKITE_PULL_REQUEST_BASE_BRANCH)
    return { base: remote(ref), head, ref, source: sourceOf(env.BUILDKITE_BRANCH, ref) }
  }
  const ref = branch("BUILDKITE_BRANCH", env.BUILDKITE_BRANCH)
  return {
    base: otherBranch("BUILDKITE_PIPELINE_DEFAULT_BRANCH", env.BUILDKITE_PIPELINE_DEFAULT_BRANCH, ref),
    head,
    ref,
    source: labelOf(ref),
  }
}

/** Of a fork's branch with the name of the target, whoever reads it here would take the target itself. */
const sourceOf = (name: unknown, target: string): string | undefined =>
  typeof name !== "string" || name === "" || name === labelOf(target) ? undefined : name

const labelOf = (ref: string): string => ref.slice("refs/heads/".length)

/** For a new branch what the default branch has is known already; for the default branch itself nothing is. */
function otherBranch(name: string, value: unknown, ref: string): string | undefined {
  if (value === undefined || value === "") return undefined
  const other = branch(name, value)
  return other === ref ? undefined : remote(other)
}

const remote = (ref: string): string => `origin/${labelOf(ref)}`

/**
 * `git fetch` for everything that the change is about; a branch is fetched into the name that `base` has for it. This depth is git's word
 * for all of the history; --unshallow says the same, and is an error where nothing is missing.
 */
function fetchCommand({ base, head, ref }: Change): string {
  const isTag = ref.startsWith("refs/tags/")
  const tag = isTag ? [`+${ref}:${ref}`] : []
  const wanted = [base, isTag || head === "HEAD" ? undefined : head].flatMap((one) => {
    const [, name] = /^origin\/(.+)$/.exec(one ?? "") ?? []
    return name === undefined ? (one ?? []) : `+refs/heads/${name}:refs/remotes/origin/${name}`
  })
  return ["git fetch --depth=2147483647 origin", ...[...tag, ...wanted].map(shellQuote)].join(" ")
}

/** @throws ERR_CONFIG for what is no object id */
function objectId(name: string, value: unknown): string {
  const id = idOrZero(name, value)
  if (id === undefined)
    throw unusable(`the CI system does not say ${name}`, `${expected(name)} has to be a commit's id`)
  return id
}

/** Undefined for nothing and for git's id of nothing, all zeros. */
function idOrZero(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null || value === "") return undefined
  if (typeof value !== "string" || !/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(value)) {
    throw unusable(
      `what the CI system says for ${name} is no object id`,
      `${expected(name)} has to be a commit's whole id, 40 or 64 digits`,
    )
  }
  return /^0+$/.test(value) ? undefined : value
}

/** The full name of a branch that is given with or without `refs/heads/`. */
function branch(name: string, value: unknown): string {
  if (typeof value !== "string" || value === "") {
    throw unusable(`the CI system does not say ${name}`, `${expected(name)} has to be the name of a branch`)
  }
  return refName(name, value.startsWith("refs/heads/") ? value : `refs/heads/${value}`)
}

/** What git-check-ref-format(1) forbids would be read as an operator of a revision. */
function refName(name: string, value: string): string {
  const isName =
    /^refs\/(heads|tags)\/[^\p{Cc} ~^:?*[\\]+$/u.test(value) &&
    !/\.\.|@\{|\/\/|\/$|\/\.|\.$|\.lock(\/|$)/.test(value) &&
    !/^refs\/(heads|tags)\/-/.test(value)
  if (isName) return value
  const full = name === "GITHUB_REF" ? ", such as refs/heads/main" : ""
  throw unusable(
    value === ""
      ? `the CI system does not say ${name}`
      : `what the CI system says for ${name} is no name of a branch or tag`,
    `${expected(name)} has to be the name of a branch or tag${full}`,
  )
}

/** A variable by its name, a member of an event by where it is. */
const expected = (name: string): string => (/^[A-Z]/.test(name) ? name : `${name} of the event in GITHUB_EVENT_PATH`)

/** What the CI system says makes no sense: what would, and what to do without it. */
const unusable = (message: string, wanted: string, cause?: unknown): GitsignError =>
  new GitsignError("ERR_CONFIG", message, {
    ...(cause === undefined ? {} : { cause }),
    hint: `${wanted}; or say what to verify: gitsign verify --ref BRANCH BASE..HEAD`,
  })
