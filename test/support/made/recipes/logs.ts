/**
 * Made fixtures about the log entry: its protobuf, its proofs, its promise, its time.
 *
 * @module
 */

import { createHash, sign } from "node:crypto"
import { octets } from "../asn1.ts"
import { seconds } from "../certificates.ts"
import { sha256 } from "../keys.ts"
import {
  checkpoint,
  type Entry,
  encodeEntry,
  inclusionPath,
  leafHashOf,
  logEntry,
  OTHER_LOG,
  promiseOf,
  REKOR,
  REKOR2,
  rekordBody,
  rekorJson,
  rootOf,
  signatureLine,
} from "../log.ts"
import { object, offline, type Recipe, trustedChains } from "../recipe.ts"
import {
  armor,
  attribute,
  cms,
  commit,
  ENTRY_ATTRIBUTE,
  entryAttribute,
  entryOf,
  PAYLOAD,
  type Session,
  session,
  timestampAttribute,
} from "../signatures.ts"
import { timeStampToken } from "../timestamps.ts"

type Line = readonly [string, Recipe["expect"], string]

/** The stored bytes are these instead. */
const stored = (line: Line, bytes: (encoded: Buffer) => Uint8Array): Recipe =>
  offline(
    line,
    { entry: (entry) => [attribute(ENTRY_ATTRIBUTE, octets(bytes(encodeEntry(entry))))] },
    { identity: undefined, issuer: undefined },
  )

const changed = (line: Line, change: (entry: Entry) => void): Recipe => offline(line, { change })

type Proof = NonNullable<Entry["proof"]>

const proofChanged = (line: Line, change: (proof: Proof, entry: Entry) => void): Recipe =>
  changed(line, (entry) => {
    if (entry.proof !== undefined) change(entry.proof, entry)
  })

const flipped = (bytes: Uint8Array): Buffer => {
  const copy = Buffer.from(bytes)
  copy[0] = (copy[0] ?? 0) ^ 1
  return copy
}

/** A Rekor v2 entry with a timestamp, changed as told. */
const rekor2 = (
  line: Line,
  change: (entry: Entry) => void = () => undefined,
  options: { timestamp?: boolean; time?: Date; fields?: Recipe["fields"] } = {},
): Recipe =>
  object(
    line,
    () => {
      const one = session(options.time === undefined ? {} : { leaf: { notBefore: options.time } })
      const entry = entryOf(one, { log: REKOR2 })
      change(entry)
      const certificate = trustedChains().tsa[0] ?? Buffer.alloc(0)
      const time = options.time === undefined ? {} : { time: options.time }
      const timestamp =
        options.timestamp === false ? [] : [timestampAttribute(timeStampToken(one.signature, { certificate, ...time }))]
      return commit(one.payload, armor(cms(one, [entryAttribute(entry), ...timestamp])))
    },
    options.fields,
  )

/** A commit in online mode, with the log's answer as told. */
const online = (
  [name, expect, comment]: Line,
  answer: (id: string, one: Session) => Entry | undefined,
  fields: Recipe["fields"] = {},
  attributes: (one: Session) => readonly Uint8Array[] = () => [],
): Recipe => ({
  kind: "commits",
  name,
  expect,
  comment,
  fields: { "log-entry": "log-entry.json", ...fields },
  files: () => {
    const sha256Repository = fields?.["object-format"] === "sha256"
    const payload = sha256Repository
      ? Buffer.from(PAYLOAD.toString().replace(/^tree \w+/, `tree ${"6e".repeat(32)}`))
      : PAYLOAD
    const one = session({ payload })
    const raw = commit(payload, armor(cms(one, attributes(one))), sha256Repository ? "gpgsig-sha256" : "gpgsig")
    const hash = createHash(sha256Repository ? "sha256" : "sha1")
    const entry = answer(hash.update(`commit ${raw.length}\0`).update(raw).digest("hex"), one)
    return { object: raw, ...(entry === undefined ? {} : { "log-entry.json": rekorJson(entry) }) }
  },
})

/** The entry that online mode makes for an object id. */
const onlineEntry = (id: string, { key, leaf }: Session, certificate = leaf): Entry =>
  logEntry(rekordBody(sha256(Buffer.from(id)), sign("sha256", Buffer.from(id), key), certificate))

/** A tree of one's own choice over the entry, self-consistent, that no log has signed. */
function forgeTree(proof: Proof, { body }: Entry): void {
  const leaves = [leafHashOf(body), leafHashOf(Buffer.from("forged"))]
  proof.logIndex = 0n
  proof.treeSize = 2n
  proof.rootHash = rootOf(leaves)
  proof.hashes = inclusionPath(0, leaves)
}

