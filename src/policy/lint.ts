/**
 * What is right in a policy and still not what its authors want. docs/policy.md lists the warnings.
 *
 * @module
 */

import { readOpenPgpKeys } from "../formats/openpgp-public-keys.ts"
import { pathGlob, refGlob, sampleOf } from "./glob.ts"
import { allowedSignersOf, GITHUB_KEYS, openpgpFingerprints } from "./key-files.ts"
import type { Policy, PolicyWarning, Rule, SignerEntry, TextMatch } from "./model.ts"

/** Where the signers of a policy stand in its file. */
export type SignerLines = ReadonlyMap<
  string,
  { readonly line: number; readonly entries: readonly { readonly line: number; readonly anyone: boolean }[] }
>

/** Every warning about a policy but those that only whoever read its text knows. */
export function lint(policy: Policy, lines: SignerLines, lineOf: (member: string) => number): readonly PolicyWarning[] {
  const found: PolicyWarning[] = []
  const warn: Warn = (id, line, message) => void found.push({ id, line, message })
  for (const [name, entries] of policy.signers) {
    const at = lines.get(name)
    for (const [index, entry] of entries.entries()) {
      const line = at?.entries[index]?.line ?? 1
      if (at?.entries[index]?.anyone)
        warn("anyone", line, `signer "${name}" is anybody, since it says so: anyone: true`)
      else lintEntry(entry, line, warn)
    }
    const isUsed = policy.rules.some((rule) => rule.signers.includes(name))
    if (!isUsed) warn("unused-signer", at?.line ?? 1, `no rule names the signer "${name}"`)
  }
  for (const compromise of policy.compromised) {
    for (const match of [compromise.issuer, compromise.subject]) lintPattern(match, compromise.line, warn)
  }
  for (const rule of policy.rules) lintRule(rule, policy, warn)
  if (policy.format === "gitsign") lintWhole(policy, lineOf, warn)
  return found
}

type Warn = (id: string, line: number, message: string) => void

function lintEntry(entry: SignerEntry, line: number, warn: Warn): void {
  if (entry.scheme === "openpgp" && entry.keys === GITHUB_KEYS && entry.on === "all") {
    const message =
      "GitHub's key signs whatever anybody with write access does on the website; count it with on: clean merges"
    warn("website-all", line, message)
  }
  if (entry.scheme === "openpgp" && entry.keys !== GITHUB_KEYS) {
    const keys = openpgpFingerprints(entry.keys, entry.source)
    if (keys.length > 1) {
      warn("several-keys", line, `${entry.source} has ${keys.length} keys, which nobody sees: ${keys.join(", ")}`)
    }
    for (const { fingerprint, unknown } of readOpenPgpKeys(entry.keys, "ERR_POLICY", entry.source)) {
      if (unknown === undefined) continue
      warn("unusable-key", line, `the OpenPGP key ${fingerprint} in ${entry.source} accepts nobody: ${unknown}`)
    }
  }
  if (entry.scheme === "ssh") {
    for (const bad of allowedSignersOf(entry.allowedSigners, entry.source).unreadable) {
      warn(
        "unreadable-line",
        line,
        `line ${bad.line} of the allowed signers in ${entry.source} accepts nobody: ${bad.reason}`,
      )
    }
  }
  if (entry.scheme !== "keyless") return
  for (const match of [entry.issuer, entry.subject]) lintPattern(match, line, warn)
  for (const text of [entry.issuer, entry.subject].flatMap((match) => (match && "exact" in match ? match.exact : []))) {
    if (/[^ -~]/.test(text)) {
      const strange = Array.from(text).filter((letter) => /[^ -~]/.test(letter))
      const codes = strange.map(
        (letter) => `U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`,
      )
      warn(
        "non-latin",
        line,
        `${JSON.stringify(text)} has letters that may look like others: ${[...new Set(codes)].join(", ")}`,
      )
    }
    if (/\.\*|\\\.|^\^|\$$|^\*|\[.*\]/.test(text)) {
      warn(
        "pattern-as-text",
        line,
        `${JSON.stringify(text)} is compared letter by letter; patterns are issuerRegExp and subjectRegExp`,
      )
    }
  }
  lintWorkflow(entry, line, warn)
  const issuer = entry.issuer !== undefined && "exact" in entry.issuer ? entry.issuer.exact : undefined
  const mistaken = issuer === undefined ? undefined : ISSUERS.get(issuer.replace(/\/+$/, ""))
  if (mistaken !== undefined && mistaken !== issuer) {
    warn("issuer-address", line, `${issuer} is the issuer of nobody; ${mistaken} is`)
  }
}

