/**
 * Reads a policy: `.gitsign/policy.yaml` as docs/policy.md tells it, or Chainguard's `.chainguard/source.yaml`.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { isSourcePolicy, parseSourcePolicy } from "./chainguard.ts"
import { type Example, parseExample } from "./example-entries.ts"
import { Fields, OBJECT_ID, parseDate } from "./fields.ts"
import { checkKeys } from "./key-files.ts"
import { lint } from "./lint.ts"
import type { Policy, PolicySource, PolicyWarning, Rule, SignerEntry } from "./model.ts"
import { refuseOpen } from "./open.ts"
import { parseCompromise, parseExemption, parseRule } from "./rule-entries.ts"
import { type EntryDraft, parseEntry } from "./signer-entries.ts"
import { compileWidely } from "./text-match.ts"
import { limitError, policyError, policyText, readYaml, type YamlValue } from "./yaml.ts"

/** A policy whose key files have yet to be read. */
export interface ParsedPolicy {
  /** Paths relative to the policy's folder, none of them twice, at most 100. The caller MUST NOT follow links to them. */
  readonly files: readonly string[]
  /** The examples in the policy itself. */
  readonly examples: readonly Example[]
  /**
   * The policy, with the bytes of `files` by path.
   *
   * @throws ERR_POLICY for a file that is missing or holds no keys; ERR_POLICY_LIMIT; ERR_PATTERN for a pattern that is not RE2; ERR_POLICY_OPEN
   * when it would accept anybody and does not say so
   */
  complete(files: ReadonlyMap<string, Uint8Array>): Promise<Policy>
}

const MAX_FILES = 100
const MAX_RULES = 500
/** Of all rules together. */
const MAX_GLOBS = 1000
/** Instructions of all patterns together: what compiling and matching them may cost. */
const MAX_PROGRAMS = 20_000
const NAME = /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$/

interface Draft {
  readonly format: Policy["format"]
  readonly signers: ReadonlyMap<string, { readonly line: number; readonly entries: readonly EntryDraft[] }>
  readonly rules: readonly Rule[]
  readonly otherwise: Policy["otherwise"]
  readonly since: Policy["since"]
  readonly exemptions: Policy["exemptions"]
  readonly compromised: Policy["compromised"]
  readonly warnings: readonly PolicyWarning[]
  /** Line of a member of the policy itself. */
  readonly lineOf: (member: string) => number
}

/**
 * Reads the text of a policy.
 *
 * @param source what to call it in messages
 * @throws ERR_POLICY with the line of what is wrong, ERR_POLICY_LIMIT for what is too large; nothing else, whatever the bytes are
 */
export function parsePolicy(text: Uint8Array, source: PolicySource): ParsedPolicy {
  const root = readYaml(text, source)
  const examples: Example[] = []
  const draft = isSourcePolicy(root) ? sourceDraft(root, source) : ownDraft(root, source, examples)
  const entries = [...draft.signers.values()].flatMap((signer) => signer.entries)
  const files = [...new Set(entries.flatMap((entry) => entry.file ?? []))]
  if (files.length > MAX_FILES)
    throw new GitsignError("ERR_POLICY_LIMIT", `${source} names more than ${MAX_FILES} files`)
  return { files, examples, complete: (contents) => complete(draft, source, contents) }
}

function sourceDraft(root: YamlValue, source: string): Draft {
  const { signers, ...rest } = parseSourcePolicy(root, source)
  return {
    ...rest,
    format: "chainguard",
    signers: new Map([...signers].map(([name, entries]) => [name, { line: 1, entries }])),
    otherwise: "refuse",
    since: undefined,
    exemptions: [],
    compromised: [],
    lineOf: () => 1,
  }
}

function ownDraft(root: YamlValue, source: string, examples: Example[]): Draft {
  const fields = new Fields(root, source, "a policy", [
    ...["version", "signers", "rules", "otherwise", "since", "exemptions", "compromised", "examples"],
  ])
  const version = fields.value("version")
  if (version === undefined)
    throw policyError(source, fields.line, "this is no policy, since it does not say version: 1")
  if (version.kind !== "number" || version.number !== 1) {
    throw policyError(
      source,
      fields.lineOf("version"),
      "this gitsign reads policies that say version: 1, with a number",
    )
  }
  const signers = parseSigners(fields, source)
  const names = new Set(signers.keys())
  const written = fields.list("rules") ?? []
  if (written.length > MAX_RULES) throw limitError(source, fields.lineOf("rules"), `has more than ${MAX_RULES} rules`)
  const rules = written.map((rule) => parseRule(rule, source, names))
  const globs = rules.reduce((sum, { refs, paths }) => sum + refs.length + paths.length, 0)
  if (globs > MAX_GLOBS) throw limitError(source, fields.lineOf("rules"), `the rules have more than ${MAX_GLOBS} globs`)
  if (rules.length === 0) throw fields.error("rules", "rules is missing")
  for (const [index, rule] of rules.entries()) {
    const isSame = (other: Rule): boolean => other.name === rule.name
    if (!NAME.test(rule.name)) throw policyError(source, rule.line, badName("rule", rule.name))
    if (rules.findIndex(isSame) !== index) throw policyError(source, rule.line, `there is a second rule "${rule.name}"`)
  }
  for (const example of fields.list("examples") ?? []) examples.push(parseExample(example, source))
  return {
    format: "gitsign",
    signers,
    rules,
    otherwise: fields.word("otherwise", ["refuse", "allow"]) ?? "refuse",
    since: parseSince(fields),
    exemptions: (fields.list("exemptions") ?? []).map((item) => parseExemption(item, source)),
    compromised: (fields.list("compromised") ?? []).map((item) => parseCompromise(item, source)),
    warnings: [],
    lineOf: (member) => fields.lineOf(member),
  }
}

