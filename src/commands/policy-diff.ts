/**
 * `gitsign policy diff`: who may sign more and who less under another policy.
 *
 * @module
 */

import { jsonText, printable } from "../formats/printable.ts"
import { type Access, diffPolicies, type PolicyDiff } from "../policy/diff.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { type FormatOption, loadNamed, policyDocument, SCHEMA_VERSION } from "./policy-argument.ts"

/** What the verb is given. */
export interface DiffOptions extends FormatOption {
  readonly exitCode?: boolean
}

/**
 * Prints what differs and returns the exit status: 1 with `exitCode` when something does, else 0.
 *
 * @throws as `loadNamed`, for either
 */
export async function comparePolicies(
  io: CommandIo,
  messages: Messages,
  before: string,
  after: string | undefined,
  options: DiffOptions,
): Promise<number> {
  const one = await loadNamed(io, messages, before)
  const other = await loadNamed(io, messages, after)
  const diff = diffPolicies(one.compiled, other.compiled)
  const isSame = diff.gains.length + diff.loses.length + diff.changes.length === 0
  if (options.format === "json") {
    const common = { schemaVersion: SCHEMA_VERSION, command: "diff" }
    io.stdout(
      jsonText({ ...common, before: policyDocument(one), after: policyDocument(other), differs: !isSame, ...diff }),
    )
  } else {
    const same = `nobody may sign more or less under ${printable(other.source)} than under ${printable(one.source)}\n`
    io.stdout(isSame ? same : textOf(diff))
  }
  return options.exitCode && !isSame ? 1 : 0
}

function textOf({ gains, loses, changes }: PolicyDiff): string {
  const accessLines = (sign: string, list: readonly Access[]): string[] =>
    list.flatMap(({ who, where }) => [`${sign} ${who}`, ...where.map((place) => `    ${place}`)])
  const lines = [
    ...accessLines("+", gains),
    ...accessLines("-", loses),
    ...changes.map((words) => `~ ${words}`),
    `${gains.length} may sign more, ${loses.length} may sign less`,
  ]
  return `${lines.map(printable).join("\n")}\n`
}
