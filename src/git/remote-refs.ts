/**
 * What is known here of the refs of another repository: its remote-tracking refs (git-fetch(1), "Configured remote-tracking branches").
 *
 * @module
 */

import { listRefs } from "./revisions.ts"
import { type GitContext, runGit } from "./run.ts"

/** The branches of a remote as they were last seen. */
export interface RemoteRefs {
  /** By their full names over there. */
  readonly branches: readonly { readonly ref: string; readonly id: string }[]
  /** Its default branch: the full name over there, and what it is called here; undefined where that is not known. */
  readonly head: { readonly ref: string; readonly name: string } | undefined
}

const NOTHING: RemoteRefs = { branches: [], head: undefined }

/**
 * What is known of a remote's branches; nothing for what is an address and no configured name, and where it is fetched from in
 * another form than `refs/heads/…`.
 *
 * @throws ERR_GIT when git cannot be run
 */
export async function remoteRefs(context: GitContext, remote: string): Promise<RemoteRefs> {
  if (remote === "" || /[\n\0]/.test(remote)) return NOTHING
  const { status, stdout } = await runGit(context, ["config", "--null", "--get-all", `remote.${remote}.fetch`])
  if (status !== 0) return NOTHING
  const specs = stdout.toString("utf8").split("\0").flatMap(branchSpec)
  if (specs.length === 0) return NOTHING
  const refs = await listRefs(context, ...specs.map(({ here }) => here))
  const branches = new Map<string, string>()
  for (const { name, id } of refs) {
    const spec = specs.find(({ here }) => name.startsWith(here))
    if (spec !== undefined) branches.set(`${spec.there}${name.slice(spec.here.length)}`, id)
  }
  // git keeps the remote's default branch as a link beside its branches, and there is no branch of that name.
  branches.delete("refs/heads/HEAD")
  return { branches: [...branches].map(([ref, id]) => ({ ref, id })), head: await headOf(context, specs) }
}

interface BranchSpec {
  /** Prefixes that end in a slash. */
  readonly there: string
  readonly here: string
}

/** A refspec for all branches, such as `+refs/heads/*:refs/remotes/origin/*`. */
function branchSpec(spec: string): BranchSpec[] {
  const [, there, here] = /^\+?(refs\/heads\/(?:[^*:]*\/)?)\*:(refs\/[^*:]*\/)\*$/.exec(spec) ?? []
  return there === undefined || here === undefined ? [] : [{ there, here }]
}

async function headOf(context: GitContext, specs: readonly BranchSpec[]): Promise<RemoteRefs["head"]> {
  for (const { there, here } of specs) {
    const { status, stdout } = await runGit(context, ["symbolic-ref", "--quiet", `${here}HEAD`])
    const found = stdout.toString("utf8").trim()
    if (status === 0 && found.startsWith(here)) {
      return { ref: `${there}${found.slice(here.length)}`, name: found.replace(/^refs\/(remotes|heads)\//, "") }
    }
  }
  return undefined
}
