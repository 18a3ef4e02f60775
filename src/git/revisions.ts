/**
 * Which commits a question is about (git-rev-list(1), git-rev-parse(1), git-merge-base(1), git-for-each-ref(1)).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { ambiguous, ambiguousName } from "./objects.ts"
import { collectStderr, type GitContext, runGit, startError, startGit } from "./run.ts"

/** What git may answer with ids: 40 bytes for each of a few million commits, in bytes. */
const MAX_LISTING = 256 * 1024 * 1024

/** A name that begins with a dash would be an option, one with a line feed two names. */
const checkName = (name: string): string => {
  if (name.startsWith("-") || /[\n\0]/.test(name) || name === "") {
    throw new GitsignError("ERR_GIT", `${JSON.stringify(name)} is no revision`, {
      hint: "see what is there with: git log --all --oneline",
    })
  }
  return name
}

/** Feeds lines to a git process and returns what it prints; the status is the caller's to look at. */
export async function feedGit(
  context: GitContext,
  args: readonly string[],
  input: string | Uint8Array,
): Promise<{ status: number; stdout: Buffer; stderr: string }> {
  const child = startGit(context, args)
  const stderr = collectStderr(child)
  child.stdin.on("error", () => undefined)
  child.stdin.end(input)
  const chunks: Buffer[] = []
  let size = 0
  child.stdout.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size > MAX_LISTING) child.kill()
    else chunks.push(chunk)
  })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", (error) => reject(startError(error)))
    child.on("close", resolve)
  })
  if (status === null) throw new GitsignError("ERR_GIT", `git ${args[0]} did not end by itself`)
  return { status, stdout: Buffer.concat(chunks), stderr: stderr() }
}

const linesOf = (output: Buffer): string[] =>
  output
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "")

/**
 * The commits that can be reached from `include` and not from `exclude`, newest first, no commit before its children.
 *
 * @throws ERR_GIT when a name names nothing, or an object on the way is missing; ERR_SHALLOW when that is so in a shallow clone
 */
export async function walkCommits(
  context: GitContext,
  include: readonly string[],
  exclude: readonly string[],
  options: { readonly firstParent?: boolean } = {},
): Promise<string[]> {
  if (include.length === 0) return []
  const input = [...include.map(checkName), ...exclude.map((name) => `^${checkName(name)}`)]
  const args = ["rev-list", "--topo-order"]
  if (options.firstParent) args.push("--first-parent")
  const { status, stdout, stderr } = await feedGit(context, [...args, "--stdin"], `${input.join("\n")}\n`)
  if (status !== 0) throw await explain(context, stderr)
  return linesOf(stdout)
}

async function explain(context: GitContext, stderr: string): Promise<GitsignError> {
  const [, unknown] =
    /(?:bad revision|bad object|unknown revision or path.*|ambiguous argument) '?\^?([^'\n]*)'?/.exec(stderr) ?? []
  const [outside] = /not a git repository.*|detected dubious ownership[\s\S]*/.exec(stderr) ?? []
  if (outside !== undefined) return new GitsignError("ERR_GIT", outside, { hint: "run it inside the repository" })
  if (/corrupt|inflate|unpack|hash mismatch/.test(stderr)) {
    return new GitsignError("ERR_DAMAGED", `the repository is damaged: ${stderr.replace(/^bad revision.*\n/, "")}`)
  }
  if (await isShallow(context)) {
    const what = unknown ? `${unknown} is not in this shallow clone` : `this shallow clone lacks history (${stderr})`
    return new GitsignError("ERR_SHALLOW", what)
  }
  const what = unknown ? `there is no revision ${unknown} in this repository` : stderr
  return new GitsignError("ERR_GIT", what, unknown ? { hint: "see what is there with: git log --all --oneline" } : {})
}

/** Whether this is a shallow clone, whose history ends somewhere. */
export async function isShallow(context: GitContext): Promise<boolean> {
  const { stdout } = await runGit(context, ["rev-parse", "--is-shallow-repository"])
  return stdout.toString("latin1").trim() === "true"
}

