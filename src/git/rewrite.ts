/**
 * Commits made again with other parents and another signature, every other byte as it was (git-commit-tree(1), git-hash-object(1),
 * `gitformat-signature`).
 *
 * @module
 */

import { GitsignError, messageOf } from "../errors.ts"
import { latin1 } from "../formats/der.ts"
import { joinSignedObject, type ObjectFormat, objectId, parseCommit } from "../formats/git-object.ts"
import { feedGit } from "./revisions.ts"
import type { GitContext } from "./run.ts"

const LF = 0x0a
const SPACE = 0x20

/**
 * What a commit's new signature is over: its bytes without any signature headers (two of one kind among them, which nothing else
 * mends), and with its parents replaced where `parents` has another id for them.
 *
 * @throws ERR_GIT_OBJECT when its headers are not where git reads them, or one of them is not covered by signatures
 */
export function rebuildPayload(
  raw: Uint8Array,
  objectFormat: ObjectFormat,
  parents: ReadonlyMap<string, string>,
): Uint8Array {
  const parts: Uint8Array[] = []
  let offset = 0
  let dropped = false
  // Only there git reads parents; a line of that name further down is text that stays.
  let inParents = true
  while (offset < raw.length && raw[offset] !== LF) {
    const lf = raw.indexOf(LF, offset)
    const end = lf < 0 ? raw.length : lf + 1
    const line = raw.subarray(offset, end)
    offset = end
    if (line[0] !== SPACE) {
      const name = latin1(line.subarray(0, 16)).split(/[ \n]/, 1)[0]
      dropped = name === "gpgsig" || name === "gpgsig-sha256"
      inParents &&= name === "tree" || name === "parent"
    }
    if (!dropped) parts.push(inParents ? withParent(line, parents) : line)
  }
  const payload = Buffer.concat([...parts, raw.subarray(offset)])
  // Another header behind it would become a part of the last one.
  if (offset === raw.length && raw.at(-1) !== LF) {
    throw new GitsignError("ERR_GIT_OBJECT", "the commit's headers are cut short")
  }
  // The strict reading of every verifier: what it refuses would be signed in vain.
  const { signature, payload: signed } = parseCommit(payload, objectFormat)
  if (signature === undefined && signed.length === payload.length) return payload
  throw new GitsignError("ERR_GIT_OBJECT", "the commit's signature cannot be taken out of it")
}

function withParent(line: Uint8Array, parents: ReadonlyMap<string, string>): Uint8Array {
  const [, id = ""] = /^parent ([0-9a-f]{40,64})\n$/.exec(latin1(line.subarray(0, 128))) ?? []
  const other = parents.get(id)
  return other === undefined ? line : Buffer.from(`parent ${other}\n`, "latin1")
}

/** The commit for a payload and its armored signature, as git would have written it. */
export const signedCommit = (payload: Uint8Array, armored: Uint8Array, objectFormat: ObjectFormat): Uint8Array =>
  joinSignedObject(payload, armored, objectFormat === "sha1" ? "gpgsig" : "gpgsig-sha256")

/**
 * Puts a commit into the repository, where nothing points to it yet, and returns its id.
 *
 * @throws ERR_RESIGN when git refuses it as malformed or cannot write it
 */
export async function writeCommit(context: GitContext, raw: Uint8Array, objectFormat: ObjectFormat): Promise<string> {
  const { status, stdout, stderr } = await feedGit(
    context,
    ["hash-object", "-w", "-t", "commit", "--stdin"],
    raw,
  ).catch((cause: unknown) => {
    throw new GitsignError("ERR_RESIGN", `git could not write a commit: ${messageOf(cause)}`, { cause })
  })
  if (status !== 0) {
    const why = stderr.replaceAll("\n", "; ") || `it exited with ${status}`
    throw new GitsignError("ERR_RESIGN", `git could not write a commit: ${why}`)
  }
  const id = stdout.toString("latin1").trim()
  // What was signed is what is stored.
  if (id === objectId("commit", raw, objectFormat)) return id
  throw new GitsignError("ERR_RESIGN", `git stored a commit as ${id}, which is the id of other bytes`)
}
