/**
 * Signed notes (C2SP signed-note) and the checkpoints in them (C2SP tlog-checkpoint).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { decodeBase64 } from "./base64.ts"

/** One signature line of a note. Its name and key are claims until the signature is verified. */
export interface NoteSignature {
  readonly name: string
  /** The first 4 bytes of the key id. */
  readonly keyHint: Uint8Array
  /** The algorithm's signature bytes, without the hint. */
  readonly signature: Uint8Array
  /** The line as it stands in the note, with its line feed. */
  readonly line: string
}

/** A note: the text that is signed, with its final line feed, and the signatures over it. */
export interface SignedNote {
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** The body of a note that states the size and root of a log. */
export interface Checkpoint {
  readonly origin: string
  readonly treeSize: bigint
  /** 32 bytes. */
  readonly rootHash: Uint8Array
  /** Further lines, opaque; early Rekor checkpoints carry `Timestamp: NANOSECONDS`. */
  readonly extensionLines: readonly string[]
}

const fail = (message: string): never => {
  throw new GitsignError("ERR_CHECKPOINT", message)
}

/**
 * Splits a note into its text and its signature lines.
 *
 * @throws ERR_CHECKPOINT when it is not a signed note
 */
export function parseSignedNote(note: string): SignedNote {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: C2SP signed-note forbids exactly these
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note)) return fail("checkpoint: control characters are not allowed")
  // The text may hold blank lines of its own; the signatures begin after the last one.
  const split = note.lastIndexOf("\n\n")
  if (split < 0) return fail("checkpoint: no blank line before the signatures")
  const text = note.slice(0, split + 1)
  const block = note.slice(split + 2)
  if (!block.endsWith("\n")) return fail("checkpoint: no signature lines, or the last is cut short")
  const lines = block.slice(0, -1).split("\n")
  // Signed notes are allowed any number of signatures; a bound keeps a hostile one from costing anything.
  if (lines.length > 100) return fail("checkpoint: more than 100 signature lines")
  return { text, signatures: lines.map(parseSignatureLine) }
}

function parseSignatureLine(line: string): NoteSignature {
  const match = /^\u2014 ([^\s+]+) (\S+)$/u.exec(line)
  const [, name, base64] = match ?? []
  if (name === undefined || base64 === undefined) return fail("checkpoint: malformed signature line")
  const bytes = decodeBase64(base64)
  if (bytes === undefined || bytes.length < 5) return fail("checkpoint: malformed signature in a signature line")
  return { name, keyHint: bytes.subarray(0, 4), signature: bytes.subarray(4), line: `${line}\n` }
}

/**
 * Reads the text of a note as a checkpoint, accepting the canonical form only.
 *
 * The caller MUST verify a signature of the note by a trusted log before it believes the result.
 *
 * @throws ERR_CHECKPOINT when it is not a checkpoint
 */
export function parseCheckpoint(text: string): Checkpoint {
  if (!text.endsWith("\n")) return fail("checkpoint: no final line feed")
  const [origin, size, root, ...extensionLines] = text.slice(0, -1).split("\n")
  if (!origin || size === undefined || root === undefined) return fail("checkpoint: origin, size or root is missing")
  if (!/^(0|[1-9]\d{0,18})$/.test(size)) return fail("checkpoint: the tree size is not a canonical decimal")
  const rootHash = decodeBase64(root)
  if (rootHash?.length !== 32) return fail("checkpoint: the root hash is not 32 bytes of canonical base64")
  if (extensionLines.includes("")) return fail("checkpoint: empty extension line")
  return { origin, treeSize: BigInt(size), rootHash, extensionLines }
}

/** Writes the text of a checkpoint, ready to be signed. */
export const formatCheckpoint = (checkpoint: Checkpoint): string =>
  `${[
    checkpoint.origin,
    checkpoint.treeSize,
    Buffer.from(checkpoint.rootHash).toString("base64"),
    ...checkpoint.extensionLines,
  ].join("\n")}\n`

/** Writes one signature line, with its line feed. */
export const formatNoteSignature = (name: string, keyHint: Uint8Array, signature: Uint8Array): string =>
  `\u2014 ${name} ${Buffer.concat([keyHint, signature]).toString("base64")}\n`
