/**
 * Signed git objects: what is the payload and what the signature, byte for byte as git itself sees it (git commit.c
 * parse_buffer_signed_by_header, gpg-interface.c parse_signature).
 *
 * Objects are bytes, not text: nothing is decoded, trimmed or normalised.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError } from "../errors.ts"
import { latin1 } from "./der.ts"

/** The two kinds of objects that carry signatures. */
export type SignedObjectType = "commit" | "tag"

/** A git object taken apart. */
export interface SignedObject {
  readonly type: SignedObjectType
  /** What the signature is over. */
  readonly payload: Uint8Array
  /** The signature with its final line feed, as git hands it to a verifier; undefined when there is none. */
  readonly signature: Uint8Array | undefined
  /** The value of a tag's `tag` header; undefined for commits. */
  readonly tagName: string | undefined
}

const LF = 0x0a
const SPACE = 0x20

const fail = (message: string): never => {
  throw new GitsignError("ERR_GIT_OBJECT", message)
}

/** The lines of `bytes`, each with its line feed; the last may lack one. */
function* lines(bytes: Uint8Array, from = 0): Generator<Uint8Array> {
  let start = from
  while (start < bytes.length) {
    const lf = bytes.indexOf(LF, start)
    const end = lf < 0 ? bytes.length : lf + 1
    yield bytes.subarray(start, end)
    start = end
  }
}

const startsWith = (bytes: Uint8Array, text: string): boolean =>
  bytes.length >= text.length && latin1(bytes.subarray(0, text.length)) === text

/** What a header line begins with; enough of it to know the names that matter. */
const headerName = (line: Uint8Array): string => latin1(line.subarray(0, 16)).split(/[ \n]/, 1)[0] ?? ""

/** The hash algorithm of the repository an object is from, told by the length of the first id in it. */
export type ObjectFormat = "sha1" | "sha256"

/**
 * Tells the hash algorithm of a payload's repository from its first line, `tree ID` or `object ID`.
 *
 * @throws ERR_GIT_OBJECT when it is neither a commit nor a tag
 */
export function formatOfPayload(payload: Uint8Array): { type: SignedObjectType; objectFormat: ObjectFormat } {
  const [first] = lines(payload)
  const match = /^(tree|object) ([0-9a-f]+)\n$/.exec(latin1((first ?? new Uint8Array()).subarray(0, 128)))
  const [, header, id] = match ?? []
  if (id?.length !== 40 && id?.length !== 64) return fail("the payload is neither a commit nor a tag")
  return { type: header === "tree" ? "commit" : "tag", objectFormat: id.length === 40 ? "sha1" : "sha256" }
}

/**
 * Takes a commit apart.
 *
 * @param objectFormat the repository's hash algorithm: it decides which header is the signature
 * @throws ERR_DUPLICATE_SIGNATURE when there are two signature headers; git would join them
 * @throws ERR_GIT_OBJECT when the headers are not a commit's
 */
