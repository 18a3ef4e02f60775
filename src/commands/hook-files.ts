/**
 * The files of hooks: puts gitsign's into place beside those of others, and takes them away again.
 *
 * A hook that was there is renamed and runs after gitsign's; taken away, it gets its name back, untouched. A hook that is a file of the
 * repository gets lines at its beginning instead. Only what bears the mark of this program is ever changed or removed.
 *
 * @module
 */

import {
  closeSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { GitsignError, reasonOf } from "../errors.ts"
import { folderRunBy, refuseWhatAsksItsName } from "./hook-others.ts"
import {
  BEFORE_SUFFIX,
  type HookName,
  hasBlock,
  hookScript,
  isHookScript,
  withBlock,
  withoutBlock,
} from "./hook-script.ts"

/** A hook to be written. */
export interface WantedHook {
  readonly directory: string
  readonly name: HookName
  readonly program: readonly string[]
  readonly warnOnly: boolean
}

/** Tells a person what was done, a line each. */
export type Tell = (line: string) => void

/**
 * Prepares a hook in a directory of hooks. Nothing is written until what it returns is called.
 *
 * @throws ERR_HOOK where it could not be written without harm to what is there
 */
export function planHook(wanted: WantedHook): (tell: Tell) => void {
  const path = join(wanted.directory, wanted.name)
  const before = `${path}${BEFORE_SUFFIX}`
  const found = look(path)
  if (found.kind === "other") {
    const folder = folderRunBy(path, wanted.name, found.text)
    if (folder !== undefined) return planPart(wanted, join(folder, PART), path)
    if (look(before).kind !== "none" && !isSame(path, before)) throw keptAlready(path, before)
    refuseWhatAsksItsName(path, wanted.name, found.text)
  }
  const chained = found.kind === "other" || look(before).kind !== "none"
  const text = hookScript({ ...wanted, chained })
  return (tell) => {
    const giveBack = found.kind === "other" ? keep(path, before) : () => undefined
    try {
      write(path, text, tell)
    } catch (error) {
      giveBack()
      throw error
    }
    if (found.kind === "other") tell(`the hook that was there is now ${before}, and runs after gitsign`)
  }
}

/**
 * Gives a hook a second name, under which it stays; returns what takes that back. Until gitsign's hook is there git finds the old one: were
 * it only renamed, a process that ends in between would leave a server that takes everything.
 */
function keep(path: string, before: string): () => void {
  // What an installation has left that did not come to its end.
  if (isSame(path, before)) return () => undefined
  try {
    // Not linkSync for links: on some systems it makes a name of what they lead to.
    if (lstatSync(path).isSymbolicLink()) symlinkSync(readlinkSync(path), before)
    else linkSync(path, before)
    return () => remove(before)
  } catch {
    // No second names on this disk.
    rename(path, before)
    return () => rename(before, path)
  }
}

/** Whether two paths are names of one file, or links to the same place. */
function isSame(path: string, other: string): boolean {
  const [one, two] = [path, other].map((name) => lstatSync(name, { bigint: true, throwIfNoEntry: false }))
  if (one === undefined || two === undefined) return false
  if (one.isSymbolicLink() && two.isSymbolicLink()) return readlinkSync(path) === readlinkSync(other)
  return one.ino === two.ino && one.dev === two.dev
}

/** What Gitea and others run one after the other: `NAME.d/*`. */
const PART = "gitsign"

function planPart(wanted: WantedHook, path: string, runner: string): (tell: Tell) => void {
  if (look(path).kind === "other") throw notOurs(path)
  const text = hookScript({ ...wanted, chained: false })
  return (tell) => {
    write(path, text, tell)
    const trial =
      wanted.name === "post-merge"
        ? "pulling one, of which you have to be told"
        : "pushing one, which has to be refused"
    // What it makes of a refusal, its text does not tell.
    tell(`${runner} is to run it, as all of ${dirname(path)}: try it with a commit that is not signed, by ${trial}`)
  }
}

/** What gets the whole of a hook that this program made for a repository that had none. */
const MADE = "#!/bin/sh\n# Made by gitsign hook install.\n"

/**
 * Prepares lines in a hook that is a file of the repository, as {@link planHook}.
 *
 * @throws ERR_HOOK when it is no ordinary file
 */
export function planBlock({ directory, name, warnOnly }: WantedHook): (tell: Tell) => void {
  const path = join(directory, name)
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat !== undefined && !stat.isFile()) throw notOrdinary(path)
  // Bytes that are no UTF-8 stay as they are.
  const text = stat === undefined ? MADE : readFileSync(path, "latin1")
  return (tell) => write(path, withBlock(text, name, warnOnly), tell, stat === undefined ? 0o755 : stat.mode & 0o777)
}

