/**
 * The prototype of January 2023 stored its log entry in attributes of its own. They are not read by the verifier, which takes
 * such a signature for one in online mode; here they are, to show that nothing is lost: the entry can be rebuilt from them.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { expect, test } from "vitest"
import { parseSignedData, single } from "../../src/formats/cms.ts"
import { DerReader, type DerValue, readAll } from "../../src/formats/der.ts"
import { hashedRekordBody } from "../../src/formats/log-entry.ts"
import { decodeSignatureArmor } from "../../src/formats/pem.ts"
import { parseCertificate } from "../../src/formats/x509.ts"
import { Progress } from "../../src/verify/progress.ts"
import { verifySigstore } from "../../src/verify/sigstore.ts"
import { caseNamed, trustedRootOf } from "../support/fixtures.ts"
import { signedOf } from "../support/verify-case.ts"

test("the attributes rebuild to an entry that proves the signature", () => {
  const one = caseNamed("commits", "real-c6dff4a9-prototype-attributes_fail")
  const { signerInfo, certificates } = parseSignedData(decodeSignatureArmor(signedOf(one).signature))
  const value = (n: number): DerValue =>
    new DerReader(single(signerInfo.unsignedAttrs, `1.3.6.1.4.1.57264.3.${n}`, "attribute")).any()
  const number = (n: number): bigint => BigInt(`0x${Buffer.from(value(n).content).toString("hex")}`)
  const unhex = (text: Uint8Array): Buffer => Buffer.from(Buffer.from(text).toString("latin1"), "hex")
  const hashes = readAll(value(5).raw, "hashes", (outer) =>
    outer.sequence("hashes", (r) => {
      const list: Buffer[] = []
      while (!r.atEnd) list.push(unhex(r.any().content))
      return list
    }),
  )
  const [leaf = new Uint8Array()] = certificates
  const { signature, signedAttrs: signed } = signerInfo
  const digest = createHash("sha256").update(signed).digest()
  const treeSize = number(7)
  const entry = {
    logIndex: number(2),
    logId: unhex(value(1).content),
    kindVersion: { kind: "hashedrekord", version: "0.0.1" },
    integratedTime: number(0),
    inclusionPromise: value(3).content,
    inclusionProof: {
      // The index in the tree was not stored. The proof was made when the entry was the newest.
      logIndex: treeSize - 1n,
      rootHash: unhex(value(6).content),
      treeSize,
      hashes,
      checkpoint: Buffer.from(value(4).content).toString("utf8"),
    },
    canonicalizedBody: hashedRekordBody({ digest, signature, certificateDer: leaf }, "0.0.1"),
  }
  const claim = { certificate: parseCertificate(leaf), signed, signature, timestamps: [] }
  const progress = new Progress()
  verifySigstore(
    { ...claim, logged: { entry, signature, signed: [signed] } },
    { trustedRoot: trustedRootOf(one) },
    progress,
  )
  expect(progress.logged).toEqual({
    origin: "rekor.sigstore.dev - 2605736670972794746",
    index: 10_975_146n,
    time: new Date("2023-01-11T21:46:15Z"),
  })
})