export function parseCommit(raw: Uint8Array, objectFormat: ObjectFormat): SignedObject {
  const signatureHeader = objectFormat === "sha1" ? "gpgsig " : "gpgsig-sha256 "
  const payload: Uint8Array[] = []
  const signature: Uint8Array[] = []
  let target: "payload" | "signature" | "dropped" = "payload"
  let offset = 0
  let signatures = 0
  const seen = new Set<string>()
  for (const line of lines(raw)) {
    if (line[0] === LF) break
    offset += line.length
    if (offset > MAX_HEADER_BYTES) return fail("the commit's headers are larger than any real ones")
    if (line[0] === SPACE && offset > line.length) {
      if (!seen.has("committer")) return fail("a header before committer goes over several lines")
      if (target === "payload") payload.push(line)
      else if (target === "signature") signature.push(line.subarray(1))
      continue
    }
    // git reads tree, parents, author and committer where they belong and stops at any other line: a signature header
    // among them would hide parents from git that are part of the payload.
    const name = headerName(line)
    if (!seen.has("committer") && !mayFollow(name, seen)) return fail(`the commit's ${name} header is out of place`)
    if (startsWith(line, signatureHeader)) {
      target = "signature"
      signatures++
      signature.push(line.subarray(signatureHeader.length))
    } else if (startsWith(line, "gpgsig")) {
      // git leaves every header that begins so out of the payload; all but these two would carry words that nobody signed.
      if (!startsWith(line, "gpgsig ") && !startsWith(line, "gpgsig-sha256 "))
        return fail("the commit has a header that no signature covers")
      target = "dropped"
    } else {
      target = "payload"
      payload.push(line)
      // Two trees or authors mean two readings of one signature (GHSA-7rmh-48mx-2vwc).
      if (ONCE.has(name) && seen.has(name)) return fail(`the commit has two ${name} headers`)
      seen.add(name)
    }
  }
  if (!seen.has("committer")) return fail("the commit has not all its headers")
  if (signatures > 1) throw new GitsignError("ERR_DUPLICATE_SIGNATURE", "the commit has more than one signature header")
  payload.push(raw.subarray(offset))
  return {
    type: "commit",
    payload: Buffer.concat(payload),
    signature: signatures === 0 ? undefined : Buffer.concat(signature),
    tagName: undefined,
  }
}

const ONCE = new Set(["tree", "author", "committer", "encoding"])

/** Bytes; signatures and merged tags among the headers have a few thousand. */
const MAX_HEADER_BYTES = 1024 * 1024

/** Whether a header stands where git reads it: `tree`, any number of `parent`, `author`, `committer`. */
function mayFollow(name: string, seen: ReadonlySet<string>): boolean {
  if (name === "tree") return seen.size === 0
  if (name === "parent") return seen.has("tree") && !seen.has("author")
  if (name === "author") return seen.has("tree") && !seen.has("author")
  return name === "committer" && seen.has("author")
}

/** The first lines by which git knows a signature (gpg-interface.c). */
const SIGNATURE_MARKERS = [
  "-----BEGIN SIGNED MESSAGE-----",
  "-----BEGIN PGP SIGNATURE-----",
  "-----BEGIN PGP MESSAGE-----",
  "-----BEGIN SSH SIGNATURE-----",
]

/** The marker that a signature begins with, if git knows it. */
export const signatureMarker = (signature: Uint8Array): string | undefined =>
  SIGNATURE_MARKERS.find((marker) => startsWith(signature, marker))

/**
 * Takes a tag apart: the signature begins at the LAST line that begins with a marker.
 *
 * @throws ERR_GIT_OBJECT when the headers are not a tag's; ERR_DUPLICATE_SIGNATURE when a signature header is repeated
 */
export function parseTag(raw: Uint8Array): SignedObject {
  const split = lastMarker(raw)
  const payload: Uint8Array[] = []
  let position = 0
  let dropped = false
  let headers = 0
  let tagName: string | undefined
  let signatureHeaders = 0
  const seen = new Set<string>()
  const body = raw.subarray(0, split)
  for (const line of lines(body)) {
    if (line[0] === LF) break
    position += line.length
    if (position > MAX_HEADER_BYTES) return fail("the tag's headers are larger than any real ones")
    if (line[0] === SPACE && headers > 0) {
      if (!dropped) payload.push(line)
      continue
    }
    headers++
    // A header with the signature over the other hash algorithm's form of the tag is not part of the payload.
    const signatureHeader = ["gpgsig ", "gpgsig-sha256 "].find((name) => startsWith(line, name))
    dropped = signatureHeader !== undefined
    if (signatureHeader !== undefined) {
      // git removes only the last of several, so they would be part of what it verifies, and not of this payload.
      if (++signatureHeaders > 1)
        throw new GitsignError("ERR_DUPLICATE_SIGNATURE", "the tag has more than one signature header")
      continue
    }
    payload.push(line)
    // Two objects or names mean two readings of one signature, as with commits.
    const name = headerName(line)
    if (TAG_HEADERS.includes(name) && seen.has(name)) return fail(`the tag has two ${name} headers`)
    // git reads the tagger directly after the tag's name, or not at all.
    if (name === "tagger" && headers !== 4) return fail("the tag's tagger header is out of place")
    seen.add(name)
    const expected = REQUIRED_TAG_HEADERS[headers - 1]
    if (expected !== undefined && !startsWith(line, `${expected} `))
      return fail(`the tag has no ${expected} header where it belongs`)
    if (expected === "tag" && line[line.length - 1] !== LF) return fail("the tag's headers are cut short")
    if (expected === "tag") tagName = Buffer.from(line.subarray(4, line.length - 1)).toString("utf8")
  }
  if (tagName === undefined) return fail("the tag has no tag header")
  payload.push(body.subarray(position))
  return {
    type: "tag",
    payload: Buffer.concat(payload),
    signature: split === raw.length ? undefined : raw.subarray(split),
    tagName,
  }
}

