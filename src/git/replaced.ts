/**
 * What makes git show other objects, or another history, than the ones that were signed: replace refs (git-replace(1)), grafts
 * (gitrepository-layout(5), `info/grafts`) and the ends of a shallow clone (gitshallow(5)).
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { GitsignError } from "../errors.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import { lookUp } from "./look-up.ts"
import { readOneObject } from "./objects.ts"
import { listRefs } from "./revisions.ts"
import { type GitContext, runGit } from "./run.ts"

/** Where this repository does not show what it holds. */
export interface Disguise {
  /** Ids of objects in whose place git shows others, or with other parents. */
  readonly replaced: ReadonlySet<string>
  /** How many of them are trees or files: then git shows other files than those that were signed, in whatever commits have them. */
  readonly replacedFiles: number
  /** Ids of the commits at which a shallow clone ends. */
  readonly shallow: ReadonlySet<string>
}

/** Looks for replace refs, grafts and the ends of a shallow clone. */
export async function findDisguise(context: GitContext): Promise<Disguise> {
  const base = context.env.GIT_REPLACE_REF_BASE || "refs/replace/"
  const refs = await listRefs(context, base)
  const named = refs.map(({ name }) => name.slice(name.lastIndexOf("/") + 1))
  const replaced = new Set(named)
  const files = (await lookUp(context, named)).filter((found) => found?.type === "tree" || found?.type === "blob")
  const { stdout } = await runGit(context, ["rev-parse", "--git-common-dir", "--git-path", "shallow"])
  const [common = "", shallow = ""] = stdout.toString("utf8").trimEnd().split("\n")
  const grafts = [context.env.GIT_GRAFT_FILE, `${common}/info/grafts`]
  for (const file of grafts) for (const id of idsOf(context, file)) replaced.add(id)
  return { replaced, replacedFiles: files.length, shallow: new Set(idsOf(context, shallow)) }
}

/** A tag of a tag of a tag; nobody needs more. */
const MAX_TAGS = 100

/**
 * Says in whose place git shows another object, where that is so for an object or, of a tag, for what it leads to: a tag is signed for its
 * commit, and with another one in that place git shows and checks out the other.
 *
 * @param object `target` and `targetType` as they stand in it; of no account but for a tag
 * @throws ERR_TAG_TARGET for a tag behind which there are more than 100; ERR_GIT, ERR_DAMAGED when one of them cannot be read
 */
export async function replacedObject(
  context: GitContext,
  { replaced }: Pick<Disguise, "replaced">,
  object: { readonly type: string; readonly id: string; readonly target: string; readonly targetType: string },
): Promise<string | undefined> {
  let { type, id, target, targetType } = object
  for (let tags = 0; replaced.size > 0; tags++) {
    if (replaced.has(id)) {
      const behind = tags === 0 ? "" : `, to which the tag ${object.id.slice(0, 12)} leads`
      return `git shows another ${type} in the place of ${id.slice(0, 12)}${behind}`
    }
    if (type !== "tag") break
    if (tags > MAX_TAGS) {
      const message = `the tag ${object.id.slice(0, 12)} leads over more than ${MAX_TAGS} others`
      throw new GitsignError("ERR_TAG_TARGET", message)
    }
    id = target.toLowerCase()
    type = targetType
    if (type === "tag") ({ target, targetType } = summarizeObject((await readOneObject(context, id)).raw))
  }
  return undefined
}

/** The ids that the lines of a file begin with; none when it cannot be read: then git cannot read it either. */
function idsOf(context: GitContext, file: string | undefined): string[] {
  if (!file) return []
  try {
    return readFileSync(resolve(context.cwd, file), "latin1").match(/^[0-9a-f]{40,64}\b/gm) ?? []
  } catch {
    return []
  }
}
