/**
 * What git tells its hooks about a push, and what somebody who pushes could make of it; git itself says which names are refs.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { isRefName, parsePushed, parseReceived, refUpdate } from "../../src/git/pushed-refs.ts"

const A = "a".repeat(40)
const B = "b".repeat(40)
const NONE = "0".repeat(40)

const bytes = (text: string): Uint8Array => Buffer.from(text, "utf8")

const codeOf = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    return isGitsignError(error) ? error.code : String(error)
  }
  return "accepted"
}

describe("pre-receive", () => {
  test("new, changed and deleted refs, of both kinds of repositories", () => {
    const long = "c".repeat(64)
    const lines = `${NONE} ${A} refs/heads/new\n${A} ${B} refs/heads/täst/é\n${A} ${NONE} refs/tags/gone\n`
    expect(parseReceived(bytes(lines))).toEqual([
      { ref: "refs/heads/new", before: undefined, after: A },
      { ref: "refs/heads/täst/é", before: A, after: B },
      { ref: "refs/tags/gone", before: A, after: undefined },
    ])
    expect(parseReceived(bytes(`${"0".repeat(64)} ${long} refs/heads/x\n`))).toEqual([
      { ref: "refs/heads/x", before: undefined, after: long },
    ])
    expect(parseReceived(bytes(""))).toEqual([])
  })

  test("many thousands", () => {
    const lines = Array.from({ length: 50_000 }, (_, index) => `${NONE} ${A} refs/heads/b${index}\n`).join("")
    expect(parseReceived(bytes(lines))).toHaveLength(50_000)
  })

  test.each([
    ["a line that is cut off", `${A} ${B} refs/heads/main`],
    ["an empty line", `${A} ${B} refs/heads/main\n\n`],
    ["a missing part", `${A} refs/heads/main\n`],
    ["an id of another length", `${A}00 ${B} refs/heads/main\n`],
    ["upper-case digits", `${A.toUpperCase()} ${B} refs/heads/main\n`],
    ["a line feed in a name, which is a line of its own", `${A} ${B} refs/heads/x\nrefs/heads/main\n`],
    ["a ref that is told twice", `${A} ${B} refs/heads/main\n${A} ${A} refs/heads/main\n`],
    ["a name with a space", `${A} ${B} refs/heads/a b\n`],
    ["a name with an escape", `${A} ${B} refs/heads/\u001b[31m\n`],
    ["a name outside of refs/", `${A} ${B} HEAD\n`],
    ["a name that leads out", `${A} ${B} refs/heads/../../config\n`],
    ["an option", `${A} ${B} --all\n`],
  ])("%s is refused", (_, lines) => {
    expect(codeOf(() => parseReceived(bytes(lines)))).toBe("ERR_HOOK")
  })

  test("a name that is no UTF-8 is refused", () => {
    const lines = Buffer.concat([bytes(`${A} ${B} refs/heads/x`), Buffer.from([0xff, 0x0a])])
    expect(codeOf(() => parseReceived(lines))).toBe("ERR_HOOK")
  })

  test("any bytes are read or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
        expect(["accepted", "ERR_HOOK"]).toContain(codeOf(() => parseReceived(input)))
        expect(["accepted", "ERR_HOOK"]).toContain(codeOf(() => parsePushed(input)))
      }),
    )
  })
})

describe("pre-push", () => {
  test("what is pushed may be any expression", () => {
    const lines = `refs/heads/a ${A} refs/heads/b ${B}\nHEAD@{1 day ago} ${A} refs/heads/c ${NONE}\n(delete) ${NONE} refs/heads/d ${A}\n`
    expect(parsePushed(bytes(lines))).toEqual([
      { ref: "refs/heads/b", before: B, after: A, local: "refs/heads/a" },
      { ref: "refs/heads/c", before: undefined, after: A, local: "HEAD@{1 day ago}" },
      { ref: "refs/heads/d", before: A, after: undefined, local: "(delete)" },
    ])
  })
})

test("update gets three arguments", () => {
  expect(refUpdate("refs/heads/x", A, B)).toEqual({ ref: "refs/heads/x", before: A, after: B })
  expect(codeOf(() => refUpdate("refs/heads/x", A, undefined))).toBe("ERR_HOOK")
  expect(codeOf(() => refUpdate("refs/heads/x\u{fffd}", A, B))).toBe("ERR_HOOK")
})

test("git takes the same names for refs", () => {
  const part = fc.constantFrom(
    ...[
      "a",
      "main",
      "é",
      "\u{202e}",
      ".",
      "..",
      "/",
      "//",
      "@",
      "@{",
      "{",
      "~",
      "^",
      ":",
      "?",
      "*",
      "[",
      "]",
      "\\",
      " ",
    ],
    ...[".lock", "lock", "-", "--", "\u0001", "\u007f", "\n", "\t", "refs", "heads", ""],
  )
  const name = fc.array(part, { maxLength: 7 }).map((parts) => parts.join(""))
  fc.assert(
    fc.property(name, fc.constantFrom("refs/heads/", "refs/", ""), (rest, prefix) => {
      const ref = `${prefix}${rest}`
      const asked = spawnSync("git", ["check-ref-format", ref])
      const isRef = asked.status === 0 && ref.startsWith("refs/")
      expect([ref, isRefName(ref)]).toEqual([ref, isRef])
    }),
    { numRuns: 400 },
  )
}, 60_000)
