/**
 * QR codes (ISO/IEC 18004) for a terminal, two modules in each character cell.
 *
 * The caller MUST import this module when it needs it and not before, for it brings a library along.
 *
 * @module
 */

import { encode } from "uqr"

/** The terminal that the code is for. */
export interface QrTerminal {
  /** Its width in cells. */
  readonly columns: number
  /** Its height in cells. */
  readonly rows: number
  readonly env: NodeJS.ProcessEnv
}

/** The longest address that is worth a code; one of this length is some 57 cells wide. */
const MAX_ADDRESS = 300

/** The rows that have to be left for what is said beside the code. */
const OTHER_ROWS = 4

/** The light border in modules: the standard's own, and the least that telephones read without trouble. */
const BORDERS = [4, 2] as const

/**
 * The QR code of an address as lines for the terminal, each with its line feed, dark on light whatever the terminal's colours are.
 *
 * @returns undefined where it could not be shown or read: too small a window, no UTF-8 locale, no terminal that knows colours
 */
export function qrFor(address: string, { columns, rows, env }: QrTerminal): string | undefined {
  if (address.length > MAX_ADDRESS || !showsBlocks(env)) return undefined
  for (const border of BORDERS) {
    const { data, size } = encode(address, { ecc: "L", boostEcc: false, border })
    if (size <= columns && Math.ceil(size / 2) + OTHER_ROWS <= rows) return draw(data, env)
  }
  return undefined
}

/** Whether the terminal can be expected to have the half blocks of Unicode. */
function showsBlocks(env: NodeJS.ProcessEnv): boolean {
  // The new Windows terminals set neither a TERM nor a locale.
  if (env.WT_SESSION) return env.TERM !== "dumb"
  if (!env.TERM || env.TERM === "dumb") return false
  return /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || "")
}

function draw(modules: readonly (readonly boolean[])[], env: NodeJS.ProcessEnv): string {
  const [begin, end] = colours(env)
  // Without colours the light modules are drawn, which is right on the dark background that most terminals have.
  const drawsDark = begin !== ""
  const lines: string[] = []
  for (let y = 0; y < modules.length; y += 2) {
    const [upper = [], lower] = [modules[y], modules[y + 1]]
    const cells = upper.map((isDark, x) => {
      // Below the last row of an odd number there is more of the light border.
      const [top, bottom] = [isDark === drawsDark, (lower?.[x] ?? false) === drawsDark]
      if (top) return bottom ? "█" : "▀"
      return bottom ? "▄" : " "
    })
    lines.push(`${begin}${cells.join("")}${end}\n`)
  }
  return lines.join("")
}

/** The sequences that begin and end black on white (ECMA-48 SGR); empty where colours are not wanted (no-color.org). */
function colours(env: NodeJS.ProcessEnv): readonly [string, string] {
  if (env.NO_COLOR) return ["", ""]
  const hasCube = /256color|kitty|ghostty|alacritty|direct/.test(env.TERM ?? "") || env.COLORTERM || env.WT_SESSION
  // The sixteen named colours are what a theme makes of them; these two of the cube are black and white in every theme.
  return [hasCube ? "\x1b[38;5;16;48;5;231m" : "\x1b[30;47m", "\x1b[0m"]
}
