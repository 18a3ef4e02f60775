/**
 * Finds the policy that is in force: in the tree of a commit, or in a file. docs/policy.md tells where it is looked for.
 *
 * What a policy consists of is read as bytes of ordinary files only: a link could make it whatever somebody else can write to.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError, isGitsignError } from "../errors.ts"
import type { GitContext } from "../git/run.ts"
import { TreeReader } from "../git/tree-reader.ts"
import { type CompiledPolicy, compilePolicy } from "../policy/compile.ts"
import type { Example } from "../policy/example-entries.ts"
import { parsePolicy } from "../policy/parse.ts"
import { diskPlace } from "./policy-disk.ts"
import type { PolicyPlace } from "./policy-place.ts"
import { findInTree, treePlace } from "./policy-tree.ts"

/** A policy that is ready to judge, and where it came from. */
export interface PolicyInForce {
  readonly compiled: CompiledPolicy
  /** For people, such as `main:.gitsign/policy.yaml` or the path of a file. */
  readonly source: string
  /** SHA-256 of the policy's text, hex. */
  readonly sha256: string
  /**
   * Paths in the repository, a change to one of which is a change of the policy: its own, those of its key files, and of a
   * policy that would count before it. Empty for a policy outside of the repository.
   */
  readonly paths: readonly string[]
}

/** The same, with the examples that are in the policy itself. */
export interface LoadedPolicy extends PolicyInForce {
  readonly examples: readonly Example[]
}

/** All key files of a policy together, in bytes. */
const MAX_FILES_BYTES = 16 * 1024 * 1024

/**
 * The policy that a commit holds: its `.gitsign/policy.yaml`, else its `.chainguard/source.yaml`; undefined when it has neither.
 *
 * @param commit an id or a revision; a mere name that is both a branch and a tag is refused
 * @param label what to call it in messages; the commit itself when not given
 * @throws ERR_POLICY, ERR_POLICY_OPEN, ERR_POLICY_LIMIT, ERR_PATTERN when the policy cannot be used; ERR_POLICY_FILE when it, its
 * folder or a key file is a link, a submodule or no file; ERR_GIT when the commit, or what it consists of, is not here or cannot
 * be read; ERR_DAMAGED when it is broken
 */
export async function readPolicyAt(
  context: GitContext,
  commit: string,
  label?: string,
): Promise<PolicyInForce | undefined> {
  const [found] = await readPoliciesAt(context, [{ commit, label }])
  if (isGitsignError(found)) throw found
  return found
}

/**
 * The same for many commits from one git process, in their order. Equal policies are one and the same object, which bears the
 * label of the first commit that has it, so that callers can group by it. What is wrong with one is the answer in its place.
 *
 * @throws ERR_GIT when a revision is ambiguous
 */
export async function readPoliciesAt(
  context: GitContext,
  asked: readonly { readonly commit: string; readonly label?: string | undefined }[],
): Promise<readonly (PolicyInForce | GitsignError | undefined)[]> {
  const answers: (PolicyInForce | GitsignError | undefined)[] = []
  const known = new Map<string, PolicyInForce | GitsignError>()
  let reader: TreeReader | undefined
  for (const { commit, label = shortened(commit) } of asked) {
    reader ??= new TreeReader(context)
    let key: string | undefined
    try {
      const root = await reader.root(commit)
      if (root === undefined) throw new GitsignError("ERR_GIT", `there is no commit ${commit} in this repository`)
      const place = await findInTree(reader, root, label)
      key = place?.key
      const before = key === undefined ? undefined : known.get(key)
      answers.push(place === undefined ? undefined : (before ?? (await loadPolicy(place))))
    } catch (error) {
      answers.push(errorOf(error))
      // git may have ended, or what it was asked for may still be on its way.
      const used = reader
      reader = undefined
      await used.close().catch(() => undefined)
    }
    const answer = answers.at(-1)
    if (key !== undefined && answer !== undefined) known.set(key, answer)
  }
  await reader?.close()
  return answers
}

