/**
 * `gitsign policy check`: whether a policy can be used, and what its authors should know.
 *
 * @module
 */

import type { PolicyPlace } from "../audit/policy-place.ts"
import { type LoadedPolicy, loadPolicy } from "../audit/policy-source.ts"
import { ERROR_CODES, GitsignError, isGitsignError } from "../errors.ts"
import { jsonText, printable } from "../formats/printable.ts"
import { feedGit, isShallow } from "../git/revisions.ts"
import { beginsLater } from "../policy/lint.ts"
import type { PolicyWarning } from "../policy/model.ts"
import { readYaml } from "../policy/yaml.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { examplesBeside, type FormatOption, openNamed, policyDocument, SCHEMA_VERSION } from "./policy-argument.ts"

/** What the verb is given. */
export interface CheckOptions extends FormatOption {
  readonly strict?: boolean
}

/**
 * Prints the warnings of a policy and returns the exit status: 1 with `strict` when there is one, else 0. In JSON a broken policy
 * is a document too.
 *
 * @throws whatever makes the policy, or the examples beside it, unusable
 */
export async function checkPolicy(
  io: CommandIo,
  messages: Messages,
  name: string | undefined,
  options: CheckOptions,
): Promise<number> {
  const place = await openNamed(io, messages, name)
  const loaded = await loadedOr(place, (error) => {
    if (options.format === "json") io.stdout(jsonText(documentOf(place.source, undefined, error, [])))
  })
  const warnings = [
    ...loaded.compiled.policy.warnings,
    ...futureSince(place.text, loaded),
    ...(await absentCommits(io, place.text, loaded)),
  ]
  warnings.sort((a, b) => a.line - b.line)
  if (options.format === "json") io.stdout(jsonText(documentOf(loaded.source, loaded, undefined, warnings)))
  else io.stdout(textOf(loaded, warnings))
  return options.strict && warnings.length > 0 ? 1 : 0
}

function documentOf(
  source: string,
  loaded: LoadedPolicy | undefined,
  error: GitsignError | undefined,
  warnings: readonly PolicyWarning[],
): unknown {
  return {
    schemaVersion: SCHEMA_VERSION,
    command: "check",
    usable: loaded !== undefined,
    source,
    policy: loaded === undefined ? null : policyDocument(loaded),
    error: error === undefined ? null : { code: error.code, message: error.message, hint: error.hint ?? null },
    warnings: warnings.map(({ id, line, message }) => ({ id, line, message })),
    ...(loaded === undefined ? { signers: null, rules: null, examples: null } : sizeOf(loaded)),
  }
}

const sizeOf = ({ compiled: { policy }, examples }: LoadedPolicy) => ({
  signers: policy.signers.size,
  rules: policy.rules.length,
  examples: examples.length,
})

async function loadedOr(place: PolicyPlace, onBroken: (error: GitsignError) => void): Promise<LoadedPolicy> {
  let isExamples = false
  try {
    const loaded = await loadPolicy(place)
    isExamples = true
    const beside = await examplesBeside(place)
    return beside === undefined ? loaded : { ...loaded, examples: [...loaded.examples, ...beside.examples] }
  } catch (error) {
    if (!isGitsignError(error) || error.exitStatus !== 2) throw error
    const told = withExample(error, isExamples ? EXAMPLES_IN_A_LINE : POLICY_IN_A_LINE)
    onBroken(told)
    throw told
  } finally {
    await place.close()
  }
}

const SIGNER_IN_A_LINE = "{ issuer: 'https://accounts.google.com', subject: alice@example.com }"
const POLICY_IN_A_LINE = `{ version: 1, signers: { us: [${SIGNER_IN_A_LINE}] }, rules: [{ name: main, branches: [main], signers: [us] }] }`
const EXAMPLES_IN_A_LINE = `{ examples: [{ signer: ${SIGNER_IN_A_LINE}, branch: main, expect: allowed }] }`

/** What the reader says of a file that is not begun as it should be, and not of one line in it. */
const HAS_NO_FORM =
  / line \d+: (is empty|.*has to be a map, not |this is no policy|a (policy|file of examples): \w+ is missing)/

/** The hint of the table is at this very verb. Where there is nothing to correct yet, a file that is in order says more. */
function withExample(error: GitsignError, example: string): GitsignError {
  const { code, message, cause } = error
  if (code !== "ERR_POLICY" || error.hint !== ERROR_CODES.ERR_POLICY.hint) return error
  const where = / line \d+: /.test(message) ? "that line" : "it"
  const hint = HAS_NO_FORM.test(message)
    ? `a whole file in one line: ${example}`
    : `correct ${where}; every member is in docs/policy.md`
  return new GitsignError(code, message, { cause, hint })
}

/** Exempted commits, and the one of `since:`, that this repository does not have: most likely mistyped. */
async function absentCommits(
  io: CommandIo,
  text: Uint8Array,
  { compiled: { policy } }: LoadedPolicy,
): Promise<PolicyWarning[]> {
  const named = policy.exemptions.map(({ id, line }) => ({ id, line, what: "exempted" }))
  if (policy.since !== undefined && "commit" in policy.since) {
    named.unshift({ id: policy.since.commit, line: lineOfSince(text, policy.source), what: "named by since" })
  }
  if (named.length === 0) return []
  const asked = named.map(({ id }) => `${id}\n`).join("")
  const { status, stdout } = await feedGit(io, ["cat-file", "--batch-check=%(objecttype)"], asked)
  // In a shallow clone, and outside of a repository, nothing follows from what is not there.
  if (status !== 0 || (await isShallow(io))) return []
  const types = stdout.toString("utf8").split("\n")
  return named.flatMap(({ id, line, what }, index) => {
    if (types[index] === "commit" || types[index] === "tag") return []
    return [{ id: "unknown-commit", line, message: `${id.slice(0, 12)}, ${what}, is no commit of this repository` }]
  })
}

/** A date that is still to come, most likely mistyped. */
function futureSince(text: Uint8Array, { compiled: { policy } }: LoadedPolicy): PolicyWarning[] {
  const message = beginsLater(policy, new Date())
  return message === undefined ? [] : [{ id: "since-future", line: lineOfSince(text, policy.source), message }]
}

function lineOfSince(text: Uint8Array, source: string): number {
  const root = readYaml(text, source)
  return (root.kind === "map" ? root.members.get("since")?.line : undefined) ?? 0
}

function textOf(loaded: LoadedPolicy, warnings: readonly PolicyWarning[]): string {
  const { signers, rules, examples } = sizeOf(loaded)
  const size = [
    counted(signers, "signer"),
    counted(rules, "rule"),
    ...(examples > 0 ? [counted(examples, "example")] : []),
  ]
  const outcome = warnings.length === 0 ? "nothing to warn about" : counted(warnings.length, "warning")
  const width = Math.max(...warnings.map(({ line }) => String(line).length))
  const lines = warnings.map(({ id, line, message }) => {
    const where = line > 0 ? `line ${String(line).padStart(width)}` : " ".repeat(width + 5)
    return `  ${where}  ${printable(message)}  [${id}]`
  })
  return `${[`${printable(loaded.source)}: ${size.join(", ")}; ${outcome}`, ...lines].join("\n")}\n`
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`