/** A workflow that others may call has its own name in their repositories, too. */
function lintWorkflow(
  { subject, claims }: SignerEntry & { readonly scheme: "keyless" },
  line: number,
  warn: Warn,
): void {
  const text = subject === undefined ? "" : "exact" in subject ? subject.exact : subject.pattern.replaceAll("\\", "")
  const [, repository] = /^\^?https:\/\/github\.com\/([\w.-]+\/[\w.-]+)\/\.github\/workflows\//.exec(text) ?? []
  const isBound = claims.some(
    ({ claim }) => claim === "githubWorkflowRepository" || claim.startsWith("sourceRepository"),
  )
  if (repository === undefined || isBound) return
  const message = `whoever may call this workflow from another repository signs as it; say whose it is: workflow: { repository: ${repository} }`
  warn("unbound-workflow", line, message)
}

/** What people write for the issuers of the public Sigstore, and what these are. */
const ISSUERS: ReadonlyMap<string, string> = new Map([
  ["https://github.com", "https://github.com/login/oauth"],
  ["https://github.com/login/oauth", "https://github.com/login/oauth"],
  ["github", "https://github.com/login/oauth"],
  ["https://accounts.google.com", "https://accounts.google.com"],
  ["accounts.google.com", "https://accounts.google.com"],
  ["https://google.com", "https://accounts.google.com"],
  ["https://token.actions.githubusercontent.com", "https://token.actions.githubusercontent.com"],
  ["https://login.microsoftonline.com", "https://login.microsoftonline.com/TENANT/v2.0"],
])

function lintPattern(match: TextMatch | undefined, line: number, warn: Warn): void {
  if (match === undefined || !("pattern" in match)) return
  const escaped = escapeDots(match.pattern)
  if (escaped === match.pattern) return
  warn("unescaped-dot", line, `the dots of /${match.pattern}/ match any character; write '${escaped}'`)
}

/** The pattern with the dots escaped that stand between letters, as in a domain, and are no wildcard with a count. */
export function escapeDots(pattern: string): string {
  let escaped = ""
  let isClass = false
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] ?? ""
    if (character === "\\") {
      const isQuote = pattern[at + 1] === "Q"
      const end = isQuote ? pattern.indexOf("\\E", at) : at
      const stop = end < 0 ? pattern.length : end + 2
      escaped += pattern.slice(at, stop)
      at = stop - 1
      continue
    }
    if (character === "[" && !isClass) isClass = true
    else if (character === "]" && isClass && !/\[\^?$/.test(pattern.slice(0, at))) isClass = false
    const isLiteral = /[\w)\]/@-]$/.test(pattern.slice(0, at)) && /^[A-Za-z0-9(]/.test(pattern.slice(at + 1))
    escaped += character === "." && !isClass && isLiteral ? "\\." : character
  }
  return escaped
}

