/**
 * How every verb's help is laid out: in the width of the terminal, or 80 columns where there is none.
 *
 * @module
 */

import type { Argument, Help, Option } from "commander"
import { wrapWords } from "../formats/wrap.ts"

/** The width where no terminal says one. */
const USUAL_WIDTH = 80

/** Names longer than this have what is said of them on a line of their own. */
const MAX_NAME_WIDTH = 32

/** Where that line begins. */
const INDENT = 10

/** What differs from commander's own layout, for `configureHelp`. */
export const HELP_LAYOUT: Partial<Help> = {
  minWidthToWrap: 20,
  padWidth(command, helper) {
    const names = [
      ...helper.visibleOptions(command).map((one) => helper.optionTerm(one)),
      ...helper.visibleCommands(command).map((one) => helper.subcommandTerm(one)),
      ...helper.visibleArguments(command).map((one) => helper.argumentTerm(one)),
    ]
    const most = Math.min(MAX_NAME_WIDTH, Math.floor((helper.helpWidth ?? USUAL_WIDTH) / 2) - 4)
    return Math.max(...names.map((name) => name.length).filter((length) => length <= most), 0)
  },
  formatItem(name, nameWidth, about, helper) {
    const width = helper.helpWidth ?? USUAL_WIDTH
    if (about === "") return `  ${name}`
    if (name.length > nameWidth) return `  ${name}\n${wrapText(about, width, INDENT)}`
    return `  ${name.padEnd(nameWidth)}  ${wrapText(about, width, nameWidth + 4).trimStart()}`
  },
  optionDescription: (option) => describe(option, option.isBoolean() ? undefined : option.defaultValue),
  argumentDescription: (argument) => describe(argument, argument.defaultValue),
}

/** What is said of an option or argument, with its choices and default in one form, also where the words say what the default is. */
function describe({ description, argChoices }: Option | Argument, value: unknown): string {
  const [, about = description, inWords] = /^(.*) \(default: (.*)\)$/s.exec(description) ?? []
  const fallback = inWords ?? (value === undefined ? undefined : String(value))
  const notes = [
    ...(argChoices === undefined ? [] : [`choices: ${argChoices.join(", ")}`]),
    ...(fallback === undefined ? [] : [`default: ${fallback}`]),
  ]
  return notes.length === 0 ? about : `${about} (${notes.join("; ")})`
}

const wrapText = (text: string, width: number, indent: number): string => wrapWords(text.split(" "), width, indent)

/** The width that help is written in. */
export const helpWidth = (): number => process.stdout.columns || USUAL_WIDTH

/**
 * The examples at the end of a help. A long one is broken as a shell takes it; what it is for, behind a `#`, then stands above it.
 *
 * @param width of the terminal
 */
export const examplesText = (examples: readonly string[], width: number): string =>
  `\nExamples:\n${examples.flatMap((example) => exampleLines(example, width)).join("")}`

function exampleLines(example: string, width: number): string[] {
  if (example.length + 4 <= width) return [`  $ ${example}\n`]
  const [, command = example, what] = /^(.*?) +(#.*)$/.exec(example) ?? []
  const lines = [what === undefined ? "" : `${wrapText(what, width, 2)}\n`, `  $ `]
  let length = 4
  // Before an option, an address, and what stands alone at the end: never within quotes.
  for (const part of command.split(/ (?=--|https:|[^\s'"]+$)/)) {
    const isFirst = length === 4
    if (!isFirst && length + 1 + part.length + 2 > width) {
      lines.push(` \\\n      ${part}`)
      length = 6 + part.length
    } else {
      lines.push(`${isFirst ? "" : " "}${part}`)
      length += part.length + 1
    }
  }
  return [...lines, "\n"]
}
