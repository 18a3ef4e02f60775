/**
 * The command that mends what an audit found: signing again, where that helps.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts"
import type { AuditedObject } from "./result.ts"

/** What no signature mends. */
const BEYOND_SIGNING: ReadonlySet<ErrorCode> = new Set([
  "ERR_NO_RULE",
  "ERR_POLICY_CHANGE",
  "ERR_MERGE_CHANGES",
  "ERR_TAG_NAME",
  "ERR_TAG_TARGET",
  "ERR_REPLACED",
  "ERR_DAMAGED",
])

/** What only somebody else's signature mends: whoever signs again with the same identity is refused again. */
const OF_STRANGERS: ReadonlySet<ErrorCode> = new Set([
  "ERR_IDENTITY",
  "ERR_ISSUER",
  "ERR_LOOKALIKE",
  "ERR_CLAIM",
  "ERR_COMPROMISED",
  "ERR_IDENTITY_REQUIRED",
])

/** Where the bad commits can be mended. */
export interface Mendable {
  /** The local branch that has them; empty for the one that is checked out. */
  readonly branch: string
  /** Whether they have been published, so that whoever mends them has to want that. */
  readonly published: boolean
}

/**
 * `gitsign resign …` from the oldest bad commit on; undefined where nothing is bad, where it is no commit, or where signing again
 * would be refused again.
 *
 * @param objects new ones first
 */
export function resignCommand(objects: readonly AuditedObject[], { branch, published }: Mendable): string | undefined {
  const bad = objects.filter(({ verdict }) => verdict === "bad")
  const oldest = bad.at(-1)
  const codes = bad.flatMap(({ problem }) => problem?.code ?? [])
  if (oldest === undefined || bad.some(({ type }) => type !== "commit")) return undefined
  if (codes.some((code) => BEYOND_SIGNING.has(code)) || codes.every((code) => OF_STRANGERS.has(code))) return undefined
  if (!/^(\w[\w./+-]*)?$/.test(branch)) return undefined
  const range = oldest.parents.length === 0 ? ["--root", branch] : [`${oldest.id.slice(0, 12)}^..${branch}`]
  return ["gitsign resign", ...(published ? ["--force"] : []), ...range].filter((word) => word !== "").join(" ")
}
