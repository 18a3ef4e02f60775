/**
 * The refs of a repository as they are while a push waits to change them (git-for-each-ref(1), git-symbolic-ref(1), gitnamespaces(7)).
 *
 * @module
 */

import { lstatSync } from "node:fs"
import { resolve } from "node:path"
import { GitsignError } from "../errors.ts"
import type { PushedRef } from "./pushed-refs.ts"
import { type GitContext, runGit } from "./run.ts"

/** What a push changes, by what the repository itself says of it. */
export interface PushedRefs {
  /** Under the names of the refs that change, each with the id that it has now. */
  readonly updates: readonly PushedRef[]
  /** All branches, but for links to others, which are there under their own names. */
  readonly branches: readonly { readonly ref: string; readonly id: string }[]
}

/** Refs are listed in this many bytes. */
const MAX_LISTING = 256 * 1024 * 1024

/** Whoever pushes to more places than this is asked about all refs. */
const MAX_PREFIXES = 50

/**
 * Puts what a push says of refs right. Two things in it are not what they seem. The old id is what whoever pushes claims it to be, and
 * git compares it only after its hooks, ref by ref: a lie on one ref would have commits taken for known that come in by another one. And
 * where a ref is a link to another one (git symbolic-ref), it is the other one that changes.
 *
 * @param prefix of a namespace, such as `refs/namespaces/a/`; else empty
 * @throws ERR_HOOK when a name stands for a ref that the push cannot be judged for; ERR_GIT when git cannot list its refs
 */
export async function pushedRefs(
  context: GitContext,
  prefix: string,
  pushed: readonly PushedRef[],
): Promise<PushedRefs> {
  const known = await listStates(context, prefix, pushed)
  const common = await commonDirectory(context)
  const updates = new Map<string, PushedRef>()
  for (const { ref: name, after } of pushed) {
    const found = known.get(`${prefix}${name}`)
    // What is deleted is not judged, also where it cannot be read.
    if (found === undefined && after !== undefined && isFile(resolve(common, `${prefix}${name}`))) {
      throw new GitsignError("ERR_HOOK", `${name} is a link to a ref that is not there, or another ref on this disk`, {
        hint: "push under the name of the ref itself, written as the repository has it",
      })
    }
    const target = found?.target ?? `${prefix}${name}`
    if (!target.startsWith(prefix)) {
      throw new GitsignError("ERR_HOOK", `${name} is a link to ${target}, which is in another namespace`)
    }
    const ref = target.slice(prefix.length)
    const same = updates.get(ref)
    if (same !== undefined && same.after !== after) {
      throw new GitsignError("ERR_HOOK", `${name} is a link to ${ref}, and this push changes both`)
    }
    updates.set(ref, { ref, before: found?.id, after })
  }
  const heads = `${prefix}refs/heads/`
  const branches = [...known].flatMap(([name, { id, target }]) =>
    name === target && name.startsWith(heads) ? [{ ref: name.slice(prefix.length), id }] : [],
  )
  return { updates: [...updates.values()], branches }
}

/** A ref, by its full name with the prefix. */
interface RefState {
  readonly id: string
  /** The name of the ref itself, or where it is a link, of what it leads to. */
  readonly target: string
}

async function listStates(
  context: GitContext,
  prefix: string,
  pushed: readonly PushedRef[],
): Promise<Map<string, RefState>> {
  const folders = new Set(["refs/heads/", ...pushed.map(({ ref }) => ref.split("/", 2).join("/").concat("/"))])
  const prefixes = folders.size > MAX_PREFIXES ? [`${prefix}refs/`] : [...folders].map((folder) => prefix + folder)
  const args = ["for-each-ref", "--format=%(objectname) %(symref) %(refname)", ...prefixes]
  const { status, stdout, stderr } = await runGit(context, args, MAX_LISTING)
  if (status !== 0) throw new GitsignError("ERR_GIT", stderr)
  const lines = stdout.toString("utf8").split("\n").slice(0, -1)
  return new Map(
    lines.map((line) => {
      // No part of it can hold a space.
      const [id = "", link = "", name = ""] = line.split(" ")
      return [name, { id, target: link || name }] as const
    }),
  )
}

async function commonDirectory(context: GitContext): Promise<string> {
  const { status, stdout, stderr } = await runGit(context, ["rev-parse", "--git-common-dir"])
  if (status !== 0) throw new GitsignError("ERR_GIT", stderr)
  return resolve(context.cwd, stdout.toString("utf8").replace(/\n$/, ""))
}

/** Whether git keeps something in the place of a ref that it does not list. */
function isFile(path: string): boolean {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false })
    return stat !== undefined && !stat.isDirectory()
  } catch {
    // A part of the path is no folder: then git refuses the name by itself.
    return false
  }
}