const badName = (what: string, name: string): string =>
  `the name of a ${what}, ${JSON.stringify(name)}, has to be letters, digits, blanks and . _ - and begin with a letter or digit`

function parseSigners(fields: Fields, source: string): Draft["signers"] {
  const value = fields.value("signers")
  if (value?.kind !== "map" || value.members.size === 0) {
    throw fields.error("signers", "signers has to be a map of names, each with a list")
  }
  const signers = new Map<string, { line: number; entries: readonly EntryDraft[] }>()
  for (const [name, { line, value: entries }] of value.members) {
    if (!NAME.test(name)) throw policyError(source, line, badName("signer", name))
    if (entries.kind !== "list" || entries.items.length === 0) {
      throw policyError(
        source,
        line,
        `signer "${name}" has to be a list of entries, each with issuer and subject, openpgp or ssh`,
      )
    }
    const what = `an entry of signer "${name}"`
    signers.set(name, { line, entries: entries.items.map((entry) => parseEntry(entry, source, what)) })
  }
  return signers
}

function parseSince(fields: Fields): Policy["since"] {
  const text = fields.text("since")
  if (text === undefined) return undefined
  if (OBJECT_ID.test(text)) return { commit: text }
  const date = parseDate(text)
  if (date === undefined)
    throw fields.error("since", `since is ${JSON.stringify(text)}, neither a whole commit id nor a date`)
  return { date }
}

async function complete(
  draft: Draft,
  source: PolicySource,
  contents: ReadonlyMap<string, Uint8Array>,
): Promise<Policy> {
  const signers = new Map<string, readonly SignerEntry[]>()
  for (const [name, { entries }] of draft.signers) {
    signers.set(
      name,
      entries.map(({ entry, file, line }) =>
        file === undefined ? entry : withKeys(entry, file, line, source, contents),
      ),
    )
  }
  const { lineOf, ...rest } = draft
  const policy: Policy = { ...rest, source, signers }
  checkKeys(policy)
  const found = [...draft.warnings, ...(await examine(draft, source)), ...lint(policy, draft.signers, lineOf)]
  return { ...policy, warnings: found.sort((a, b) => a.line - b.line) }
}

/** Compiles every pattern once, so that one which cannot be used is an error of the policy and not of what it judges. */
async function examine({ signers, compromised }: Draft, source: PolicySource): Promise<readonly PolicyWarning[]> {
  const warnings: PolicyWarning[] = []
  let size = 0
  const add = (more: number): void => {
    size += more
    if (size <= MAX_PROGRAMS) return
    throw new GitsignError(
      "ERR_POLICY_LIMIT",
      `the patterns of ${source} are too large together; write fewer or shorter ones`,
    )
  }
  for (const [name, { entries }] of signers) {
    for (const { entry, anyone, line } of entries) {
      if (anyone) continue
      const what = `an entry of signer "${name}"`
      const examined = await refuseOpen(entry, `${source} line ${line}: ${what}`)
      add(examined.size)
      if (examined.publicAddress === undefined) continue
      const message = `${what} accepts whoever opens an account, such as ${examined.publicAddress}; name the people`
      warnings.push({ id: "public-address", line, message })
    }
  }
  for (const { issuer, subject, line } of compromised) {
    for (const match of [issuer, subject]) {
      if (match !== undefined) add((await compileWidely(match, `${source} line ${line}: a compromised signer`)).size)
    }
  }
  return warnings
}

function withKeys(
  entry: SignerEntry,
  file: string,
  line: number,
  source: string,
  contents: ReadonlyMap<string, Uint8Array>,
): SignerEntry {
  const bytes = contents.get(file)
  if (bytes === undefined) throw policyError(source, line, `there is no file ${file} beside the policy`)
  const keys = policyText(bytes, `${file} beside ${source}`)
  const from = `${file} beside ${source}`
  if (entry.scheme === "openpgp") return { ...entry, keys, source: from }
  return entry.scheme === "ssh" ? { ...entry, allowedSigners: keys, source: from } : entry
}
