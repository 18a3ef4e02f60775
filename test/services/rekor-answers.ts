/**
 * Entries and Rekor's answers about them (rekor openapi.yaml LogEntry), for the tests.
 *
 * @module
 */

import { createHash, sign } from "node:crypto"
import { type HashedRekord, hashedRekordBody } from "../../src/formats/log-entry.ts"
import { leafHash } from "../../src/formats/merkle.ts"
import { testCertificate, testKey } from "./certificates.ts"

const KEY = testKey()
/** The certificate that {@link ENTRY} names. */
export const LEAF = await testCertificate(KEY)

/** An entry for SHA-256 of a text, signed with the key of {@link LEAF}. */
export const entryFor = (text: string) => ({
  digest: createHash("sha256").update(text).digest(),
  signature: sign("sha256", Buffer.from(text), KEY.privateKey),
  certificateDer: LEAF,
})

export const ENTRY = entryFor("signed attributes")

type Body = HashedRekord | Uint8Array

const bodyOf = (entry: Body): Uint8Array => (entry instanceof Uint8Array ? entry : hashedRekordBody(entry, "0.0.1"))

/** The 80 digits that name an entry: the tree's id and the leaf hash. */
export const uuidOf = (entry: Body): string => `00000000000004d2${Buffer.from(leafHash(bodyOf(entry))).toString("hex")}`

/** The JSON that Rekor sends for an entry. Its proofs have the right form and prove nothing. */
export const rekorAnswer = (entry: Body) => ({
  [uuidOf(entry)]: {
    body: Buffer.from(bodyOf(entry)).toString("base64"),
    integratedTime: 1_795_000_000,
    logID: "07".repeat(32),
    logIndex: 2_282_308_323,
    verification: {
      inclusionProof: {
        checkpoint: "log.example - 1\n9\nAQEB\n\n\u2014 log.example AAAA\n",
        hashes: ["02".repeat(32), "03".repeat(32)],
        logIndex: 5,
        rootHash: "01".repeat(32),
        treeSize: 9,
      },
      signedEntryTimestamp: Buffer.from("promise").toString("base64"),
    },
  },
})
