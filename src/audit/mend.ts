/**
 * The command that mends what an audit found: signing again, where that helps and touches nothing else.
 *
 * @module
 */

import { type ErrorCode, isGitsignError } from "../errors.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import { publishedCommits } from "../git/published.ts"
import { currentBranch, resolveRevision, walkCommits } from "../git/revisions.ts"
import { type GitContext, runGit } from "../git/run.ts"
import { isPlainTag, type StoredObject, signedTagCommand, signingHint } from "./check.ts"
import type { AuditedObject } from "./result.ts"
import { rulesOf } from "./rules.ts"
import type { AuditTarget } from "./targets.ts"

/**
 * What signing again mends, and whether that is all there is to do. Of every other code nobody may be told to sign: what it refuses may
 * have been changed or forged by somebody, whoever signed it is a stranger, it is the trusted root or the policy that has to be mended,
 * or the same would be refused again.
 */
const MENDED_BY_SIGNING: ReadonlyMap<ErrorCode, "at once" | "once its hint is followed"> = new Map([
  ["ERR_NOT_SIGNED", "at once"],
  ["ERR_SCHEME", "at once"],
  ["ERR_OFFLINE_PROOF", "once its hint is followed"],
  ["ERR_TIMESTAMP_MISSING", "once its hint is followed"],
])

/** Whether an object that is refused for this is mended by signing it again and nothing else. */
export const isMendedAtOnce = (code: ErrorCode): boolean => MENDED_BY_SIGNING.get(code) === "at once"

/** Where the bad commits can be mended. */
export interface Mendable {
  /** The branch that has them, as whoever mends them calls it; empty for the one that is checked out there. */
  readonly branch: string
  /** Whether they have been published, so that whoever mends them has to want that. Undefined: this repository knows. */
  readonly published?: boolean | undefined
  /** The full name of the ref whose rules judged, where those of the branch are others. */
  readonly judgedAs?: string | undefined
}

/** What of an object says whether and how it can be mended. */
type Mended = Pick<AuditedObject, "type" | "id" | "verdict" | "parents"> & {
  readonly problem: { readonly code: ErrorCode } | undefined
}

/** What of a target says where. */
type Place = Pick<AuditTarget, "ref" | "include" | "exclude" | "walk" | "mendable" | "policy">

/**
 * `gitsign resign …` from the oldest bad commit on; undefined where nothing is bad, or signing again would not mend all that is.
 *
 * @param objects new ones first
 */
export function resignCommand(objects: readonly Mended[], mendable: Mendable): string | undefined {
  const oldest = toSign(objects)?.at(-1)
  if (oldest === undefined) return undefined
  const { branch } = mendable
  return commandOf(
    oldest.parents.length === 0 ? ["--root", branch] : [`${oldest.id.slice(0, 12)}^..${branch}`],
    mendable,
  )
}

/** The bad objects, new ones first; undefined where there are none, or some that nobody may be told to sign. */
function toSign(objects: readonly Mended[]): readonly Mended[] | undefined {
  const bad = objects.filter(({ verdict }) => verdict === "bad")
  const isMended = ({ type, problem }: Mended): boolean =>
    type === "commit" && problem !== undefined && MENDED_BY_SIGNING.has(problem.code)
  return bad.length > 0 && bad.every(isMended) ? bad : undefined
}