/** Where the last line begins that begins with a marker; the end when there is none. */
function lastMarker(raw: Uint8Array): number {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.length)
  const starts = SIGNATURE_MARKERS.map((marker) => {
    const at = bytes.lastIndexOf(`\n${marker}`)
    return at >= 0 ? at + 1 : startsWith(raw, marker) ? 0 : -1
  })
  const last = Math.max(...starts)
  return last < 0 ? raw.length : last
}

const REQUIRED_TAG_HEADERS = ["object", "type", "tag"]
const TAG_HEADERS = [...REQUIRED_TAG_HEADERS, "tagger"]

/** Takes a commit or tag apart; see {@link parseCommit} and {@link parseTag}. */
export const parseSignedObject = (type: SignedObjectType, raw: Uint8Array, objectFormat: ObjectFormat): SignedObject =>
  type === "commit" ? parseCommit(raw, objectFormat) : parseTag(raw)

/**
 * The object that git writes for a payload and its signature: a header at the end of the headers for commits
 * (`gpgsig`, or `gpgsig-sha256` in SHA-256 repositories), the end of the body for tags.
 */
export function joinSignedObject(
  payload: Uint8Array,
  signature: Uint8Array,
  header: "gpgsig" | "gpgsig-sha256" | "appended",
): Uint8Array {
  if (header === "appended") return Buffer.concat([payload, signature])
  const blank = Buffer.from(payload.buffer, payload.byteOffset, payload.length).indexOf("\n\n")
  const end = blank < 0 ? payload.length : blank + 1
  const folded = latin1(signature).replace(/\n$/, "").replaceAll("\n", "\n ")
  return Buffer.concat([
    payload.subarray(0, end),
    Buffer.from(`${header} ${folded}\n`, "latin1"),
    payload.subarray(end),
  ])
}

/** The id git gives an object, in lower-case hex. */
export const objectId = (type: SignedObjectType, raw: Uint8Array, objectFormat: ObjectFormat): string =>
  createHash(objectFormat).update(`${type} ${raw.length}\0`, "latin1").update(raw).digest("hex")

/**
 * The object ids that a log may have an entry for, when a signature in online mode is over this payload.
 *
 * First the id git really gives the object. Then what the Go gitsign logs: always SHA-1, always joined as a commit
 * with a `gpgsig` header, also for tags.
 *
 * @throws ERR_GIT_OBJECT when the payload is neither a commit nor a tag
 */
export function loggedObjectIds(payload: Uint8Array, signature: Uint8Array): string[] {
  const { type, objectFormat } = formatOfPayload(payload)
  const header = type === "tag" ? "appended" : objectFormat === "sha1" ? "gpgsig" : "gpgsig-sha256"
  return [
    ...new Set([
      objectId(type, joinSignedObject(payload, signature, header), objectFormat),
      objectId(type, joinSignedObject(payload, signature, type === "tag" ? "appended" : "gpgsig"), "sha1"),
      objectId(type, joinSignedObject(payload, signature, "gpgsig"), "sha1"),
      objectId("commit", joinSignedObject(payload, signature, "gpgsig"), "sha1"),
    ]),
  ]
}
