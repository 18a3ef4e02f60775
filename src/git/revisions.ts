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

/** What it is when a name names nothing: a mistake of whoever typed it, or something that git does not have now. */
type WhenMissing = "ERR_USAGE" | "ERR_GIT"

/** A name that begins with a dash would be an option, one with a line feed two names. */
const checkName = (name: string, missing: WhenMissing = "ERR_GIT"): string => {
  if (name.startsWith("-") || /[\n\0]/.test(name) || name === "") {
    throw new GitsignError(missing, `${JSON.stringify(name)} is no revision`, {
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
  const input = [...include.map((name) => checkName(name)), ...exclude.map((name) => `^${checkName(name)}`)]
  const args = ["rev-list", "--topo-order"]
  if (options.firstParent) args.push("--first-parent")
  const { status, stdout, stderr } = await feedGit(context, [...args, "--stdin"], `${input.join("\n")}\n`)
  if (status !== 0) throw await explain(context, stderr)
  return linesOf(stdout)
}

async function explain(context: GitContext, stderr: string, missing: WhenMissing = "ERR_GIT"): Promise<GitsignError> {
  const [, unknown] =
    /(?:bad revision|bad object|unknown revision or path.*|ambiguous argument) '?\^?([^'\n]*)'?/.exec(stderr) ?? []
  const [outside] = /not a git repository.*|detected dubious ownership[\s\S]*/.exec(stderr) ?? []
  if (outside !== undefined) {
    const code = outside.startsWith("not a git") ? missing : "ERR_GIT"
    return new GitsignError(code, outside, { hint: "run it inside the repository" })
  }
  if (/corrupt|inflate|unpack|hash mismatch/.test(stderr)) {
    return new GitsignError("ERR_DAMAGED", `the repository is damaged: ${stderr.replace(/^bad revision.*\n/, "")}`)
  }
  // What a shallow clone pushes: receive-pack tells where it ends, which the pusher has said and nobody has signed.
  if (context.env.GIT_SHALLOW_FILE || (await isShallow(context))) {
    const what = unknown ? `${unknown} is not in this shallow clone` : `this shallow clone lacks history (${stderr})`
    const fetch = unknown ? await fetchOf(context, unknown, "--unshallow ") : undefined
    return new GitsignError("ERR_SHALLOW", what, fetch === undefined ? {} : { hint: `fetch it with: ${fetch}` })
  }
  if (!unknown) return new GitsignError("ERR_GIT", stderr)
  const fetch = await fetchOf(context, unknown, "")
  return new GitsignError(missing, `there is no revision ${unknown} in this repository`, {
    hint: fetch === undefined ? "see what is there with: git log --all --oneline" : `fetch it with: ${fetch}`,
  })
}

/**
 * The command that brings a remote's branch here, where a clone of a single branch (`git clone --depth` makes one) lacks it: there a plain
 * `git fetch` brings only that one. Undefined for what is no name of one.
 */
async function fetchOf(context: GitContext, revision: string, options: string): Promise<string | undefined> {
  const name = nameIn(revision).replace(/^(refs\/)?remotes\//, "")
  // Nothing for a shell to expand, and no name that only the remote has: its HEAD.
  if (!/^[\w.-]+(\/[\w.+-]+)+$/.test(name) || name.startsWith("-")) return undefined
  const { stdout } = await runGit(context, ["remote"])
  const remote = linesOf(stdout).find((one) => name.startsWith(`${one}/`))
  const branch = remote === undefined ? "" : name.slice(remote.length + 1)
  if (remote === undefined || branch === "HEAD" || branch === "") return undefined
  // One that is here already lacks only what is before it.
  const { status } = await runGit(context, ["show-ref", "--verify", "--quiet", "--", `refs/remotes/${name}`])
  return status === 0 ? undefined : `git fetch ${options}${remote} ${branch}:refs/remotes/${name}`
}

/** How many hex digits a whole object id has in this repository. */
export async function idLength(context: GitContext): Promise<40 | 64> {
  const { stdout } = await runGit(context, ["rev-parse", "--show-object-format"])
  return stdout.toString("latin1").trim() === "sha256" ? 64 : 40
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
 * @param missing the code where it names nothing
 * @throws `missing`; ERR_GIT when it names more than one thing, or a tag that bears the whole name of something else; ERR_SHALLOW when
 * it may name nothing because of a shallow clone
 */
export async function resolveRevision(
  context: GitContext,
  revision: string,
  missing: WhenMissing = "ERR_GIT",
): Promise<{ readonly id: string; readonly ref: string | undefined }> {
  const { id, stderr } = await lookUp(context, checkName(revision, missing), [])
  const name = ambiguousName(stderr, id?.length ?? 0)
  if (name !== undefined) throw ambiguous(name)
  // What git says of a damaged object counts more than that the revision then names nothing.
  if (id === undefined) throw await explain(context, `bad revision '${revision}'\n${stderr}`, missing)
  if (!(await isWholeName(context, revision))) throw await explain(context, `bad revision '${revision}'`)
  return { id, ref: await refOf(context, revision) }
}

/**
 * The commit that a revision stands for, for a tag the one that it leads to; the object that it names, and the full name of the ref.
 *
 * @param missing the code where it names nothing, or no commit
 * @throws as {@link resolveRevision}; ERR_GIT when an object on the way is not here; ERR_DAMAGED when it is broken
 */
export async function resolveCommit(
  context: GitContext,
  revision: string,
  missing: WhenMissing = "ERR_GIT",
): Promise<{ readonly id: string; readonly object: string; readonly ref: string | undefined }> {
  const { id: object, ref } = await resolveRevision(context, revision, missing)
  return { id: await commitOf(context, revision, object, missing), object, ref }
}

/**
 * The commit that an object is, or that a tag leads to.
 *
 * @param revision what the object was called, for messages
 * @throws as {@link resolveCommit}
 */
export async function commitOf(
  context: GitContext,
  revision: string,
  object: string,
  missing: WhenMissing = "ERR_GIT",
): Promise<string> {
  // Not the revision with something behind it: `:/text` takes all that follows for text.
  const { id, stderr } = await lookUp(context, `${object}^{commit}`, [])
  if (id !== undefined) return id
  const [, type] = /dereferences to (\w+) type/.exec(stderr) ?? []
  if (type !== undefined) {
    throw new GitsignError(missing, `${revision} stands for a ${type}, not for a commit`, {
      hint: "name a commit or a tag",
    })
  }
  const failed = await explain(context, `bad object ${object}\n${stderr}`)
  if (failed.code !== "ERR_GIT") throw failed
  const what = revision === object ? `there is no object ${object}` : `${revision} leads to an object that is not`
  throw new GitsignError("ERR_GIT", `${what} in this repository`, {
    hint: "fetch it first, or check the repository with: git fsck",
  })
}

/** The full name of the ref that a revision is. */
async function refOf(context: GitContext, revision: string): Promise<string | undefined> {
  // Of a whole name git would only say that it is ambiguous where a tag bears it too.
  if (revision === "HEAD" || revision === "@") return currentBranch(context)
  if (revision.startsWith("refs/") && revision === nameIn(revision)) {
    const { status, stdout } = await runGit(context, ["symbolic-ref", "--quiet", "--", revision])
    return status === 0 ? stdout.toString("utf8").trim() : revision
  }
  const named = await runGit(context, ["rev-parse", "--symbolic-full-name", "--end-of-options", revision])
  // git repeats the option.
  const [ref] = linesOf(named.stdout).filter((line) => line !== "--end-of-options")
  return named.status === 0 && ref?.startsWith("refs/") ? ref : undefined
}

/** The name that a revision begins with: `main` of `main~2^{commit}`. */
const nameIn = (revision: string): string => revision.split(/[~^:]|@\{/, 1)[0] ?? ""

/**
 * Whether the name in a revision is what it says: where there is no `refs/remotes/origin/main`, git would take a tag of that whole name
 * for it, and a tag called `HEAD` where HEAD is a branch without commits. What is no whole name may be anything.
 */
export async function isWholeName(context: GitContext, revision: string): Promise<boolean> {
  const name = nameIn(revision) === "@" ? "HEAD" : nameIn(revision)
  if (name !== "HEAD" && !name.startsWith("refs/")) return true
  return (await runGit(context, ["show-ref", "--verify", "--quiet", "--", name])).status === 0
}

/** The object id that a revision names; undefined when there is none. */
export async function tryResolve(context: GitContext, revision: string): Promise<string | undefined> {
  const { id } = await lookUp(context, revision, ["--quiet"])
  return id !== undefined && (await isWholeName(context, revision)) ? id : undefined
}

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
