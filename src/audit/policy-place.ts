/**
 * What every place that a policy can be in has in common, a tree or a disk.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"

/** The text of a policy, and what lies beside it. The caller MUST call `close`, also after an error. */
export interface PolicyPlace {
  readonly text: Buffer
  /** For people, such as `main:.gitsign/policy.yaml` or the path of a file. */
  readonly source: string
  /** The paths in the repository of the policy and of these files beside it; empty where it is outside. */
  readonly paths: (beside: readonly string[]) => readonly string[]
  /**
   * A file by its path from the policy's folder; undefined where there is none.
   *
   * @throws ERR_POLICY_FILE when it, or a folder on the way, is a link or no file; ERR_POLICY_LIMIT when it is larger than 1 MiB
   */
  readonly beside: (path: string) => Promise<Buffer | undefined>
  readonly close: () => Promise<void>
}

/** Where a policy is looked for, the first one before the second. The second one is Chainguard's. */
export const POLICY_PATHS = [".gitsign/policy.yaml", ".chainguard/source.yaml"] as const

/** Of a policy and of each of its key files, in bytes: 1 MiB. */
export const MAX_FILE_BYTES = 1024 * 1024

/** The parts of a path from the policy's folder or from the top of a repository. @throws ERR_POLICY_FILE when it leads outside */
export function partsOf(path: string, what: string): readonly string[] {
  const parts = path.split("/")
  // On Windows `a\b` and `c:d` are paths too.
  if (parts.some((part) => /^\.{0,2}$|[\\\0\n]|^[A-Za-z]:/.test(part))) {
    throw new GitsignError("ERR_POLICY_FILE", `${what} is not a path from there downwards`, {
      hint: "give it without . and .., separated by /",
    })
  }
  return parts
}

/** The repository paths of a policy in `folder` (empty for the top), and of what would count before it. */
export function repositoryPaths(path: string, beside: readonly string[]): readonly string[] {
  const folder = path.slice(0, path.lastIndexOf("/") + 1)
  const before = path === POLICY_PATHS[1] ? [POLICY_PATHS[0]] : []
  return [...new Set([path, ...before, ...beside.map((one) => `${folder}${one}`)])]
}

/** The error for what is not an ordinary file or folder. */
export const notOrdinary = (what: string, kind: string): GitsignError =>
  new GitsignError("ERR_POLICY_FILE", `${what} is ${kind}`, {
    hint:
      kind === "a link"
        ? "put an ordinary file in its place: a link can be turned elsewhere"
        : "look at what is there with: git ls-tree -r REF",
  })

/** The error for what is too large to be read. */
export const tooLarge = (what: string): GitsignError =>
  new GitsignError("ERR_POLICY_LIMIT", `${what} has more than ${MAX_FILE_BYTES} bytes`)

/** The error for a policy that is not where it was said to be. */
export const missing = (where: string, reason: string): GitsignError =>
  new GitsignError("ERR_POLICY_MISSING", `there is no policy ${where}: ${reason}`)
