/**
 * What a payload says before it is signed: the headers and the message of a commit or tag (git-commit-tree(1),
 * git-mktag(1), `gitformat-signature`), read strictly, so that there is one reading only.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { latin1 } from "./der.ts"
import { formatOfPayload, type ObjectFormat, parseSignedObject, type SignedObjectType } from "./git-object.ts"

/** One header line with its continuation lines. */
export interface PayloadHeader {
  readonly name: string
  /** Without the name, the space behind it and the last line feed. */
  readonly value: Uint8Array
}

/** A payload taken apart; ids are lower-case hex. */
export interface SignedPayload {
  readonly type: SignedObjectType
  readonly objectFormat: ObjectFormat
  readonly headers: readonly PayloadHeader[]
  /** What follows the blank line behind the headers. */
  readonly message: Uint8Array
  /** The commit's tree; undefined for tags. */
  readonly tree: string | undefined
  /** The commit's parents in their order; none for tags. */
  readonly parents: readonly string[]
}

const LF = 0x0a
const SPACE = 0x20

/**
 * Takes apart what git hands over to be signed.
 *
 * @throws ERR_GIT_OBJECT when it is no commit and no tag, when its headers are not where git reads them, or when a
 * commit already carries a signature; ERR_DUPLICATE_SIGNATURE when it carries several
 */
export function parseSignedPayload(payload: Uint8Array): SignedPayload {
  const { type, objectFormat } = formatOfPayload(payload)
  const { payload: signed } = parseSignedObject(type, payload, objectFormat)
  // git leaves signature headers out of what it verifies: a commit with one is not what would be signed.
  if (type === "commit" && signed.length !== payload.length) {
    throw new GitsignError("ERR_GIT_OBJECT", "the commit has a signature header already")
  }
  const { headers, message } = splitHeaders(payload)
  const parents =
    type === "tag" ? [] : headers.filter(({ name }) => name === "parent").map(({ value }) => latin1(value))
  const id = objectFormat === "sha1" ? /^[0-9a-f]{40}$/ : /^[0-9a-f]{64}$/
  if (!parents.every((parent) => id.test(parent))) {
    throw new GitsignError("ERR_GIT_OBJECT", "the commit has a parent that is no object id")
  }
  const tree = type === "tag" ? undefined : latin1(headers[0]?.value ?? new Uint8Array())
  return { type, objectFormat, headers, message, tree, parents }
}

function splitHeaders(payload: Uint8Array): { headers: PayloadHeader[]; message: Uint8Array } {
  const headers: PayloadHeader[] = []
  let start = 0
  while (start < payload.length && payload[start] !== LF) {
    let end = lineEnd(payload, start)
    while (payload[end + 1] === SPACE) end = lineEnd(payload, end + 1)
    const line = payload.subarray(start, end)
    const space = line.indexOf(SPACE)
    headers.push({
      name: latin1(space < 0 ? line : line.subarray(0, space)),
      value: space < 0 ? new Uint8Array() : line.subarray(space + 1),
    })
    start = end + 1
  }
  return { headers, message: payload.subarray(Math.min(start + 1, payload.length)) }
}

/** Where the line feed of the line stands that begins at `start`, or the end. */
function lineEnd(bytes: Uint8Array, start: number): number {
  const lf = bytes.indexOf(LF, start)
  return lf < 0 ? bytes.length : lf
}
