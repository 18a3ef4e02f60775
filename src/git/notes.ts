/**
 * Copies the notes of commits to the commits that take their places (git-notes(1), notes.rewriteRef).
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { GitsignError } from "../errors.ts"
import { feedGit, listRefs } from "./revisions.ts"
import { type GitContext, runGit } from "./run.ts"
import type { RefUpdate } from "./update-refs.ts"

/** Settings under which git would keep parts of an index elsewhere, or start a daemon for it. */
const PLAIN_INDEX = ["-c", "core.splitIndex=false", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"]

/** Notes of many commits are listed in this many bytes. */
const MAX_LISTING = 256 * 1024 * 1024

/**
 * Writes, for every ref under `refs/notes/` that has notes on the old commits, a commit in which the new ones have the same
 * notes too. No ref is moved: the caller does that with what is returned, together with the branch.
 *
 * @param rewritten the new id for each old one
 * @throws ERR_RESIGN when git cannot read or write the notes
 */
export async function copyNotes(
  context: GitContext,
  rewritten: ReadonlyMap<string, string>,
  message: string,
): Promise<RefUpdate[]> {
  const updates: RefUpdate[] = []
  for (const { name, id, type } of await listRefs(context, "refs/notes/")) {
    // Something else lies where notes should be; git notes cannot read it either.
    if (type !== "commit") continue
    const entries = copiesOf(await listTree(context, id), rewritten)
    if (entries.length > 0) updates.push({ ref: name, from: id, to: await commitNotes(context, id, entries, message) })
  }
  return updates
}

async function listTree(context: GitContext, commit: string): Promise<string> {
  const { status, stdout, stderr } = await runGit(context, ["ls-tree", "-r", "-z", commit], MAX_LISTING)
  if (status !== 0) throw failure(stderr)
  // Paths in it that are no notes may be any bytes.
  return stdout.toString("latin1")
}

/** The lines `MODE TYPE ID TAB PATH` of the copies: the path of a note is the commit's id, with slashes as deep as git has put them. */
function copiesOf(listing: string, rewritten: ReadonlyMap<string, string>): string[] {
  return listing.split("\0").flatMap((line) => {
    const tab = line.indexOf("\t")
    const path = line.slice(tab + 1)
    const to = rewritten.get(path.replaceAll("/", ""))
    return to === undefined ? [] : [`${line.slice(0, tab)}\t${like(path, to)}`]
  })
}

function like(path: string, id: string): string {
  let next = 0
  return Array.from(path, (character) => (character === "/" ? "/" : (id[next++] ?? ""))).join("")
}

async function commitNotes(
  context: GitContext,
  parent: string,
  entries: readonly string[],
  message: string,
): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "gitsign-notes-"))
  try {
    // An index of its own; the one of the work tree is not touched.
    const apart = { ...context, env: { ...context.env, GIT_INDEX_FILE: join(directory, "index") } }
    const git = async (args: readonly string[], input = ""): Promise<string> => {
      const { status, stdout, stderr } = await feedGit(apart, [...PLAIN_INDEX, ...args], input)
      if (status !== 0) throw failure(stderr)
      return stdout.toString("latin1").trim()
    }
    await git(["read-tree", `${parent}^{tree}`])
    await git(["update-index", "-z", "--index-info"], entries.map((entry) => `${entry}\0`).join(""))
    const tree = await git(["write-tree"])
    return await git(["commit-tree", tree, "-p", parent], `${message}\n`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const failure = (stderr: string): GitsignError =>
  new GitsignError("ERR_RESIGN", `git could not copy the notes: ${stderr.replaceAll("\n", "; ")}`)