/** Taken as a pattern and matched against itself, a backtracking engine needs some 2^30 steps to say no. */
const EVIL_NAME = `(.|.)*[z]${"x".repeat(30)}`

export const LOGS: readonly Recipe[] = [
  online(["online", "verified", "online mode, with the entry that the log answered"], onlineEntry),
  online(["online-sha256", "verified", "online mode in a SHA-256 repository"], onlineEntry, {
    "object-format": "sha256",
  }),
  online(
    ["online-unavailable", "ERR_LOG_ENTRY_UNAVAILABLE", "online mode, and the log is out of reach"],
    () => undefined,
    { "log-entry": undefined },
  ),
  online(["online-other-object", "ERR_LOG_ENTRY", "the log's entry is for another object"], (_, one) =>
    onlineEntry("4b825dc642cb6eb9a060e54bf8d69288fbee4904", one),
  ),
  online(
    ["online-other-certificate", "ERR_LOG_ENTRY", "the log's entry is for another certificate of the same key"],
    (id, one) => onlineEntry(id, one, session({ leaf: { key: one.key } }).leaf),
  ),
  online(["online-other-signature", "ERR_SIGNATURE", "the log's entry holds a signature by another key"], (id, one) =>
    onlineEntry(id, { ...one, key: session().key }),
  ),
  online(
    ["online-timestamp", "verified", "online mode with a timestamp over the commit's signature"],
    onlineEntry,
    {},
    (one) => [timestampAttribute(timeStampToken(one.signature, { certificate: trustedChains().tsa[0] ?? one.leaf }))],
  ),
  online(
    ["online-timestamp-by-other-key", "ERR_TIMESTAMP", "online mode with a timestamp that the authority did not sign"],
    onlineEntry,
    {},
    (one) => [
      timestampAttribute(
        timeStampToken(one.signature, { certificate: trustedChains().tsa[0] ?? one.leaf, key: one.key }),
      ),
    ],
  ),
  online(["online-without-proof", "ERR_LOG_PROOF", "the log answered without a proof"], (id, one) => ({
    ...onlineEntry(id, one),
    proof: undefined,
  })),

  offline(["entry-of-other-signature", "ERR_LOG_PROOF", "the log entry of another commit's signature"], {
    entry: () => [entryAttribute(entryOf(session()))],
  }),
  offline(["entry-of-other-certificate", "ERR_LOG_PROOF", "the log has this signature with another certificate"], {
    entry: (_, one) => [
      entryAttribute(
        logEntry(rekordBody(sha256(one.signedAttrs), one.signature, session({ leaf: { key: one.key } }).leaf)),
      ),
    ],
  }),
  changed(["entry-kind", "ERR_LOG_ENTRY", "the stored kind is intoto"], (entry) => {
    entry.kind = "intoto"
  }),
  changed(["entry-version", "ERR_LOG_ENTRY", "a Rekor v1 entry that says it is of version 0.0.2"], (entry) => {
    entry.version = "0.0.2"
  }),
  stored(["entry-trailing", "ERR_LOG_ENTRY", "a further field after the entry"], (encoded) =>
    Buffer.concat([encoded, Buffer.of(0x38, 1)]),
  ),
  stored(["entry-repeated-field", "ERR_LOG_ENTRY", "the log index twice"], (encoded) =>
    Buffer.concat([encoded, encoded.subarray(0, 1 + 4)]),
  ),
  stored(["entry-long-varint", "ERR_LOG_ENTRY", "a number in more octets than needed"], (encoded) => {
    // Field 1 is the index: its last octet says that another follows, which is 0.
    const copy = Buffer.from(encoded)
    copy[4] = (copy[4] ?? 0) | 0x80
    return Buffer.concat([copy.subarray(0, 5), Buffer.of(0), copy.subarray(5)])
  }),
  stored(["entry-cut", "ERR_LOG_ENTRY", "an entry that is cut short"], (encoded) => encoded.subarray(0, -1)),
  stored(["entry-empty", "ERR_LOG_ENTRY", "an empty entry"], () => Buffer.alloc(0)),

  offline(["unknown-log", "ERR_LOG_UNKNOWN", "logged in a log that nobody trusts"], {
    entry: (_, one) => [entryAttribute(entryOf(one, { log: OTHER_LOG }))],
  }),
  offline(["log-key-not-in-use", "ERR_LOG_UNKNOWN", "logged before the log's key was in use"], {
    entry: (_, one) => [entryAttribute(entryOf(one, { time: new Date("2025-12-01T00:00:00Z") }))],
  }),

  proofChanged(["proof-of-other-index", "ERR_LOG_PROOF", "the proof is for another index"], (proof) => {
    proof.logIndex = 4n
  }),
  proofChanged(["proof-index-outside", "ERR_LOG_PROOF", "the index is outside the tree"], (proof) => {
    proof.logIndex = 13n
  }),
  proofChanged(["proof-root", "ERR_LOG_PROOF", "the root in the proof is not the checkpoint's"], (proof) => {
    proof.rootHash = flipped(proof.rootHash)
  }),
  proofChanged(["proof-size", "ERR_LOG_PROOF", "the tree size in the proof is not the checkpoint's"], (proof) => {
    proof.treeSize = 14n
  }),
  proofChanged(["proof-short", "ERR_LOG_PROOF", "a hash is missing from the proof"], (proof) => {
    proof.hashes.pop()
  }),
  proofChanged(["proof-long", "ERR_LOG_PROOF", "a hash too many in the proof"], (proof) => {
    proof.hashes.push(Buffer.alloc(32))
  }),
  proofChanged(["proof-hash", "ERR_LOG_PROOF", "a changed hash in the proof"], (proof) => {
    proof.hashes[0] = flipped(proof.hashes[0] ?? Buffer.alloc(32))
  }),
  proofChanged(["proof-hash-size", "ERR_LOG_PROOF", "two hashes of the proof divided elsewhere"], (proof) => {
    const joined = Buffer.concat(proof.hashes.slice(0, 2))
    proof.hashes.splice(0, 2, joined.subarray(0, 31), joined.subarray(31))
  }),
  changed(["no-proof", "ERR_LOG_PROOF", "the entry has a promise and no proof"], (entry) => {
    entry.proof = undefined
  }),
  proofChanged(["other-entry-proof", "ERR_LOG_PROOF", "proof and checkpoint of another entry"], (proof) => {
    Object.assign(proof, logEntry(Buffer.from("another entry")).proof)
  }),

  proofChanged(["checkpoint-of-other-log", "ERR_CHECKPOINT", "the checkpoint is of another log"], (proof) => {
    proof.checkpoint = checkpoint(OTHER_LOG, proof.treeSize, proof.rootHash)
  }),
  proofChanged(["checkpoint-key-hint", "ERR_CHECKPOINT", "another key hint on the signature line"], (proof) => {
    proof.checkpoint = checkpoint({ ...REKOR, id: flipped(REKOR.id) }, proof.treeSize, proof.rootHash)
  }),
  proofChanged(
    ["checkpoint-signature", "ERR_CHECKPOINT", "signed with another key under the log's name and hint"],
    (proof) => {
      proof.checkpoint = checkpoint({ ...REKOR, key: OTHER_LOG.key }, proof.treeSize, proof.rootHash)
    },
  ),
  proofChanged(
    ["checkpoint-forged-tree", "ERR_CHECKPOINT", "a made-up tree, and the signature of the real one"],
    (proof, entry) => {
      const [, line] = proof.checkpoint.split("\n\n")
      forgeTree(proof, entry)
      proof.checkpoint = `${REKOR.origin}\n2\n${proof.rootHash.toString("base64")}\n\n${line}`
    },
  ),
  proofChanged(["checkpoint-origin-changed", "ERR_CHECKPOINT", "another tree id in the origin"], (proof) => {
    proof.checkpoint = proof.checkpoint.replace(" - 1", " - 2")
  }),
  proofChanged(["checkpoint-line-added", "ERR_CHECKPOINT", "a line added to the signed text"], (proof) => {
    proof.checkpoint = proof.checkpoint.replace("\n\n", "\nTimestamp: 1\n\n")
  }),
  proofChanged(["checkpoint-unsigned", "ERR_CHECKPOINT", "no signature line"], (proof) => {
    proof.checkpoint = proof.checkpoint.replace(/\u2014.*\n/, "")
  }),
  proofChanged(["checkpoint-empty", "ERR_CHECKPOINT", "an empty checkpoint"], (proof) => {
    proof.checkpoint = ""
  }),
  proofChanged(
    ["checkpoint-second-signature", "ERR_CHECKPOINT", "a second line in the log's name that is not its signature"],
    (proof) => {
      proof.checkpoint += signatureLine(REKOR.name, REKOR.id, Buffer.from("nothing"))
    },
  ),
  proofChanged(["checkpoint-cosigned", "ERR_CHECKPOINT", "a line of a stranger on a Rekor v1 checkpoint"], (proof) => {
    proof.checkpoint += signatureLine("witness.fixtures.example", Buffer.from("hint"), Buffer.from("nothing"))
  }),
  proofChanged(["checkpoint-size-padded", "ERR_CHECKPOINT", "the log signed a size with a leading zero"], (proof) => {
    const text = `${REKOR.origin}\n013\n${proof.rootHash.toString("base64")}\n`
    proof.checkpoint = `${text}\n${signatureLine(REKOR.name, REKOR.id, sign("sha256", Buffer.from(text), REKOR.key))}`
  }),
  proofChanged(
    ["checkpoint-name-pattern", "ERR_CHECKPOINT", "a log name that is a regular expression without end"],
    (proof, entry) => {
      forgeTree(proof, entry)
      const { key, id } = REKOR
      const evil = { key, id, name: EVIL_NAME, origin: `${EVIL_NAME} - 1` }
      proof.checkpoint = checkpoint(evil, 2n, proof.rootHash)
    },
  ),

  changed(["promise-over-other-time", "ERR_LOG_PROMISE", "the promise is over another time"], (entry) => {
    entry.integratedTime += 1n
  }),
  changed(["promise-over-other-index", "ERR_LOG_PROMISE", "the promise is over another index"], (entry) => {
    entry.logIndex += 1n
  }),
  changed(["promise-by-other-key", "ERR_LOG_PROMISE", "the promise is signed with another key"], (entry) => {
    entry.promise = promiseOf({ ...REKOR, key: OTHER_LOG.key }, entry)
  }),
  changed(["promise-missing", "ERR_LOG_PROMISE", "an entry of Rekor v1 without its promise"], (entry) => {
    entry.promise = undefined
  }),
  changed(
    ["promise-and-time-missing", "ERR_LOG_PROMISE", "an entry of Rekor v1 without its promise and time"],
    (entry) => {
      entry.promise = undefined
      entry.integratedTime = 0n
    },
  ),
  changed(["time-in-no-calendar", "ERR_LOG_TIME", "logged in a year that Date cannot say"], (entry) => {
    entry.integratedTime = 9_000_000_000_000_000n
    entry.promise = promiseOf(REKOR, entry)
  }),

  rekor2(["rekor2", "verified", "Rekor v2 with a timestamp, stored as the Go gitsign stores it"]),
  rekor2(["rekor2-version", "verified", "Rekor v2 with its own version and without the empty promise"], (entry) => {
    entry.version = "0.0.2"
    entry.promise = undefined
  }),
  rekor2(["rekor2-cosigned", "verified", "Rekor v2 with a line of a witness that nobody knows"], (entry) => {
    if (entry.proof !== undefined)
      entry.proof.checkpoint += signatureLine("witness.fixtures.example", Buffer.from("hint"), Buffer.from("unknown"))
  }),
  rekor2(
    ["rekor2-second-signature", "ERR_CHECKPOINT", "a second line in the log's name and hint that is not its signature"],
    (entry) => {
      if (entry.proof !== undefined)
        entry.proof.checkpoint += signatureLine(REKOR2.name, REKOR2.id, Buffer.from("nothing"))
    },
  ),
  rekor2(["rekor2-no-timestamp", "ERR_NO_TIME", "Rekor v2 states no time, and there is no timestamp"], undefined, {
    timestamp: false,
  }),
  rekor2(["rekor2-index", "ERR_LOG_PROOF", "an index that nothing proves"], (entry) => {
    entry.logIndex = 6n
  }),
  rekor2(["rekor2-time", "ERR_LOG_PROMISE", "a time that nobody signed"], (entry) => {
    entry.integratedTime = BigInt(seconds(5).getTime() / 1000)
    entry.promise = undefined
  }),
  rekor2(["rekor2-name", "ERR_CHECKPOINT", "signed with the trusted key under another log's name"], (entry) => {
    if (entry.proof !== undefined) {
      const other = { ...REKOR2, name: "log2025.fixtures.example", origin: "log2025.fixtures.example" }
      entry.proof.checkpoint = checkpoint(other, entry.proof.treeSize, entry.proof.rootHash)
    }
  }),
  rekor2(["rekor2-key-not-in-use", "ERR_LOG_UNKNOWN", "timestamped before the log's key was in use"], undefined, {
    time: new Date("2026-01-15T00:00:00Z"),
  }),
]
