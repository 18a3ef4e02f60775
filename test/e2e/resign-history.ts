/**
 * Histories with everything in them that a commit can have, for the tests of `gitsign resign`.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { expect } from "vitest"
import type { Ran, Workspace } from "./harness.ts"

/** Expects that a command succeeded and said this. */
export function expectRan(ran: Ran, stdout: RegExp, stderr = /^/): void {
  expect(ran.status, ran.stdout + ran.stderr).toBe(0)
  expect(ran.stdout).toMatch(stdout)
  expect(ran.stderr).toMatch(stderr)
}

/** Expects that a command failed so. */
export function expectRefused(ran: Ran, status: number, code: string, message: RegExp): void {
  expect(ran.stderr).toContain(`[${code}]`)
  expect(ran.stderr).toMatch(message)
  expect(ran.status).toBe(status)
}

/** A repository with this many unsigned commits, each with a file of its own. */
export function unsignedHistory(workspace: Workspace, name: string, count: number, ...initArguments: string[]): string {
  const repository = workspace.repository(name, ...initArguments)
  for (let index = 0; index < count; index++) workspace.commit(repository, `file-${index}`, `${index}\n`)
  return repository
}

/** Runs git with bytes on stdin and returns the bytes it prints. */
function gitBytes(workspace: Workspace, repository: string, args: readonly string[], input: Buffer): Buffer {
  const ran = spawnSync("git", args, { cwd: repository, env: workspace.env, input, timeout: 60_000 })
  if (ran.status !== 0) throw new Error(`git ${args.join(" ")} exited ${ran.status}\n${ran.stderr}`)
  return ran.stdout
}

/** The bytes of a commit. */
const rawCommit = (workspace: Workspace, repository: string, id: string): Buffer =>
  gitBytes(workspace, repository, ["cat-file", "commit", id], Buffer.alloc(0))

/** What a test makes a commit of. */
export interface CommitParts {
  readonly parents: readonly string[]
  readonly author?: string
  readonly committer?: string
  /** Lines behind `committer`, each with its line feed. */
  readonly headers?: Buffer | string
  readonly message: Buffer | string
}

/** Writes a commit with exactly these bytes over the empty tree and a file of its own; returns its id. */
export function writeCommit(workspace: Workspace, repository: string, parts: CommitParts): string {
  const blob = gitBytes(workspace, repository, ["hash-object", "-w", "--stdin"], Buffer.from(parts.message))
  const entry = `100644 blob ${blob.toString().trim()}\tfile\n`
  const tree = gitBytes(workspace, repository, ["mktree"], Buffer.from(entry)).toString().trim()
  const person = "A Developer <dev@example.com> 1700000000 +0530"
  const head = [
    `tree ${tree}\n`,
    ...parts.parents.map((id) => `parent ${id}\n`),
    `author ${parts.author ?? person}\ncommitter ${parts.committer ?? person}\n`,
  ]
  const raw = Buffer.concat([
    Buffer.from(head.join("")),
    Buffer.from(parts.headers ?? ""),
    Buffer.from("\n"),
    Buffer.from(parts.message),
  ])
  return gitBytes(workspace, repository, ["hash-object", "-t", "commit", "-w", "--stdin"], raw).toString().trim()
}

/** The ids that are reachable from a revision and not from another, parents before children, as git orders them. */
export const commitsOf = (workspace: Workspace, repository: string, ...range: readonly string[]): string[] =>
  workspace
    .git(repository, "rev-list", "--topo-order", "--reverse", ...range)
    .split("\n")
    .filter(Boolean)

/** A commit without signature headers, and its parents replaced by what `name` says of them. */
function skeleton(raw: Buffer, name: (id: string) => string): string {
  const [head = "", ...body] = raw.toString("latin1").split("\n\n")
  let dropped = false
  const headers = head.split("\n").filter((line) => {
    dropped = line.startsWith(" ") ? dropped : /^gpgsig(-sha256)? /.test(line)
    return !dropped
  })
  const named = headers.map((line) => line.replace(/^parent (.*)$/, (_, id: string) => `parent ${name(id)}`))
  return [named.join("\n"), ...body].join("\n\n")
}

/**
 * Expects that a history was signed again and is otherwise the same: byte for byte but for parents and signatures, with a good signature
 * on every commit, and a repository in which git finds nothing wrong.
 */
export function expectResigned(
  workspace: Workspace,
  repository: string,
  before: readonly string[],
  after: readonly string[],
  kept: readonly string[] = [],
): void {
  expect(after).toHaveLength(before.length)
  const number = (ids: readonly string[]) => (id: string) => {
    const index = ids.indexOf(id)
    return index < 0 ? id : `#${index}`
  }
  for (const [index, old] of before.entries()) {
    const now = after[index] ?? ""
    expect(now === old).toBe(kept.includes(old))
    const [was, is] = [rawCommit(workspace, repository, old), rawCommit(workspace, repository, now)]
    expect(skeleton(is, number(after))).toBe(skeleton(was, number(before)))
    if (kept.includes(old)) continue
    const headers = is.toString("latin1").split("\n\n", 1)[0] ?? ""
    expect(headers.match(/^gpgsig/gm), headers).toHaveLength(1)
  }
  const signed = after.filter((id) => !kept.includes(id))
  const letters = workspace.git(repository, "log", "--no-walk=unsorted", "--format=%G?", ...signed).split("\n")
  expect([...new Set(letters)].sort()).toEqual(["G"])
  expect(workspace.git(repository, "fsck", "--strict", "--no-dangling")).toBe("")
}