/**
 * The object id that a revision names, and the full name of the ref when it is one.
 *
 * A name that stands for more than one thing is refused: whoever may push a tag `origin/main` could put it before the branch of that
 * name, and so choose what is left out of a range.
 *
 * @throws ERR_GIT when it names nothing, or more than one thing; ERR_SHALLOW when it may name nothing because of a shallow clone
 */
export async function resolveRevision(
  context: GitContext,
  revision: string,
): Promise<{ readonly id: string; readonly ref: string | undefined }> {
  const { id, stderr } = await lookUp(context, revision, [])
  const name = ambiguousName(stderr, id?.length ?? 0)
  if (name !== undefined) throw ambiguous(name)
  // What git says of a damaged object counts more than that the revision then names nothing.
  if (id === undefined || !(await isWholeName(context, revision))) {
    throw await explain(context, `bad revision '${revision}'\n${stderr}`)
  }
  const named = await runGit(context, ["rev-parse", "--symbolic-full-name", "--end-of-options", revision])
  // git repeats the option.
  const [ref] = linesOf(named.stdout).filter((line) => line !== "--end-of-options")
  return { id, ref: named.status === 0 && ref?.startsWith("refs/") ? ref : undefined }
}

/** Where there is no `refs/remotes/origin/main`, git would take a tag of that whole name for it. */
async function isWholeName(context: GitContext, revision: string): Promise<boolean> {
  const [name = ""] = revision.split(/[~^:]|@\{/, 1)
  if (!name.startsWith("refs/")) return true
  return (await runGit(context, ["show-ref", "--verify", "--quiet", "--", name])).status === 0
}

/** The object id that a revision names; undefined when there is none. */
export const tryResolve = async (context: GitContext, revision: string): Promise<string | undefined> =>
  (await lookUp(context, revision, ["--quiet"])).id

/** @param options `--quiet` also keeps git from saying that a name is ambiguous */
async function lookUp(
  context: GitContext,
  revision: string,
  options: readonly string[],
): Promise<{ id: string | undefined; stderr: string }> {
  const args = ["-c", "core.warnAmbiguousRefs=true", "rev-parse", "--verify", ...options, "--end-of-options"]
  const { status, stdout, stderr } = await runGit(context, [...args, checkName(revision)])
  const id = stdout.toString("latin1").trim()
  return { id: status === 0 && /^[0-9a-f]{40,64}$/.test(id) ? id : undefined, stderr }
}

/** The branch that HEAD is, as `refs/heads/NAME`; undefined when it is detached. */
export async function currentBranch(context: GitContext): Promise<string | undefined> {
  const { status, stdout } = await runGit(context, ["symbolic-ref", "--quiet", "HEAD"])
  return status === 0 ? stdout.toString("utf8").trim() : undefined
}

/** The best common ancestors of two commits; none when they have no history in common. */
export async function mergeBases(context: GitContext, one: string, other: string): Promise<string[]> {
  const args = ["merge-base", "--all", "--end-of-options", checkName(one), checkName(other)]
  const { status, stdout, stderr } = await runGit(context, args)
  if (status > 1) throw await explain(context, stderr)
  return linesOf(stdout)
}

/** A ref and what it points to. */
export interface Ref {
  /** `refs/…` */
  readonly name: string
  readonly id: string
  readonly type: string
}

/** The refs under some prefixes, such as `refs/heads/`; all refs when none is given. */
export async function listRefs(context: GitContext, ...prefixes: readonly string[]): Promise<Ref[]> {
  const format = "--format=%(objectname) %(objecttype) %(refname)"
  const { status, stdout, stderr } = await runGit(context, ["for-each-ref", format, ...prefixes], MAX_LISTING)
  if (status !== 0) throw new GitsignError("ERR_GIT", stderr)
  return linesOf(stdout).map((line) => {
    const [id = "", type = "", ...name] = line.split(" ")
    return { name: name.join(" "), id, type }
  })
}
