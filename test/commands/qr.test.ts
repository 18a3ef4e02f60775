/**
 * QR codes for a terminal, read back from what is printed by a small reader (ISO/IEC 18004, versions 2 to 5, level L, bytes).
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { qrFor } from "../../src/commands/qr.ts"

const ADDRESS = "https://oauth2.sigstore.dev/auth/device?user_code=WDJB-MJHT"
const ENV = { TERM: "xterm-256color", LANG: "en_GB.UTF-8" }
const WINDOW = { columns: 80, rows: 40, env: ENV }

const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, "g")
const CELLS: Readonly<Record<string, readonly [boolean, boolean]>> = {
  "█": [true, true],
  "▀": [true, false],
  "▄": [false, true],
  " ": [false, false],
}

/** The cells of a printed code without its colours, and the modules in them: true is where a block is drawn. */
function modulesOf(printed: string): boolean[][] {
  const lines = printed.replace(ESCAPES, "").split("\n").slice(0, -1)
  return lines.flatMap((line) => {
    const cells = [...line].map((cell) => CELLS[cell] ?? expect.unreachable(`the cell ${cell}`))
    return [cells.map(([top]) => top), cells.map(([, bottom]) => bottom)]
  })
}

/** Cuts the border off, which has to be light all around. */
function withoutBorder(modules: boolean[][]): { code: boolean[][]; border: number } {
  const border = modules.findIndex((row) => row.includes(true))
  const size = (modules[0]?.length ?? 0) - 2 * border
  const code = modules.slice(border, border + size).map((row) => row.slice(border, border + size))
  const dark = (rows: boolean[][]): number => rows.flat().filter(Boolean).length
  expect(dark(code)).toBe(dark(modules))
  return { code, border }
}

/** Reads the text of a code that is small enough to have its data in one block. */
function read(code: boolean[][]): string {
  const size = code.length
  const version = (size - 17) / 4
  expect([2, 3, 4, 5]).toContain(version)
  const at = (x: number, y: number): number => Number(code[y]?.[x] ?? false)
  // Format information beside the upper left finder: the level in two bits, the mask in three, all of it masked itself.
  const format = [0, 1, 2, 3, 4].reduce((bits, x) => bits * 2 + at(x, 8), 0) ^ 0b10101
  expect(format >> 3).toBe(0b01)
  const masks: ((x: number, y: number) => number)[] = [
    (x, y) => (x + y) % 2,
    (_, y) => y % 2,
    (x) => x % 3,
    (x, y) => (x + y) % 3,
    (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
    (x, y) => ((x * y) % 2) + ((x * y) % 3),
    (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
    (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
  ]
  const mask = masks[format & 7] ?? expect.unreachable("there are eight masks")
  const isFunction = (x: number, y: number): boolean =>
    (x < 9 && y < 9) ||
    (x < 9 && y >= size - 8) ||
    (x >= size - 8 && y < 9) ||
    x === 6 ||
    y === 6 ||
    (Math.abs(x - (size - 7)) <= 2 && Math.abs(y - (size - 7)) <= 2)
  const bits: number[] = []
  for (let right = size - 1, upwards = true; right > 0; right -= 2, upwards = !upwards) {
    if (right === 6) right--
    for (let i = 0; i < size; i++) {
      const y = upwards ? size - 1 - i : i
      for (const x of [right, right - 1]) {
        if (!isFunction(x, y)) bits.push(at(x, y) ^ Number(mask(x, y) === 0))
      }
    }
  }
  const number = (from: number, length: number): number =>
    bits.slice(from, from + length).reduce((value, bit) => value * 2 + bit, 0)
  expect(number(0, 4)).toBe(0b0100)
  const bytes = Array.from({ length: number(4, 8) }, (_, i) => number(12 + 8 * i, 8))
  return Buffer.from(bytes).toString("utf8")
}

describe("the code", () => {
  test.each([
    ADDRESS,
    "https://issuer.example.com/d?c=B",
    `${ADDRESS}&a=b`,
    "http://localhost:4711/device?user_code=ABCD-EFGH",
  ])("says %s", (address) => {
    const { code, border } = withoutBorder(modulesOf(qrFor(address, WINDOW) ?? ""))
    expect(read(code)).toBe(address)
    expect(border).toBe(4)
  })

  test("is black on white in the colours that the terminal has, and sets them back in each line", () => {
    for (const [env, colour] of [
      [ENV, "38;5;16;48;5;231"],
      [{ ...ENV, TERM: "xterm", COLORTERM: "truecolor" }, "38;5;16;48;5;231"],
      [{ ...ENV, TERM: "linux" }, "30;47"],
    ] as const) {
      const lines = (qrFor(ADDRESS, { ...WINDOW, env }) ?? "").split("\n").slice(0, -1)
      expect(lines.length).toBeGreaterThan(10)
      for (const line of lines) expect(line.startsWith(`\x1b[${colour}m`) && line.endsWith("\x1b[0m")).toBe(true)
    }
  })

  test("without colours draws what is light", () => {
    const printed = qrFor(ADDRESS, { ...WINDOW, env: { ...ENV, NO_COLOR: "1" } }) ?? ""
    expect(printed).not.toContain("\x1b")
    const inverse = modulesOf(printed).map((row) => row.map((drawn) => !drawn))
    // The half cell below an odd number of rows is light too.
    expect(inverse.pop()).not.toContain(true)
    expect(read(withoutBorder(inverse).code)).toBe(ADDRESS)
  })

  test("has a narrower border in a small window, and fits every window it is drawn for", () => {
    const narrow = qrFor(ADDRESS, { ...WINDOW, columns: 40 })
    expect(withoutBorder(modulesOf(narrow ?? "")).border).toBe(2)
    for (let rows = 1; rows < 50; rows++) {
      for (const columns of [33, 36, 37, 38, 40, 41, 42, 60]) {
        const printed = qrFor(ADDRESS, { columns, rows, env: ENV })
        if (printed === undefined) continue
        const lines = printed.replace(ESCAPES, "").split("\n").slice(0, -1)
        expect(lines.length).toBeLessThanOrEqual(rows - 4)
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
      }
    }
    expect(qrFor(ADDRESS, { columns: 80, rows: 24, env: ENV })).toBeDefined()
  })
})

describe("there is none", () => {
  test.each<[string, Partial<typeof WINDOW>, string?]>([
    ["in a window that is too narrow", { columns: 36 }],
    ["in a window that is too low", { rows: 20 }],
    ["for an address that is too long", { columns: 500, rows: 500 }, `${ADDRESS}${"x".repeat(300)}`],
  ])("%s", (_, window, address = ADDRESS) => {
    expect(qrFor(address, { ...WINDOW, ...window })).toBeUndefined()
  })

  test.each<[string, NodeJS.ProcessEnv, boolean]>([
    ["no terminal", { LANG: "C.UTF-8" }, false],
    ["a dumb terminal", { ...ENV, TERM: "dumb" }, false],
    ["no locale", { TERM: "xterm" }, false],
    ["another encoding", { ...ENV, LC_ALL: "de_DE.ISO-8859-1" }, false],
    ["another encoding for characters", { ...ENV, LC_CTYPE: "C" }, false],
    ["an empty LC_ALL", { ...ENV, LC_ALL: "" }, true],
    ["UTF-8 in another spelling", { TERM: "screen", LC_ALL: "C.utf8" }, true],
    ["the new Windows terminal", { WT_SESSION: "1" }, true],
  ])("or there is one: %s", (_, env, shown) => {
    expect(qrFor(ADDRESS, { ...WINDOW, env }) !== undefined).toBe(shown)
  })
})
