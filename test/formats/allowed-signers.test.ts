/**
 * What is read of allowed signers, and the patterns in them. test/verify/ssh-oracle.test.ts compares the decisions with ssh-keygen's.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type AllowedSigner, parseAllowedSigners } from "../../src/formats/allowed-signers.ts"
import { sshFingerprint } from "../../src/formats/ssh-key.ts"
import { matchSshPattern, matchSshPatternList } from "../../src/formats/ssh-pattern.ts"
import { ed25519 } from "../support/ssh-signer.ts"

const { line } = ed25519()

const only = (text: string): AllowedSigner => {
  const { signers, unreadable } = parseAllowedSigners(text)
  expect(unreadable).toEqual([])
  const [signer] = signers
  if (signer === undefined || signers.length > 1) throw new Error("not one line")
  return signer
}

describe("lines", () => {
  test("all options", () => {
    const options = 'cert-authority,namespaces="git,file",valid-after="20250101Z",valid-before="202601011230Z"'
    expect(only(`# first\n\na@example.com,*@b.example ${options} ${line} a comment\r\n`)).toMatchObject({
      line: 3,
      principals: "a@example.com,*@b.example",
      isAuthority: true,
      namespaces: "git,file",
      validAfter: Date.UTC(2025, 0, 1) / 1000,
      validBefore: Date.UTC(2026, 0, 1, 12, 30) / 1000,
    })
  })

  test("none", () => {
    const found = only(`a@example.com ${line}`)
    expect(found).toMatchObject({ isAuthority: false, namespaces: undefined, validAfter: undefined })
    expect(sshFingerprint(found.publicKey)).toMatch(/^SHA256:/)
  })

  test("times without a Z are those of this machine", () => {
    expect(only(`a valid-after="20250615" ${line}`).validAfter).toBe(new Date(2025, 5, 15).getTime() / 1000)
    expect(only(`a valid-after="20251231235959" ${line}`).validAfter).toBe(
      new Date(2025, 11, 31, 23, 59, 59).getTime() / 1000,
    )
  })

  test.each([
    ["a", "invalid line"],
    ["a ", "missing key"],
    ['"a', "invalid line"],
    [`a x ${line}`, "unknown key option"],
    [`a namespaces="git ${line}`, "invalid options"],
    ["a cert-authority", "missing key"],
    ["a cert-authority nothing", "invalid key"],
    [`a cert-authority, ${line}`, "unexpected end of options"],
    [`a namespaces=git ${line}`, "namespaces has no value in quotes"],
    [`a namespaces="a",namespaces="b" ${line}`, "several namespaces clauses"],
    [`a valid-after="now" ${line}`, "invalid valid-after time"],
    [`a valid-before="19700101Z" ${line}`, "invalid valid-before time"],
    [`a valid-after="20250101",valid-before="20250101" ${line}`, "valid-before is not later than valid-after"],
  ])("%s: %s", (text, reason) => {
    expect(parseAllowedSigners(`${text}\nb ${line}\n`)).toMatchObject({
      signers: [{ line: 2, principals: "b" }],
      unreadable: [{ line: 1, reason }],
    })
  })

  test("too many lines", () => {
    expect(() => parseAllowedSigners("\n".repeat(100_001))).toThrow(
      expect.objectContaining({ code: "ERR_POLICY_LIMIT" }),
    )
    expect(parseAllowedSigners(`a${" ".repeat(70_000)}${line}`).unreadable).toHaveLength(1)
  })
})

describe("patterns", () => {
  test.each([
    ["a@example.com", "a@example.com", true],
    ["a@example.com", "A@example.com", false],
    ["a@example.com", "*@example.com", true],
    ["a@example.com.evil", "*@example.com", false],
    ["a@sub.example.com", "*@example.com", false],
    ["a@example.com", "?@example.com", true],
    ["@example.com", "?@example.com", false],
    ["a@exampleXcom", "a@example.com", false],
    ["", "*", true],
    ["", "", true],
    ["abc", "a**c", true],
    ["abc", "*?*?*?*", true],
    ["abc", "*?*?*?*?*", false],
    ["mississippi", "m*iss*ip*i", true],
  ])("%j against %j", (text, pattern, expected) => {
    expect(matchSshPattern(text, pattern)).toBe(expected)
  })

  test.each([
    ["a", "a,b", true],
    ["c", "a,b", false],
    ["a", "!a,*", false],
    ["a", "*,!a", false],
    ["b", "!a,*", true],
    ["b", "!a", false],
    ["a", "", false],
    ["", "", false],
    ["a", "a,", true],
  ])("%j against the list %j", (text, list, expected) => {
    expect(matchSshPatternList(text, list)).toBe(expected)
  })

  test("as the regular expression says", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 })
    const text = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 })
    fc.assert(
      fc.property(text, letters, (one, pattern) => {
        const expression = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`)
        expect(matchSshPattern(one, pattern)).toBe(expression.test(one))
      }),
    )
  })

  test("no pattern hangs", () => {
    expect(matchSshPattern("a".repeat(20_000), `${"*a".repeat(500)}b`)).toBe(false)
  })
})
