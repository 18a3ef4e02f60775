/**
 * Made fixtures about git objects: headers, tags, armor.
 *
 * @module
 */

import { object, offline, type Recipe } from "../recipe.ts"
import { armor, cms, commit, entryAttribute, entryOf, PAYLOAD, session } from "../signatures.ts"

const TREE = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"

const signed = (payload = PAYLOAD): { payload: Buffer; text: string } => {
  const one = session({ payload })
  return { payload, text: armor(cms(one, [entryAttribute(entryOf(one))])) }
}

/** A commit signed over another payload than PAYLOAD. */
const withPayload = (text: string): Buffer => {
  const { payload, text: armored } = signed(Buffer.from(text))
  return commit(payload, armored)
}

const TAG = Buffer.from(
  "object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype commit\ntag v1\n" +
    "tagger Alice <alice@fixtures.example> 1772366400 +0000\n\nA tag\n",
)

const tag = (
  [name, expect, comment]: readonly [string, Recipe["expect"], string],
  make: (payload: Buffer, text: string) => Buffer | string,
  payload = TAG,
): Recipe => ({
  kind: "tags",
  name,
  expect,
  comment,
  ...(expect === "ERR_GIT_OBJECT" || expect === "ERR_DUPLICATE_SIGNATURE" || expect === "ERR_NOT_SIGNED"
    ? { fields: { identity: undefined, issuer: undefined } }
    : {}),
  files: () => ({ object: Buffer.from(make(payload, signed(payload).text)) }),
})

const insertHeader = (raw: Buffer, header: string): Buffer => {
  const blank = raw.indexOf("\n\n") + 1
  return Buffer.concat([raw.subarray(0, blank), Buffer.from(header), raw.subarray(blank)])
}

const UNREAD = { identity: undefined, issuer: undefined }

const SSH =
  "-----BEGIN SSH SIGNATURE-----\n" +
  "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgAAAAAAAAAAAAAAAAAAAAAAAAAA\n" +
  "-----END SSH SIGNATURE-----\n"

const folded = (text: string): string => text.replace(/\n$/, "").replaceAll("\n", "\n ")

