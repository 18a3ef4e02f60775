/**
 * What objects say reaches the terminal and the shell as text and as nothing else.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { jsonText, printable, printableLines, shellQuote } from "../../src/formats/printable.ts"

describe("printable", () => {
  test.each([
    ["dev@example.com", "dev@example.com"],
    ["Jürgen 漢字 🙂", "Jürgen 漢字 🙂"],
    ["a\u001b[31mb", "a\\u{1b}[31mb"],
    ["a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"],
    ["a\u009bb\u007f", "a\\u{9b}b\\u{7f}"],
    ["moc.elpmaxe\u202e@ved", "moc.elpmaxe\\u{202e}@ved"],
    ["\u2066x\u2069\u200f\u200b", "\\u{2066}x\\u{2069}\\u{200f}\\u{200b}"],
    ["a\u2028b", "a\\u{2028}b"],
    ["\ud800", "\\u{d800}"],
  ])("%j", (text, expected) => {
    expect(printable(text)).toBe(expected)
  })

  test("line feeds are left where lines are meant", () => {
    expect(printableLines("a\u001b\nb\n")).toBe("a\\u{1b}\nb\n")
  })
})

describe("shellQuote", () => {
  test.each([
    ["--certificate-identity=dev@example.com", "--certificate-identity=dev@example.com"],
    ['it\'s $HOME `x` \\ "y"', `'it'\\''s $HOME \`x\` \\ "y"'`],
    ["", "''"],
    ["a\nb", "$'a\\u000ab'"],
  ])("%j", (text, expected) => {
    expect(shellQuote(text)).toBe(expected)
  })

  test("bash reads back what was quoted, and the quoted text is printable", () => {
    const text = fc.string({ unit: "binary", maxLength: 20 }).filter((one) => !one.includes("\0"))
    const texts = fc.sample(text, { numRuns: 300, seed: 1 })
    const quoted = texts.map(shellQuote)
    expect(quoted.map(printable)).toEqual(quoted)
    const ran = spawnSync("bash", ["--norc", "-c", `printf '%s\\0' ${quoted.join(" ")}`], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8" },
    })
    expect(ran.stdout.split("\0").slice(0, -1)).toEqual(texts)
  })
})

describe("jsonText", () => {
  test("escapes what deceives a terminal, and reads back as it was", () => {
    const value = { name: "moc\u202e\u009b\u2028\u{e0001}Jürgen 🙂\n\u001b" }
    const text = jsonText(value)
    expect(text).toContain("moc\\u202e\\u009b\\u2028\\udb40\\udc01Jürgen 🙂\\n\\u001b")
    expect(printableLines(text)).toBe(text)
    expect(JSON.parse(text)).toEqual(value)
  })
})
