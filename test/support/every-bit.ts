/**
 * Every bit matters: no signature verifies with one bit of its armor or DER flipped, and none over a payload with one bit
 * changed.
 *
 * @module
 */

import { expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { decodeSignatureArmor } from "../../src/formats/pem.ts"
import { type Signed, verifySignature } from "../../src/verify/verify.ts"
import { type Case, caseNamed, trustedRootOf } from "./fixtures.ts"
import { signedOf } from "./verify-case.ts"

/** All forms of `bytes` with one bit flipped. The one buffer is used again for each. */
function* flips(bytes: Uint8Array): Generator<{ readonly flipped: Buffer; readonly place: string }> {
  const flipped = Buffer.from(bytes)
  for (const [index, octet] of bytes.entries()) {
    for (let bit = 0; bit < 8; bit++) {
      flipped[index] = octet ^ (1 << bit)
      yield { flipped, place: `byte ${index}, bit ${bit}` }
    }
    flipped[index] = octet
  }
}

/** Whether anything but a refusal came out: with a bit changed, nothing is left that could be checked another time. */
const survives = (signed: Signed, testCase: Case): boolean =>
  verifySignature(signed, { trustedRoot: trustedRootOf(testCase) }).verdict !== "failed"

const decoded = (armored: Uint8Array): Uint8Array | undefined => {
  try {
    return decodeSignatureArmor(armored)
  } catch (error) {
    if (isGitsignError(error)) return undefined
    throw error
  }
}

const bitsBetween = (a: Uint8Array, b: Uint8Array): number => {
  let bits = Math.abs(a.length - b.length) * 8
  for (const [index, octet] of a.entries()) {
    for (let rest = octet ^ (b[index] ?? octet); rest > 0; rest >>= 1) bits += rest & 1
  }
  return bits
}

/** Tests each bit of one case that verifies. */
export function everyBitOf(kind: string, name: string): void {
  const one = caseNamed(kind, name)
  const { payload = new Uint8Array(), signature } = signedOf(one)
  const der = decodeSignatureArmor(signature)

  test("verifies as it is", () => {
    expect(verifySignature({ payload, signature }, { trustedRoot: trustedRootOf(one) }).verdict).toBe("verified")
  })

  test("every bit of the DER", { timeout: 60_000 }, () => {
    for (const { flipped, place } of flips(der)) {
      if (survives({ payload, signature: flipped }, one)) expect.unreachable(place)
    }
  })

  test("every bit of the armor", { timeout: 60_000 }, () => {
    for (const { flipped, place } of flips(signature)) {
      const other = decoded(flipped)
      if (other === undefined) continue
      // One character of base64 holds six bits. A change of one of them is among those of the DER above.
      const bits = bitsBetween(der, other)
      if (bits === 0 || (bits > 1 && survives({ payload, signature: flipped }, one))) expect.unreachable(place)
    }
  })

  test("every bit of the payload", () => {
    for (const { flipped, place } of flips(payload)) {
      if (survives({ payload: flipped, signature }, one)) expect.unreachable(place)
    }
  })

  test("every shorter payload, every shorter signature", () => {
    for (let length = 0; length < payload.length; length++) {
      if (survives({ payload: payload.subarray(0, length), signature }, one)) expect.unreachable(`payload of ${length}`)
    }
    // Without its final line feed it is the same signature: that belongs to the header around it.
    for (let length = 0; length < signature.length - 1; length++) {
      if (survives({ payload, signature: signature.subarray(0, length) }, one))
        expect.unreachable(`signature of ${length}`)
    }
  })
}