function commandOf(range: readonly string[], { branch, published, judgedAs }: Mendable): string | undefined {
  const ref = judgedAs?.replace(/^refs\/heads\//, "")
  if (!isPlainName(branch) || (ref !== undefined && !isPlainRef(ref))) return undefined
  const flags = [...(published ? ["--force"] : []), ...(ref === undefined ? [] : ["--ref", ref])]
  return ["gitsign resign", ...flags, ...range].filter((word) => word !== "").join(" ")
}

/** Nothing for a shell to expand, and no option: what `--ref` takes for a branch without `refs/heads/`, and otherwise for a whole name. */
export const isPlainRef = (ref: string): boolean => /^\w[\w./+@-]*$/.test(ref)

/** The ref whose rules judged, where those of the branch that is signed again are others: then it has to be told which. */
async function judgedAs(
  context: GitContext,
  { ref, policy }: Pick<Place, "ref" | "policy">,
  branch: string,
): Promise<string | undefined> {
  if (policy === undefined || ref === undefined) return undefined
  const own = branch === "" ? await currentBranch(context) : `refs/heads/${branch}`
  const keyOf = (name: string | undefined): string => rulesOf(policy.compiled, "commit", name).key
  return keyOf(own) === keyOf(ref) ? undefined : ref
}

/** Nothing for a shell to expand, and nothing that git would take for another ref than the branch of that name. */
export const isPlainName = (branch: string): boolean =>
  /^(\w[\w./+@-]*)?$/.test(branch) && !/^(HEAD$|(refs|heads|tags|remotes)\/)/.test(branch)

/**
 * The one command that mends what an audit found bad, and signs nothing but that and what stands on it; undefined where there is none, or
 * it is not known on which branch.
 */
export async function findMend(
  context: GitContext,
  targets: readonly Place[],
  objects: readonly Mended[],
): Promise<string | undefined> {
  const bad = toSign(objects)
  const [target, ...others] = targets
  const oldest = bad?.at(-1)
  if (target === undefined || others.length > 0) return undefined
  if (!target.walk && target.ref?.startsWith("refs/tags/")) return mendOfTag(target, objects)
  if (bad === undefined || oldest === undefined) return undefined
  try {
    if (target.walk) return await mendOfWalk(context, target, objects, bad)
    return objects.length === 1 ? await mendOfOne(context, target, oldest) : undefined
  } catch (error) {
    // What was verified counts, whether or not there is advice.
    if (isGitsignError(error)) return undefined
    throw error
  }
}

/** More than this nobody types. */
const MAX_EXCEPTED = 4

async function mendOfWalk(
  context: GitContext,
  target: Place,
  objects: readonly Mended[],
  bad: readonly Mended[],
): Promise<string | undefined> {
  const { mendable, include, exclude } = target
  const oldest = bad.at(-1)
  if (mendable === undefined || oldest === undefined) return undefined
  const before = beforeOf(oldest)
  const all = await walkCommits(context, include, before)
  const published = mendable.published ?? (await arePublished(context, include, before, bad))
  const asked = new Set(objects.map(({ id }) => id))
  const where = { ...mendable, published, judgedAs: await judgedAs(context, target, mendable.branch) }
  if (all.every((id) => asked.has(id))) return resignCommand(objects, where)
  // What was merged in since is of others, and nobody asked about it.
  const [base, ...excepted] = exclude.map((id) => id.slice(0, 12))
  if (base === undefined || excepted.length >= MAX_EXCEPTED) return undefined
  return commandOf([`${base}..${mendable.branch}`, ...excepted.map((id) => `^${id}`)], where)
}

/** A commit that was named: a branch by its name, else it is looked for which branch has it. */
async function mendOfOne(context: GitContext, target: Place, commit: Mended): Promise<string | undefined> {
  const branch = target.mendable?.branch || (await branchWith(context, commit.id))
  if (branch === undefined) return undefined
  const tip = `refs/heads/${branch}`
  const before = beforeOf(commit)
  const all = await walkCommits(context, [tip], before)
  // Side branches that were merged in do not stand on it.
  if (all.length !== (await walkCommits(context, [tip], before, { firstParent: true })).length) return undefined
  const published = await arePublished(context, [tip], before, [commit])
  // Whoever looks at what everybody has, did not ask how to replace all that came after it.
  if (published && all.length > 1) return undefined
  return resignCommand([commit], { branch, published, judgedAs: await judgedAs(context, target, branch) })
}

/** A tag that was named, and is not signed. */
function mendOfTag({ ref = "", policy }: Place, [object, ...others]: readonly Mended[]): string | undefined {
  if (object?.problem?.code !== "ERR_NOT_SIGNED" || others.length > 0) return undefined
  const name = ref.slice("refs/tags/".length)
  if (object.type === "tag") return signedTagCommand(name)
  // A lightweight one has no message, and is refused for what it is only by a policy.
  return policy === undefined || !isPlainTag(name)
    ? undefined
    : `git tag -s -f -m ${name} ${name} 'refs/tags/${name}^{}'`
}

const beforeOf = ({ id, parents }: Mended): string[] => (parents.length === 0 ? [] : [`${id}^`])

async function arePublished(
  context: GitContext,
  include: readonly string[],
  before: readonly string[],
  bad: readonly Mended[],
): Promise<boolean> {
  for (const tip of include) {
    const { ids } = await publishedCommits(context, tip, before)
    if (bad.some(({ id }) => ids.has(id))) return true
  }
  return false
}

/** The branch that is checked out where it has the commit, else the only one that does; without `refs/heads/`. */
async function branchWith(context: GitContext, id: string): Promise<string | undefined> {
  const head = await currentBranch(context)
  const format = "--format=%(refname)"
  const { status, stdout } = await runGit(context, ["for-each-ref", format, `--contains=${id}`, "refs/heads/"])
  const found = status === 0 ? stdout.toString("utf8").split("\n").filter(Boolean) : []
  const branch = head !== undefined && found.includes(head) ? head : found.length === 1 ? found[0] : undefined
  return branch?.slice("refs/heads/".length)
}

/** How to sign an object that is not signed, by the name that it was asked for. */
export async function hintForUnsigned(context: GitContext, object: StoredObject, name: string): Promise<string> {
  // A tag is named without what could be mistaken for a branch; of a commit only the name tells which branch is meant.
  const { ref } = object.type === "tag" ? { ref: `refs/tags/${name}` } : await resolveRevision(context, name)
  const branch = ref?.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : undefined
  const mendable = branch === undefined ? undefined : { branch }
  // Whoever asks about a commit by a tag's name does not ask about the tag.
  const place = object.type === "tag" || !ref?.startsWith("refs/tags/") ? ref : undefined
  const target = { ref: place, include: [object.id], exclude: [], walk: false, mendable, policy: undefined }
  const { type, id, raw } = object
  const { parents } = summarizeObject(raw)
  const unsigned = { type, id, verdict: "bad", parents, problem: { code: "ERR_NOT_SIGNED" } } as const
  const command = await findMend(context, [target], [unsigned])
  return command === undefined ? signingHint(object) : `sign it with: ${command}`
}