/** Takes away what is gitsign's in one hook; returns whether there was anything. @throws ERR_IO */
export function removeHook(directory: string, name: HookName, tell: Tell): boolean {
  const remove = removalOf(directory, name)
  remove?.(tell)
  const path = join(directory, name)
  const before = `${path}${BEFORE_SUFFIX}`
  if (remove === undefined && look(before).kind !== "none") {
    tell(`${path} is not of gitsign hook install; ${before}, which was kept for it, stays`)
  }
  return remove !== undefined
}

/** Whether there is anything of gitsign's in one hook. @throws ERR_HOOK where it cannot be read */
export const isInstalled = (directory: string, name: HookName): boolean => removalOf(directory, name) !== undefined

/** What takes away all that is gitsign's in one hook; undefined where nothing is. */
function removalOf(directory: string, name: HookName): ((tell: Tell) => void) | undefined {
  const path = join(directory, name)
  const before = `${path}${BEFORE_SUFFIX}`
  const part = join(`${path}.d`, PART)
  const found = look(path)
  const isKept = look(before).kind !== "none"
  if (look(part).kind === "ours") return (tell) => remove(part, tell)
  if (found.kind === "other" && hasBlock(found.text)) return (tell) => removeBlock(path, found.text, tell)
  if (isKept && isSame(path, before)) return (tell) => remove(before, tell)
  if (found.kind !== "ours" && !(found.kind === "none" && isKept)) return undefined
  return (tell) => {
    if (!isKept) return remove(path, tell)
    rename(before, path)
    tell(`the hook that was there before is back at ${path}`)
  }
}

function removeBlock(path: string, text: string, tell: Tell): void {
  const rest = withoutBlock(text)
  if (rest === MADE) remove(path, tell)
  else write(path, rest, tell, lstatSync(path).mode & 0o777)
}

type Found = { readonly kind: "none" } | { readonly kind: "ours" | "other"; readonly text: string }

/** What is at a path. A link is never this program's, wherever it leads. */
function look(path: string): Found {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return { kind: "none" }
    if (!stat.isFile() && !stat.isSymbolicLink()) throw notOrdinary(path)
    const text = readFileSync(path, "latin1")
    return { kind: stat.isFile() && isHookScript(text) ? "ours" : "other", text }
  } catch (cause) {
    if (cause instanceof GitsignError) throw cause
    // A link to nothing, say.
    throw new GitsignError("ERR_HOOK", `${path} cannot be read: ${reasonOf(cause)}`, {
      cause,
      hint: `look at: ${path}`,
    })
  }
}

const notOrdinary = (path: string): GitsignError =>
  new GitsignError("ERR_HOOK", `${path} is no ordinary file`, { hint: "put an ordinary file in its place, or none" })

const notOurs = (path: string): GitsignError =>
  new GitsignError("ERR_HOOK", `${path} was not written by gitsign hook install; nothing was changed`, {
    hint: "rename it, and run this again",
  })

const keptAlready = (path: string, before: string): GitsignError =>
  new GitsignError("ERR_HOOK", `${path} has come after gitsign's hook, for which ${before} was kept already`, {
    hint: "make one hook of the two, remove the other, and run this again",
  })

/** Puts a text into place at once, or says that it is there. */
function write(path: string, text: string, tell: Tell, mode = 0o755): void {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat?.isFile() && (stat.mode & 0o777) === mode && readFileSync(path, "latin1") === text) {
      tell(`${path} is up to date`)
      return
    }
    mkdirSync(dirname(path), { recursive: true })
    const fd = openSync(temporary, "w")
    try {
      writeFileSync(fd, text, "latin1")
      // Whatever the umask: who pushes may be another user.
      fchmodSync(fd, mode)
      // A power cut after the renaming could else leave an empty hook, which accepts everything.
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw new GitsignError("ERR_IO", `cannot write ${path}: ${reasonOf(cause)}`, { cause })
  }
  tell(`wrote ${path}`)
}

function rename(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (cause) {
    throw new GitsignError("ERR_IO", `cannot rename ${from}: ${reasonOf(cause)}`, { cause })
  }
}

function remove(path: string, tell?: Tell): void {
  try {
    unlinkSync(path)
  } catch (cause) {
    throw new GitsignError("ERR_IO", `cannot remove ${path}: ${reasonOf(cause)}`, { cause })
  }
  tell?.(`removed ${path}`)
}