export const OBJECTS: readonly Recipe[] = [
  object(["plain", "verified", "a commit in offline mode"], () => withPayload(PAYLOAD.toString())),
  object(["unsigned", "ERR_NOT_SIGNED", "no signature header"], () => PAYLOAD, UNREAD),
  object(["ssh", "ERR_SIGNATURE_FORMAT", "an SSH signature"], () => commit(PAYLOAD, SSH), UNREAD),
  object(
    ["sha256-repository", "verified", "a SHA-256 repository: the header is gpgsig-sha256, the ids have 64 digits"],
    () => {
      const { payload, text } = signed(Buffer.from(PAYLOAD.toString().replace(TREE, `tree ${"6e".repeat(32)}\n`)))
      return commit(payload, text, "gpgsig-sha256")
    },
    { "object-format": "sha256" },
  ),
  object(
    ["signature-of-other-format", "ERR_NOT_SIGNED", "a SHA-1 repository, and only the signature for SHA-256 is there"],
    () => commit(PAYLOAD, signed().text, "gpgsig-sha256"),
    UNREAD,
  ),
  object(["both-formats", "verified", "signatures for both hash algorithms; the other one is not looked at"], () => {
    const { payload, text } = signed()
    return insertHeader(commit(payload, text), `gpgsig-sha256 ${folded(text)}\n`)
  }),
  object(
    ["two-signatures", "ERR_DUPLICATE_SIGNATURE", "two gpgsig headers, which git joins"],
    () => insertHeader(commit(PAYLOAD, signed().text), `gpgsig ${folded(signed().text)}\n`),
    UNREAD,
  ),
  object(
    ["two-signatures-one-empty", "ERR_DUPLICATE_SIGNATURE", "a good gpgsig header and an empty one"],
    () => insertHeader(commit(PAYLOAD, signed().text), "gpgsig \n"),
    UNREAD,
  ),
  object(
    ["two-blocks", "ERR_DUPLICATE_SIGNATURE", "two armored blocks in one gpgsig header"],
    () => commit(PAYLOAD, signed().text + signed().text),
    UNREAD,
  ),
  object(
    ["unsigned-header", "ERR_GIT_OBJECT", "a header that git leaves out of the payload because it begins with gpgsig"],
    () => insertHeader(commit(PAYLOAD, signed().text), "gpgsig-note words that nobody signed\n"),
    UNREAD,
  ),
  object(
    ["two-trees", "ERR_GIT_OBJECT", "two tree headers, both signed: readers differ (GHSA-7rmh-48mx-2vwc)"],
    () => withPayload(PAYLOAD.toString().replace("author", `tree ${"ab".repeat(20)}\nauthor`)),
    UNREAD,
  ),
  object(
    ["two-authors", "ERR_GIT_OBJECT", "two author headers, both signed"],
    () =>
      withPayload(PAYLOAD.toString().replace("committer", "author Mallory <m@fixtures.example> 1 +0000\ncommitter")),
    UNREAD,
  ),
  object(
    ["no-tree", "ERR_GIT_OBJECT", "a commit that does not begin with its tree"],
    () => withPayload(PAYLOAD.toString().replace(TREE, "")),
    UNREAD,
  ),
  object(["message-changed", "ERR_CONTENT", "one letter of the message changed after signing"], () =>
    Buffer.from(withPayload(PAYLOAD.toString()).toString("latin1").replace("A commit", "B commit"), "latin1"),
  ),
  object(["moved", "ERR_CONTENT", "the signature of one commit on another"], () =>
    commit(Buffer.from(PAYLOAD.toString().replace("A commit", "Another commit")), signed().text),
  ),
  object(["final-line-feed-removed", "ERR_CONTENT", "the message lost its final line feed"], () =>
    withPayload(PAYLOAD.toString()).subarray(0, -1),
  ),
  object(["header-added", "ERR_CONTENT", "a header added after signing"], () =>
    insertHeader(withPayload(PAYLOAD.toString()), "x-note added\n"),
  ),

  offline(["armor-blank-line", "verified", "libgit2 leaves an empty continuation line at the end of the header"], {
    text: (armored) => `${armored}\n`,
  }),
  offline(["armor-crlf", "ERR_PEM", "CRLF in the armor"], { text: (text) => text.replaceAll("\n", "\r\n") }, UNREAD),
  offline(
    ["armor-lower-case", "ERR_PEM", "a lower-case label"],
    { text: (text) => text.replaceAll("SIGNED MESSAGE", "signed message") },
    UNREAD,
  ),
  offline(
    ["armor-label", "ERR_PEM", "the label PKCS7"],
    { text: (text) => text.replaceAll("SIGNED MESSAGE", "PKCS7") },
    UNREAD,
  ),
  offline(
    ["armor-long-lines", "ERR_PEM", "lines of 76 characters"],
    {
      text: (text) => text.replace(/(?<=-----\n)[^-]+/, (body) => body.replaceAll("\n", "").replace(/.{76}/g, "$&\n")),
    },
    UNREAD,
  ),
  offline(
    ["armor-header", "ERR_PEM", "a header inside the armor"],
    { text: (text) => text.replace("-----\n", "-----\nVersion: 1\n\n") },
    UNREAD,
  ),
  offline(["armor-text-after", "ERR_PEM", "text after the armor"], { text: (text) => `${text}trailing\n` }, UNREAD),
  offline(["armor-text-before", "ERR_PEM", "text before the armor"], { text: (text) => `leading\n${text}` }, UNREAD),
  offline(
    ["armor-space", "ERR_PEM", "a space at the end of a line"],
    { text: (text) => text.replace("\nM", " \nM") },
    UNREAD,
  ),
  offline(["armor-cut", "ERR_PEM", "no END line"], { text: (text) => text.replace(/-----END.*\n/, "") }, UNREAD),
  object(
    ["armor-base64-low-bits", "ERR_PEM", "unused low bits of the last base64 character are set"],
    () => {
      // Which of several signatures has padding depends on its length; make them until one has.
      for (;;) {
        const { payload, text } = signed()
        const last = /([A-Za-z0-9+/])(=+)\n-----END/.exec(text)
        if (last?.[1] !== undefined && last[2] !== undefined) {
          const next = String.fromCharCode(last[1].charCodeAt(0) + 1)
          return commit(payload, text.replace(last[0], `${next}${last[2]}\n-----END`))
        }
      }
    },
    UNREAD,
  ),
  object(
    ["armor-base64-padding", "ERR_PEM", "the padding of the base64 is missing"],
    () => {
      for (;;) {
        const { payload, text } = signed()
        if (text.includes("=\n-----END")) return commit(payload, text.replace(/=+\n-----END/, "\n-----END"))
      }
    },
    UNREAD,
  ),

  tag(["plain", "verified", "a tag in offline mode"], (payload, text) => payload + text),
  tag(
    ["other-format-header", "verified", "a tag with the signature for the other hash algorithm in a header"],
    (payload, text) => insertHeader(Buffer.from(payload + text), `gpgsig-sha256 ${folded(text)}\n`),
  ),
  tag(["renamed", "ERR_CONTENT", "the name in the tag was changed after signing"], (payload, text) =>
    (payload + text).replace("tag v1\n", "tag v2\n"),
  ),
  tag(["retargeted", "ERR_CONTENT", "the tag points to another object than the signed one"], (payload, text) =>
    (payload + text).replace("object 4b", "object 4c"),
  ),
  tag(
    ["two-objects", "ERR_GIT_OBJECT", "two object headers, both signed"],
    (payload, text) => payload + text,
    Buffer.from(TAG.toString().replace("tagger", `object ${"ab".repeat(20)}\ntagger`)),
  ),
  tag(
    ["no-name", "ERR_GIT_OBJECT", "a tag without its name"],
    (payload, text) => payload + text,
    Buffer.from(TAG.toString().replace("tag v1\n", "")),
  ),
  tag(
    ["two-signature-headers", "ERR_DUPLICATE_SIGNATURE", "two signature headers in a tag, of which git removes one"],
    (payload, text) =>
      insertHeader(Buffer.from(payload + text), `gpgsig ${folded(text)}\ngpgsig-sha256 ${folded(text)}\n`),
  ),
  tag(["unsigned", "ERR_NOT_SIGNED", "a tag without a signature"], (payload) => payload),
  tag(["text-after", "ERR_PEM", "text after the signature"], (payload, text) => `${payload}${text}trailing\n`),
  tag(
    ["signature-inside", "ERR_CONTENT", "text after the signature and a second signature: the last one counts"],
    (payload, text) => `${payload}${text}trailing\n${text}`,
  ),
]
