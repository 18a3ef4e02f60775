/**
 * `gitsign policy test`: whether a policy says of its examples what its authors expect.
 *
 * @module
 */

import { type LoadedPolicy, loadPolicy } from "../audit/policy-source.ts"
import { GitsignError } from "../errors.ts"
import { jsonText, printable } from "../formats/printable.ts"
import { type Example, parseExamples } from "../policy/example-entries.ts"
import { type ExampleResult, runExamples } from "../policy/examples.ts"
import { type CommandIo, readInput } from "./io.ts"
import type { Messages } from "./messages.ts"
import {
  examplesBeside,
  examplesNameOf,
  type FormatOption,
  openNamed,
  policyDocument,
  SCHEMA_VERSION,
} from "./policy-argument.ts"

/** What the verb is given. */
export interface TestOptions extends FormatOption {
  readonly examples?: string
}

/** A whole file of examples. */
const EXAMPLE = `examples:
  - { signer: { issuer: 'https://accounts.google.com', subject: alice@example.com }, branch: main, expect: allowed }
  - { signer: { issuer: 'https://accounts.google.com', subject: eve@example.com }, branch: main, expect: ERR_IDENTITY }
`

/** Examples and where they are. */
interface Examples {
  readonly source: string
  readonly examples: readonly Example[]
}

/**
 * Runs the examples in a policy, in the file beside it and in the one that is named, prints what came of them, and returns the exit
 * status: 1 when one does not hold, else 0.
 *
 * @throws ERR_POLICY when there is none, or one makes no sense; ERR_IO; and as `loadNamed`
 */
export async function testPolicy(
  io: CommandIo,
  messages: Messages,
  name: string | undefined,
  options: TestOptions,
): Promise<number> {
  const { loaded, sets } = await examplesOf(io, messages, name, options.examples)
  const results = sets.flatMap(({ source, examples }) =>
    runExamples(loaded.compiled, examples).map((result) => ({ source, ...result })),
  )
  if (results.length === 0) {
    messages.write(EXAMPLE)
    throw new GitsignError("ERR_POLICY", `${loaded.source} has no examples to test`, {
      hint: `write some, such as these three lines, into ${examplesNameOf(loaded.source)} beside it`,
    })
  }
  const failed = results.filter(({ passed }) => !passed).length
  if (options.format === "json") {
    const common = { schemaVersion: SCHEMA_VERSION, command: "test", policy: policyDocument(loaded) }
    io.stdout(jsonText({ ...common, passed: results.length - failed, failed, examples: results.map(resultDocument) }))
  } else io.stdout(textOf(results, failed))
  return failed > 0 ? 1 : 0
}

async function examplesOf(
  io: CommandIo,
  messages: Messages,
  name: string | undefined,
  file: string | undefined,
): Promise<{ loaded: LoadedPolicy; sets: readonly Examples[] }> {
  const place = await openNamed(io, messages, name)
  try {
    const loaded = await loadPolicy(place)
    const sets: Examples[] = [{ source: place.source, examples: loaded.examples }]
    const beside = await examplesBeside(place)
    if (beside !== undefined) sets.push(beside)
    if (file !== undefined) sets.push({ source: file, examples: parseExamples(readInput(io, file), file) })
    return { loaded, sets }
  } finally {
    await place.close()
  }
}

type LocatedResult = ExampleResult & { readonly source: string }

const resultDocument = ({ source, example, found, passed, judgement }: LocatedResult) => ({
  source,
  line: example.line,
  example: exampleText(example),
  expect: example.expect,
  found,
  passed,
  message: judgement.refusal?.message ?? judgement.exempt?.reason ?? null,
})

/** An example as one would say it. */
function exampleText({ signer, ref, type, paths, merge }: Example): string {
  const who = "key" in signer ? `the key ${signer.key}` : `${signer.subject} (${signer.issuer})`
  const kind = { no: "a commit", clean: "a clean merge", edited: "a merge with changes" }[merge]
  const what = type === "tag" ? `the tag ${ref.replace(/^refs\/tags\//, "")}` : `${kind} on ${ref}`
  return `${who} signs ${what}${paths.length > 0 ? ` that changes ${paths.join(", ")}` : ""}`
}

function textOf(results: readonly LocatedResult[], failed: number): string {
  const lines = results.flatMap(({ source, example, found, passed, judgement }) => {
    const told = `${passed ? "ok  " : "FAIL"}  ${source} line ${example.line}: ${exampleText(example)}: ${found}`
    if (passed) return [told]
    const why = judgement.refusal?.message ?? judgement.exempt?.reason
    return [`${told}, not ${example.expect}`, ...(why === undefined ? [] : [`        ${why}`])]
  })
  const total = `${results.length} example${results.length === 1 ? "" : "s"}`
  const sum = failed === 0 ? `${total}, all as expected` : `${failed} of ${total} not as expected`
  return `${[...lines, sum].map(printable).join("\n")}\n`
}