/** What no name of a ref has (git-check-ref-format(1)). */
const NO_REF = /[\s~^:]|\.\.|@\{|\.lock(?:\/|$)|(?:^|\/)[.]|\.$/

function lintRule(rule: Rule, policy: Policy, warn: Warn): void {
  const name = `rule "${rule.name}"`
  const prefix = rule.kind === "tags" ? "refs/tags/" : "refs/heads/"
  for (const glob of policy.format === "gitsign" ? rule.refs : []) {
    if (NO_REF.test(glob)) warn("unreachable", rule.line, `${name}: no ref can be named like ${JSON.stringify(glob)}`)
    const isOther = glob.startsWith("refs/") && !glob.startsWith(prefix) && !/^refs\/[*?]/.test(glob)
    if (isOther && /^refs\/(?:heads|tags)\//.test(glob)) {
      warn("unreachable", rule.line, `${name}: ${glob} is no name of ${rule.kind === "tags" ? "a tag" : "a branch"}`)
    }
    const mistaken = /^(?:heads|tags|origin|upstream)\//.exec(glob)?.[0]
    if (mistaken !== undefined) {
      warn(
        "unreachable",
        rule.line,
        `${name}: ${glob} is the branch or tag ${prefix}${glob}; leave ${mistaken} out if you mean ${glob.slice(mistaken.length)}`,
      )
    }
  }
  for (const glob of rule.paths) {
    if (!glob.includes("/") && /[*?]/.test(glob) && glob !== "**") {
      warn("top-level-glob", rule.line, `${name}: ${glob} is only for the top folder; **/${glob} is for all`)
    }
  }
  const entries = rule.signers.flatMap((signer) => policy.signers.get(signer) ?? [])
  if (rule.require.keyless && entries.every((entry) => entry.scheme !== "keyless")) {
    warn("unreachable", rule.line, `${name} asks for Sigstore signatures and names only keys: nobody can satisfy it`)
  }
  if (rule.paths.length > 0 && policy.otherwise === "refuse" && !policy.rules.some((base) => sharesRef(base, rule))) {
    const message = `${name} is only for refs on which nobody may sign: a rule without paths has to be for them, too`
    warn("unreachable", rule.line, message)
  }
}

/** Whether some ref is meant by both; told from one name for each glob. */
function sharesRef(base: Rule, rule: Rule): boolean {
  if (base.kind !== rule.kind || base.paths.length > 0) return false
  const full = ({ kind, refs }: Rule): readonly string[] =>
    refs.map((glob) => (glob.startsWith("refs/") ? glob : `refs/${kind === "tags" ? "tags" : "heads"}/${glob}`))
  const meets = (globs: readonly string[], others: readonly string[]): boolean => {
    const names = others.map(sampleOf)
    return globs.map(refGlob).some((matches) => names.some(matches))
  }
  return meets(full(base), full(rule)) || meets(full(rule), full(base))
}

/** What to say of a policy that begins only after `now`; undefined where it has begun. Nobody here has a clock. */
export function beginsLater({ since, source }: Policy, now: Date): string | undefined {
  if (since === undefined || !("date" in since) || since.date <= now) return undefined
  const day = since.date.toISOString().replace("T00:00:00.000Z", "")
  return `since: ${day} in ${source} is in the future: until then nothing is judged but what is being pushed`
}

function lintWhole(policy: Policy, lineOf: (member: string) => number, warn: Warn): void {
  const isGuarded = policy.rules.some(({ paths }) => paths.some((glob) => pathGlob(glob)(".gitsign/policy.yaml")))
  if (!isGuarded && policy.rules.some(({ kind }) => kind === "commits")) {
    const message =
      "whoever may sign commits may change this policy; write a rule with paths: ['.gitsign/**'] for those who may"
    warn("no-policy-rule", lineOf("rules"), message)
  }
  if (policy.otherwise === "allow")
    warn("otherwise-allow", lineOf("otherwise"), "otherwise: allow accepts whatever no rule is for, signed or not")
  if (policy.since !== undefined && "date" in policy.since) {
    warn(
      "since-date",
      lineOf("since"),
      "since is a date, and a date in a commit is what its author says; a commit id cannot be forged",
    )
  }
  for (const [index, { id, line }] of policy.exemptions.entries()) {
    if (policy.exemptions.findIndex((other) => other.id === id) === index) continue
    warn("duplicate-exemption", line, `${id} is exempted twice`)
  }
}
