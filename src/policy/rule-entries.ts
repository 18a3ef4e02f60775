/**
 * The rules of a policy, its exemptions and its compromised signers, as its file has them.
 *
 * @module
 */

import { Fields, OBJECT_ID } from "./fields.ts"
import { globProblem } from "./glob.ts"
import type { Compromise, Exemption, Requirements, Rule } from "./model.ts"
import { parseClaims, parseIdentity } from "./signer-entries.ts"
import { policyError, type YamlValue } from "./yaml.ts"

/** What a rule that says nothing asks for. */
export const NO_REQUIREMENTS: Requirements = {
  keyless: false,
  offlineProof: false,
  sct: true,
  timestamp: false,
  committer: false,
  claims: [],
}

/** Fingerprints as gpg (without blanks) and ssh-keygen print them. */
const KEY_FINGERPRINT = /^(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}|SHA256:[A-Za-z0-9+/]{43})$/

/**
 * Reads one rule.
 *
 * @param signers the names that there are
 * @throws ERR_POLICY
 */
export function parseRule(value: YamlValue, source: string, signers: ReadonlySet<string>): Rule {
  const unnamed = new Fields(value, source, "a rule", [
    ...["name", "branches", "tags", "paths", "signers", "merges", "require"],
  ])
  const name = unnamed.required("name")
  const fields = new Fields(value, source, `rule ${JSON.stringify(name)}`, [
    ...["name", "branches", "tags", "paths", "signers", "merges", "require"],
  ])
  if (fields.has("branches") === fields.has("tags")) {
    throw fields.error("tags", "has to have one of branches and tags; write a rule for each")
  }
  const kind = fields.has("tags") ? "tags" : "commits"
  const refs = globs(fields, kind === "tags" ? "tags" : "branches", "refs", source)
  const paths = fields.has("paths") ? globs(fields, "paths", "paths", source) : []
  if (kind === "tags" && paths.length > 0) throw fields.error("paths", "a tag has no paths")
  const merges = fields.word("merges", ["all", "first-parent"])
  if (merges !== undefined && kind === "tags") throw fields.error("merges", "a tag has no merges")
  // Else whoever may merge could bring in a change of these paths that nobody signed for
  if (merges === "first-parent" && paths.length > 0) {
    throw fields.error(
      "merges",
      "a rule with paths judges every commit that changes them; first-parent is for rules without",
    )
  }
  const named = fields.texts("signers")
  if (named === undefined) throw fields.error("signers", "signers is missing")
  for (const { text, line } of named) {
    if (!signers.has(text))
      throw policyError(source, line, `${fields.what}: there are no signers ${JSON.stringify(text)}`)
  }
  return {
    name,
    line: fields.line,
    kind,
    refs,
    paths,
    signers: named.map(({ text }) => text),
    merges: merges ?? "all",
    require: parseRequirements(fields, source),
  }
}

function globs(fields: Fields, name: string, over: "refs" | "paths", source: string): readonly string[] {
  const found = fields.texts(name) ?? []
  for (const { text, line } of found) {
    const problem = globProblem(text, over)
    if (problem !== undefined) throw policyError(source, line, `${fields.what}: ${JSON.stringify(text)} ${problem}`)
  }
  return found.map(({ text }) => text)
}

function parseRequirements(rule: Fields, source: string): Requirements {
  const value = rule.value("require")
  if (value === undefined) return NO_REQUIREMENTS
  const words = ["keyless", "offlineProof", "sct", "timestamp", "committer"] as const
  const fields = new Fields(value, source, `require of ${rule.what}`, [...words, "workflow", "claims"])
  const asked = Object.fromEntries(words.map((word) => [word, fields.boolean(word) ?? NO_REQUIREMENTS[word]]))
  return { ...NO_REQUIREMENTS, ...asked, claims: parseClaims(fields, source) }
}

/**
 * Reads one exemption.
 *
 * @throws ERR_POLICY
 */
export function parseExemption(value: YamlValue, source: string): Exemption {
  const fields = new Fields(value, source, "an exemption", ["commit", "reason", "author"])
  const id = fields.required("commit")
  if (!OBJECT_ID.test(id)) {
    throw fields.error(
      "commit",
      `commit is ${JSON.stringify(id)}; it has to be a whole id, of 40 or 64 lower-case hex digits`,
    )
  }
  return { id, reason: fields.required("reason"), author: fields.required("author"), line: fields.line }
}

/**
 * Reads one compromised signer.
 *
 * @throws ERR_POLICY
 */
export function parseCompromise(value: YamlValue, source: string): Compromise {
  const identity = ["issuer", "issuerRegExp", "subject", "subjectRegExp", "until", "from"]
  const fields = new Fields(value, source, "a compromised signer", [...identity, "key", "reason"])
  const key = fields.text("key")
  const reason = fields.required("reason")
  if (key !== undefined) {
    const other = identity.find((name) => fields.has(name))
    if (other !== undefined) {
      throw fields.error(
        other,
        `a key has no ${other}: nothing proves when it signed, so it is not trusted at any time`,
      )
    }
    if (!KEY_FINGERPRINT.test(key)) {
      throw fields.error(
        "key",
        `key is ${JSON.stringify(key)}; it has to be the whole fingerprint of an OpenPGP key in hex, or SHA256:… of an SSH key`,
      )
    }
    const none = { issuer: undefined, subject: undefined, from: undefined, until: undefined }
    return { ...none, key: key.startsWith("SHA256:") ? key : key.toUpperCase(), reason, line: fields.line }
  }
  const { issuer, subject } = parseIdentity(fields, true)
  if (issuer === undefined && subject === undefined) throw fields.error("subject", "says neither who nor which key")
  const from = fields.date("from")
  const until = fields.date("until", "last")
  if (from !== undefined && until !== undefined && from >= until) throw fields.error("until", "until is not after from")
  return { issuer, subject, key: undefined, from, until, reason, line: fields.line }
}