const errorOf = (error: unknown): GitsignError => {
  if (isGitsignError(error)) return error
  throw error
}

/** A whole id is too long to be read. */
const shortened = (commit: string): string => (/^[0-9a-f]{40,64}$/.test(commit) ? commit.slice(0, 12) : commit)

/**
 * The policy that a setting or an option names.
 *
 * @param cwd what a relative path of a file starts from
 * @param where a file, or `REF:path` for one that a commit holds. What has a colon is the latter whatever files there are, except for
 * what begins with `/`, `.` or a drive letter
 * @throws ERR_POLICY_MISSING when it is not there; ERR_IO when a file cannot be read; and as {@link readPolicyAt}
 */
export async function readPolicy(context: GitContext, cwd: string, where: string): Promise<PolicyInForce> {
  const open = await openPolicy(context, cwd, where)
  try {
    return await loadPolicy(open)
  } finally {
    await open.close()
  }
}

/**
 * The bytes of the policy that a commit holds, before they are understood; undefined when it holds none.
 *
 * @throws as {@link readPolicyAt}, but for what is wrong with the text
 */
export async function openPolicyAt(
  context: GitContext,
  commit: string,
  label: string = shortened(commit),
): Promise<PolicyPlace | undefined> {
  const reader = new TreeReader(context)
  let place: PolicyPlace | undefined
  try {
    const root = await reader.root(commit)
    if (root === undefined) throw new GitsignError("ERR_GIT", `there is no commit ${commit} in this repository`)
    place = await findInTree(reader, root, label)
  } finally {
    if (place === undefined) await reader.close()
  }
  return place && { ...place, close: () => reader.close() }
}

/**
 * The bytes of the policy that a setting or an option names, before they are understood.
 *
 * @throws as {@link readPolicy}, but for what is wrong with the text
 */
export async function openPolicy(context: GitContext, cwd: string, where: string): Promise<PolicyPlace> {
  const split = splitRevision(where)
  return split === undefined ? diskPlace(context, cwd, where) : treePlace(context, split.revision, split.path, where)
}

/** The halves of `REF:path`; undefined for the path of a file. git's own rule: the first colon that is not in braces. */
export function splitRevision(where: string): { readonly revision: string; readonly path: string } | undefined {
  if (/^([./\\~]|[A-Za-z]:[\\/])/.test(where)) return undefined
  let depth = 0
  for (let at = 0; at < where.length; at++) {
    if (where[at] === "{") depth++
    else if (where[at] === "}") depth--
    else if (where[at] === ":" && depth === 0) return { revision: where.slice(0, at), path: where.slice(at + 1) }
  }
  return undefined
}

/**
 * Understands a policy with the key files that it names. Closing the place stays the caller's business.
 *
 * @throws as {@link readPolicyAt}
 */
export async function loadPolicy(place: PolicyPlace): Promise<LoadedPolicy> {
  const parsed = parsePolicy(place.text, place.source)
  const files = new Map<string, Uint8Array>()
  let total = 0
  for (const path of parsed.files) {
    const bytes = await place.beside(path)
    if (bytes === undefined) {
      throw new GitsignError("ERR_POLICY_FILE", `${place.source} names the file ${path}, which is not beside it`, {
        hint: "put it there, or correct its name in the policy",
      })
    }
    total += bytes.length
    if (total > MAX_FILES_BYTES) {
      throw new GitsignError(
        "ERR_POLICY_LIMIT",
        `the key files of ${place.source} have more than ${MAX_FILES_BYTES} bytes`,
      )
    }
    files.set(path, bytes)
  }
  return {
    compiled: await compilePolicy(await parsed.complete(files)),
    source: place.source,
    sha256: createHash("sha256").update(place.text).digest("hex"),
    paths: place.paths(parsed.files),
    examples: parsed.examples,
  }
}
