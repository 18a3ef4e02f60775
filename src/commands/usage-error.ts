/**
 * What commander says of a wrong command line, in the words of this program, and the help that tells how it is right.
 *
 * @module
 */

import type { Command, CommanderError } from "commander"
import { ERROR_CODES, GitsignError } from "../errors.ts"

/** The ERR_USAGE for what commander refuses in `argv`. */
export const usageError = (program: Command, argv: readonly string[], { message }: CommanderError): GitsignError =>
  new GitsignError("ERR_USAGE", inOurWords(message), helpHint(program, argv))

/** The same error with a hint at the help of the verb that was meant, where it has only the general one. */
export function withHelpOfVerb(program: Command, argv: readonly string[], error: GitsignError): GitsignError {
  const { code, message, cause, hint } = error
  if (code !== "ERR_USAGE" || hint !== ERROR_CODES.ERR_USAGE.hint) return error
  return new GitsignError(code, message, { cause, ...helpHint(program, argv) })
}

/** The help of the verb that `argv` leads to; the general one where it leads nowhere, or to `help` itself. */
function helpHint(program: Command, argv: readonly string[]): { hint?: string } {
  const names: string[] = []
  let command = program
  for (const word of argv) {
    const next = command.commands.find((one) => one.name() === word)
    if (next === undefined) break
    names.push(word)
    command = next
  }
  return names.length === 0 || names.includes("help") ? {} : { hint: `see: gitsign ${names.join(" ")} --help` }
}

/** Each sentence of commander 14 (lib/command.js) and what it is here, in the style of the messages of settings. */
const SENTENCES: readonly (readonly [pattern: RegExp, ours: (...parts: string[]) => string])[] = [
  [/^unknown (command|option) '(.*)'$/s, (what, name) => `unknown ${what} ${JSON.stringify(name)}`],
  [/^missing required argument '(.*)'$/s, (name) => `the argument <${name}> is missing`],
  [/^option '(.*)' argument missing$/s, (flags) => `${flagOf(flags)} needs a value`],
  [
    /^option '(.*?)' argument '(.*)' is invalid\. (.*)$/s,
    (flags, value, reason) => `${flagOf(flags)} is ${JSON.stringify(value)} and ${reasonOf(reason)}`,
  ],
  [
    /^command-argument value '(.*)' is invalid for argument '(.*?)'\. (.*)$/s,
    (value, name, reason) => `<${name}> is ${JSON.stringify(value)} and ${reasonOf(reason)}`,
  ],
  [
    /^option '(.*)' cannot be used with option '(.*)'$/s,
    (one, other) => `${flagOf(one)} cannot be used with ${flagOf(other)}`,
  ],
  [
    /^too many arguments.*\. Expected (\d+) arguments? but got (\d+)\.$/s,
    (expected, got) => `too many arguments: ${got} where ${expected === "0" ? "none" : expected} can be`,
  ],
]

function inOurWords(message: string): string {
  const [, said = message, suggested] =
    /^(.*?)(?:\n\(Did you mean (?:one of )?(.*)\?\))?$/s.exec(message.replace(/^error: /, "")) ?? []
  const suggestion = suggested === undefined ? "" : `; did you mean ${suggested.replace(/, ([^,]*)$/, " or $1")}?`
  for (const [pattern, ours] of SENTENCES) {
    const found = pattern.exec(said)
    if (found !== null) return `${ours(...found.slice(1))}${suggestion}`
  }
  return `${said.replace(/\.$/, "")}${suggestion}`
}

/** `-j, --jobs <number>` is `--jobs`. */
const flagOf = (flags = ""): string => /--[\w-]+/.exec(flags)?.[0] ?? flags

/** What a value has to be, behind "and". */
function reasonOf(reason = ""): string {
  const [, choices] = /^Allowed choices are (.*)\.$/s.exec(reason) ?? []
  if (choices !== undefined) return `must be ${choices.replace(/, ([^,]*)$/, " or $1")}`
  return reason.replace(/^it has to be /, "must be ")
}
