/**
 * Copies the notes of commits to the commits that take their places (git-notes(1), notes.rewriteRef).
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { GitsignError, isGitsignError } from "../errors.ts"
import { readEach } from "./objects.ts"
import { feedGit } from "./revisions.ts"
import { type GitContext, runGit } from "./run.ts"
import type { RefUpdate } from "./update-refs.ts"

/** Settings under which git would keep parts of an index elsewhere, or start a daemon for it. */
const PLAIN_INDEX = ["-c", "core.splitIndex=false", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"]

/** Notes of many commits are listed in this many bytes. */
const MAX_LISTING = 256 * 1024 * 1024

/** What one ref has on some commits. */
interface NotesRef {
  /** Its full name; the bytes may be no UTF-8. */
  readonly ref: Uint8Array
  /** The commit that it points to. */
  readonly id: string
  /** By the commit that they are on. */
  readonly notes: ReadonlyMap<string, Note>
}

interface Note {
  /** The commit's id, with slashes as deep as git has put them. */
  readonly path: string
  /** `MODE TYPE ID`, as `git ls-tree` has it. */
  readonly entry: string
  /** The id of its text. */
  readonly text: string
}

/** What changes on one ref. */
interface NotesChange extends NotesRef {
  /** Lines for `git update-index --index-info`. */
  readonly entries: readonly string[]
}

/**
 * Writes, for every ref under `refs/notes/` that has notes on the old commits, a commit in which the new ones have the same
 * notes too. No ref is moved: the caller does that with what is returned, together with the branch.
 *
 * @param rewritten the new id for each old one
 * @throws ERR_CONFIG when git does not know who the user is; ERR_RESIGN when git cannot read or write the notes
 */
export async function copyNotes(
  context: GitContext,
  rewritten: ReadonlyMap<string, string>,
  message: string,
): Promise<RefUpdate[]> {
  const refs = await readNotes(context, new Set(rewritten.keys()))
  const changes = refs.map((ref) => ({
    ...ref,
    entries: [...ref.notes].map(([commit, note]) => lineOf(note, rewritten.get(commit) ?? commit)),
  }))
  return writeNotes(context, changes, message)
}

/** What is on commits that are given up again. */
export interface ReturningNotes {
  readonly changes: readonly NotesChange[]
  /** How many notes go along. */
  readonly returned: number
  /** The ids of the new commits with notes that stay with them alone. */
  readonly left: readonly string[]
}

/**
 * The way back: which notes have come on the new commits since, so that {@link writeNotes} puts them on the old ones. A note that an old
 * commit has is replaced only by one that begins with it (`git notes append`): nobody knows which of two others is the later one.
 *
 * @param rewritten the new id for each old one
 * @throws ERR_RESIGN when git cannot read the notes
 */
export async function findReturningNotes(
  context: GitContext,
  rewritten: ReadonlyMap<string, string>,
): Promise<ReturningNotes> {
  const changes: NotesChange[] = []
  const left: string[] = []
  for (const ref of await readNotes(context, new Set([...rewritten.keys(), ...rewritten.values()]))) {
    const entries: string[] = []
    for (const [before, after] of rewritten) {
      const [old, made] = [ref.notes.get(before), ref.notes.get(after)]
      if (made === undefined || made.entry === old?.entry) continue
      if (old === undefined) entries.push(lineOf(made, before))
      else if (await beginsWith(context, made.text, old.text)) entries.push(`${made.entry}\t${old.path}`)
      // One that was appended to on the old commit is newer than its copy.
      else if (!(await beginsWith(context, old.text, made.text))) left.push(after)
    }
    if (entries.length > 0) changes.push({ ...ref, entries })
  }
  return { changes, returned: changes.reduce((sum, { entries }) => sum + entries.length, 0), left }
}

/**
 * Writes changed notes; the caller moves the refs.
 *
 * @throws ERR_CONFIG, ERR_RESIGN as {@link copyNotes}
 */
export async function writeNotes(
  context: GitContext,
  changes: readonly NotesChange[],
  message: string,
): Promise<RefUpdate[]> {
  if (changes.length > 0) await checkAuthor(context)
  const updates: RefUpdate[] = []
  for (const { ref, id, entries } of changes) {
    updates.push({ ref, from: id, to: await commitNotes(context, id, entries, message) })
  }
  return updates
}

/**
 * Asks before a long work whether git will be able to write notes at its end.
 *
 * @param ids the commits whose notes would be copied
 * @throws ERR_CONFIG, ERR_RESIGN as {@link copyNotes}
 */
export async function checkNotesCanBeCopied(context: GitContext, ids: ReadonlySet<string>): Promise<void> {
  if ((await readNotes(context, ids)).length > 0) await checkAuthor(context)
}

/** Each change of notes is a commit of somebody's. */
async function checkAuthor(context: GitContext): Promise<void> {
  for (const name of ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"]) {
    const { status, stderr } = await runGit(context, ["var", name])
    if (status === 0) continue
    // What comes before it is advice over many lines.
    const why = stderr.split("\n").findLast((line) => line !== "") ?? `git var exited with ${status}`
    throw new GitsignError("ERR_CONFIG", `there are notes to copy, and git does not know who does that: ${why}`, {
      hint: 'tell git who you are: git config user.name "NAME" && git config user.email ADDRESS',
    })
  }
}

/** The refs that have notes on some of the commits, and these notes. */
async function readNotes(context: GitContext, ids: ReadonlySet<string>): Promise<NotesRef[]> {
  const format = "--format=%(objectname) %(objecttype) %(symref) %(refname)"
  const { status, stdout, stderr } = await runGit(context, ["for-each-ref", format, "refs/notes/"], MAX_LISTING)
  if (status !== 0) throw failure(stderr)
  const found: NotesRef[] = []
  for (const line of stdout.toString("latin1").split("\n").filter(Boolean)) {
    const [id = "", type = "", symref = "", name = ""] = line.split(" ")
    // Something else lies where notes should be, and git notes cannot read it either; or the notes are those of another ref, which is
    // there by itself, and which git moves only once.
    if (type !== "commit" || symref !== "") continue
    const notes = notesIn(await listTree(context, id), ids)
    if (notes.size > 0) found.push({ ref: Buffer.from(name, "latin1"), id, notes })
  }
  return found
}

async function listTree(context: GitContext, commit: string): Promise<string> {
  const { status, stdout, stderr } = await runGit(context, ["ls-tree", "-r", "-z", commit], MAX_LISTING)
  if (status !== 0) throw failure(stderr)
  // Paths in it that are no notes may be any bytes.
  return stdout.toString("latin1")
}

function notesIn(listing: string, ids: ReadonlySet<string>): Map<string, Note> {
  const notes = new Map<string, Note>()
  for (const line of listing.split("\0")) {
    const [, entry = "", text = "", path = ""] = /^(\d+ \w+ ([0-9a-f]+))\t(.*)$/s.exec(line) ?? []
    const commit = path.replaceAll("/", "")
    if (ids.has(commit)) notes.set(commit, { path, entry, text })
  }
  return notes
}

/** The line for `git update-index` that puts a note on another commit. */
const lineOf = ({ entry, path }: Note, commit: string): string => `${entry}\t${like(path, commit)}`

function like(path: string, id: string): string {
  let next = 0
  return Array.from(path, (character) => (character === "/" ? "/" : (id[next++] ?? ""))).join("")
}

/** Whether one note begins with all of another one; not where they cannot be read. */
async function beginsWith(context: GitContext, id: string, beginning: string): Promise<boolean> {
  const texts: Buffer[] = []
  for await (const found of readEach(context, [id, beginning])) {
    if (isGitsignError(found)) return false
    texts.push(found.raw)
  }
  const [whole, part] = texts
  return whole !== undefined && part !== undefined && whole.subarray(0, part.length).equals(part)
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
