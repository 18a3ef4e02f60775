/**
 * ECDSA-Sig-Value has one encoding. OpenSSL 3 refuses the others too; older ones and other libraries did not.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { checkEcdsaSigValue } from "../../src/formats/ecdsa.ts"

const number = (content: string): string => `02${(content.length / 2).toString(16).padStart(2, "0")}${content}`
const sequence = (...numbers: readonly string[]): string => {
  const content = numbers.join("")
  return `30${(content.length / 2).toString(16).padStart(2, "0")}${content}`
}
const ONE = number("01")
const MOST = number(`00${"ff".repeat(32)}`)

const check = (hex: string) => () => checkEcdsaSigValue(Buffer.from(hex, "hex"), 32)

describe("ECDSA-Sig-Value", () => {
  test.each([
    ["small numbers", sequence(ONE, ONE)],
    ["the largest numbers", sequence(MOST, MOST)],
    ["a number that begins with a high bit", sequence(number("0080"), ONE)],
  ])("%s", (_, hex) => expect(check(hex)).not.toThrow())

  test.each([
    ["nothing", ""],
    ["one number", sequence(ONE)],
    ["three numbers", sequence(ONE, ONE, ONE)],
    ["zero", sequence(number("00"), ONE)],
    ["an empty number", sequence(number(""), ONE)],
    ["a negative number", sequence(ONE, number("ff"))],
    ["a leading zero", sequence(number("0001"), ONE)],
    ["33 octets", sequence(number(`01${"ff".repeat(32)}`), ONE)],
    ["a byte after it", `${sequence(ONE, ONE)}00`],
    ["a long length", `3081${sequence(ONE, ONE).slice(2)}`],
    ["an indefinite length", `3080${ONE}${ONE}0000`],
    ["a SET", `31${sequence(ONE, ONE).slice(2)}`],
    ["octets for numbers", sequence("040101", ONE)],
  ])("not: %s", (_, hex) => {
    expect(check(hex)).toThrow(expect.objectContaining({ code: "ERR_SIGNATURE" }))
  })
})
