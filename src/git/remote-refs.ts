/**
 * What is known here of the refs of another repository: its remote-tracking refs (git-fetch(1), "Configured remote-tracking branches").
 *
 * @module
 */

import { listRefs } from "./revisions.ts"
import { type GitContext, runGit, startGit } from "./run.ts"

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

/** What somebody who waits for a push is made to wait in addition, in milliseconds. */
const MAX_WAIT_MS = 10_000

/**
 * The default branch of another repository as it says now: its full name and its commit; undefined where it does not answer within ten
 * seconds, or has none. Nobody is asked for a password.
 *
 * @param address a URL, or a path
 */
export async function askHead(
  { cwd, env }: GitContext,
  address: string,
): Promise<{ readonly ref: string; readonly id: string } | undefined> {
  const child = startGit({ cwd, env: { ...env, GIT_TERMINAL_PROMPT: "0" } }, [
    "ls-remote",
    "--symref",
    "--end-of-options",
    address,
    "HEAD",
  ])
  const chunks: Buffer[] = []
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
  child.stdin.on("error", () => undefined)
  child.stdin.end()
  child.stderr.resume()
  let timer: NodeJS.Timeout | undefined
  const status = await new Promise<number | null>((resolve) => {
    timer = setTimeout(() => resolve(null), MAX_WAIT_MS)
    child.on("error", () => resolve(null))
    child.on("close", resolve)
  })
  clearTimeout(timer)
  if (status !== 0) {
    // What it has started, ssh for one, may hold these open.
    child.kill()
    child.stdout.destroy()
    child.stderr.destroy()
    return undefined
  }
  const text = Buffer.concat(chunks).toString("utf8")
  const [, ref] = /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(text) ?? []
  const [, id] = /^([0-9a-f]{40,64})\tHEAD$/m.exec(text) ?? []
  return ref === undefined || id === undefined ? undefined : { ref, id }
}
