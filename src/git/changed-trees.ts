/**
 * Collects the git objects from which it follows which files a commit changes, and says where it is made
 * (git-diff-tree(1), git-rev-parse(1), git-symbolic-ref(1)).
 *
 * @module
 */

import { parseSignedPayload } from "../formats/signed-payload.ts"
import { readObjects } from "./objects.ts"
import { type GitContext, runGit, startGit } from "./run.ts"

/** What goes into one message to the agent beside the payload. Sizes are in bytes. */
const LIMITS = {
  objects: 4096,
  object: 2 * 1024 * 1024,
  /** Payload and objects together; a message has 8 MiB and other things in it too. */
  total: 5 * 1024 * 1024,
  /** What `git diff-tree` may list; many files need few trees. */
  listing: 32 * 1024 * 1024,
} as const

/** The comparing is given up after this time: a person waits. In milliseconds. */
const COMPARE_MS = 10_000

/** git knows these without having them. */
const EMPTY_TREE = {
  sha1: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
  sha256: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
} as const

/**
 * Collects the commit that is the payload's first parent, and the trees on the changed paths of both sides, as raw
 * objects `TYPE SP SIZE NUL CONTENT`. For a commit without parents, all its trees.
 *
 * @returns an empty list for tags and other payloads, when an object is missing (as in a shallow or partial clone, from
 * which nothing is fetched), and when they are more than 4096, or more than 5 MiB with the payload. Never throws.
 */
export async function changedTreeObjects(context: GitContext, payload: Uint8Array): Promise<Uint8Array[]> {
  try {
    const { tree, parents, objectFormat } = parseSignedPayload(payload)
    if (tree === undefined) return []
    // A question to the person must not become a download with questions of its own.
    const offline = { cwd: context.cwd, env: { ...context.env, GIT_NO_LAZY_FETCH: "1" } }
    const [parent] = parents
    const trees = await changedTrees(offline, parent ?? EMPTY_TREE[objectFormat], tree)
    if (trees === undefined) return []
    const wanted = new Set([...(parent === undefined ? [] : [parent, `${parent}^{tree}`]), tree, ...trees])
    const objects: Uint8Array[] = []
    let total = payload.length
    for await (const { type, raw } of readObjects(offline, [...wanted])) {
      total += raw.length + type.length + 16
      if (raw.length + 32 > LIMITS.object || total > LIMITS.total) return []
      objects.push(Buffer.concat([Buffer.from(`${type} ${raw.length}\0`, "latin1"), raw]))
    }
    return objects
  } catch {
    // The person is then told that the files are not known.
    return []
  }
}

/** The ids of the trees below the two that differ, on both sides; undefined when they are too many or git cannot tell. */
function changedTrees(context: GitContext, before: string, after: string): Promise<Set<string> | undefined> {
  const args = [
    "diff-tree",
    "-r",
    "-t",
    "-z",
    "--raw",
    "--no-abbrev",
    "--no-renames",
    "--no-ext-diff",
    before,
    after,
    "--",
  ]
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined
    const end = (found: Set<string> | undefined): void => {
      clearTimeout(timer)
      resolve(found)
    }
    const child = startGit(context, args)
    child.on("error", () => end(undefined))
    const trees = new Set<string>()
    const stop = (): void => {
      child.kill()
      end(undefined)
    }
    timer = setTimeout(stop, COMPARE_MS)
    let size = 0
    let rest = ""
    let isPath = false
    child.stdin.on("error", () => undefined)
    child.stdin.end()
    child.stderr.resume()
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length
      const fields = `${rest}${chunk.toString("latin1")}`.split("\0")
      rest = fields.pop() ?? ""
      for (const field of fields) {
        if (!isPath) for (const id of treesOf(field)) trees.add(id)
        isPath = !isPath
      }
      if (trees.size > LIMITS.objects - 3 || size > LIMITS.listing) stop()
    })
    child.on("close", (status) => end(status === 0 ? trees : undefined))
  })
}

/** The trees in `:MODE MODE ID ID STATUS`. */
function treesOf(field: string): string[] {
  const [oldMode, newMode, oldId = "", newId = ""] = field.split(" ")
  return [...(oldMode === ":040000" ? [oldId] : []), ...(newMode === "040000" ? [newId] : [])]
}

/** The longest path or branch that is told, in UTF-16 code units. */
const MAX_NAME = 4096

/**
 * Where a commit is being made: the top of the worktree (of a bare repository the git directory), and the branch,
 * `detached` when there is none. Each is "" when git does not tell. Never throws.
 */
export async function repositoryAndBranch(context: GitContext): Promise<{ repository: string; branch: string }> {
  const [top, branch] = await Promise.all([
    answerOf(context, ["rev-parse", "--show-toplevel"]),
    answerOf(context, ["symbolic-ref", "--quiet", "--short", "HEAD"]),
  ])
  const repository = top.answer || (await answerOf(context, ["rev-parse", "--absolute-git-dir"])).answer
  return { repository, branch: branch.answer || (branch.status === 1 ? "detached" : "") }
}

async function answerOf(context: GitContext, args: readonly string[]): Promise<{ status: number; answer: string }> {
  try {
    const { status, stdout } = await runGit(context, args)
    const answer = status === 0 ? stdout.toString("utf8").replace(/\n$/, "").slice(0, MAX_NAME) : ""
    return { status, answer }
  } catch {
    return { status: -1, answer: "" }
  }
}
