/**
 * Text in columns of a terminal.
 *
 * @module
 */

import { expect, test } from "vitest"
import { cut, pad, widthOf } from "../../src/report/columns.ts"
import { idLength, isoOf, utc } from "../../src/report/words.ts"

test.each([
  ["abc", 3],
  ["日本語", 6],
  ["한국어", 6],
  ["👍", 2],
  ["e\u0301", 1],
  ["", 0],
])("%s takes %i columns", (text, columns) => {
  expect(widthOf(text)).toBe(columns)
})

test("what is too long is cut between characters", () => {
  expect(cut("abcdef", 6)).toBe("abcdef")
  expect(cut("abcdefg", 6)).toBe("abcde…")
  expect(cut("日本語の件名", 6)).toBe("日本…")
  expect(cut("👍👍👍", 4)).toBe("👍…")
  expect(pad("日本", 6)).toBe("日本  ")
  expect(pad("too long", 3)).toBe("too long")
})

test.each([
  [0, 7],
  [1, 7],
  [1_000, 7],
  [10_000, 9],
  [1_000_000, 12],
])("ids of %i objects have %i digits", (objects, digits) => {
  expect(idLength(objects)).toBe(digits)
})

test("dates that make no sense are none", () => {
  expect(isoOf(new Date(Number.NaN))).toBeNull()
  expect(isoOf(new Date(8.64e15))).toBeNull()
  expect(isoOf(new Date(-8.64e15))).toBeNull()
  expect(isoOf(undefined)).toBeNull()
  expect(utc(new Date(8.64e15))).toBe("at no date that makes sense")
  expect(utc(new Date(0))).toBe("1970-01-01 00:00:00 UTC")
})
