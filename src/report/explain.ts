/**
 * The whole story of one object: certificate, identity, log entry, times, steps, and what the policy says.
 *
 * @module
 */

import type { AuditedObject, AuditedSigner, AuditResult } from "../audit/result.ts"
import { printable } from "../formats/printable.ts"
import { linkGlobs, pathGlobs } from "../policy/glob.ts"
import type { Rule, TextMatch } from "../policy/model.ts"
import { logLines, personText, policyLines, stepLines } from "./story.ts"
import { adviceFor, isProven, isUnasked, problemOf, reasonText, titleOf, utc } from "./words.ts"

/** What is known beside the audit. All of it may be left out, and is then not told. */
export interface ExplainDetails {
  /** Of the certificate, in hex. */
  readonly serialNumber?: string | undefined
  readonly sha256?: string | undefined
  /** Where the trusted root comes from, such as `public good` or a file. */
  readonly trustedRoot?: string | undefined
  /** The rules that apply to the object, in the order of the policy. */
  readonly rules?: readonly Rule[] | undefined
  /** Paths that the object changes, where a rule asked for them. */
  readonly paths?: readonly string[] | undefined
  /** Those of them that are or were a link or a submodule. */
  readonly links?: readonly string[] | undefined
}

/** The story, with a final line feed; ready to be written to a terminal. */
export function explainText(object: AuditedObject, result: AuditResult, details: ExplainDetails = {}): string {
  return [
    `${object.type} ${object.id}\n`,
    ...section("says of itself, which nothing proves", [
      fact("subject", titleOf(object)),
      // A tag has no author beside its tagger.
      ...(object.type === "tag" ? [] : [fact("author", personText(object.author))]),
      fact(object.type === "tag" ? "tagger" : "committer", personText(object.committer)),
      ...object.parents.map((parent) => fact("parent", parent)),
      ...(details.paths ?? []).slice(0, MAX_PATHS).map((path) => fact("changes", printable(path))),
      ...restOf(details.paths),
    ]),
    ...section("verdict", verdictLines(object, result)),
    ...section(signerHeading(object), signerLines(object.signer, details)),
    ...section("log and times", [...logLines(object), ...trustLines(object, details)]),
    ...section("policy", [...sourceLines(result), ...policyLines(object), ...ruleLines(object, details)]),
    ...section("steps", stepLines(object)),
  ].join("")
}

const MAX_PATHS = 20

const restOf = (paths: readonly string[] = []): string[] =>
  paths.length > MAX_PATHS ? [fact("", `and ${paths.length - MAX_PATHS} more paths`)] : []

const section = (name: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : [`\n${name}\n`, ...lines.map((line) => `  ${line}\n`)]

const fact = (name: string, value: string): string => `${name.padEnd(9)}  ${value}`

function verdictLines(object: AuditedObject, result: AuditResult): readonly string[] {
  if (object.verdict === "ok") return [object.identityChecked ? "ok" : "ok, whoever signed: nobody was expected"]
  const { code } = problemOf(object)
  const unchecked = isUnasked(object) ? "verified, but nobody was asked for" : "could not be checked"
  const word = object.verdict === "bad" ? "bad" : unchecked
  return [`${word}: ${reasonText(object)}  [${code}]`, ...adviceFor(object, result).map((hint) => fact("hint", hint))]
}

const signerHeading = (object: AuditedObject): string =>
  isProven(object) ? "signer, proven" : "signer, as the signature claims: not proven"

function signerLines(signer: AuditedSigner | undefined, details: ExplainDetails): readonly string[] {
  if (signer === undefined) return []
  if (signer.scheme !== "keyless") {
    return [
      fact("key", `${signer.scheme === "openpgp" ? "OpenPGP" : "SSH"} ${printable(signer.fingerprint)}`),
      fact("identity", printable(signer.identity)),
    ]
  }
  const names = signer.identities.map(({ type, value }) => fact("identity", `${printable(value)} (${type})`))
  return [
    ...(names.length > 0 ? names : [fact("identity", "nobody")]),
    fact("issuer", printable(signer.issuer) || "none"),
    fact("valid", `${utc(signer.notBefore)} to ${utc(signer.notAfter)}`),
    fact("SHA-1", signer.fingerprint),
    ...(details.sha256 === undefined ? [] : [fact("SHA-256", details.sha256)]),
    ...(details.serialNumber === undefined ? [] : [fact("serial", details.serialNumber)]),
    ...Object.entries(signer.claims).map(([name, value]) => `claim      ${name}: ${printable(value)}`),
  ]
}

const trustLines = ({ scheme }: AuditedObject, { trustedRoot }: ExplainDetails): readonly string[] =>
  trustedRoot === undefined || scheme !== "keyless" ? [] : [fact("trust", printable(trustedRoot))]

const sourceLines = ({ policies, refs, anyIdentity }: AuditResult): readonly string[] => [
  ...policies.map(({ source, sha256 }) => fact("from", `${printable(source)} (sha256 ${sha256.slice(0, 16)}…)`)),
  ...(policies.length > 0 ? refs.map((ref) => fact("for", printable(ref))) : []),
  ...(anyIdentity ? [fact("none", "anybody may have signed: --any-identity")] : []),
]

function ruleLines({ judgement }: AuditedObject, { rules = [], paths, links }: ExplainDetails): readonly string[] {
  return rules.flatMap((rule) => {
    const outcome = judgement?.satisfied.includes(rule.name)
      ? "satisfied"
      : judgement?.refusedBy === rule.name
        ? "refused"
        : isForOthers(rule, paths, links)
          ? "not for what it changes"
          : "not reached"
    const asks = requirementsOf(rule)
    return [
      fact("rule", `${printable(rule.name)}, line ${rule.line}: ${outcome}`),
      fact(
        "",
        `on ${printable(rule.refs.join(", "))}${rule.paths.length > 0 ? `, paths ${printable(rule.paths.join(", "))}` : ""}`,
      ),
      fact("", `signers ${printable(rule.signers.join(", "))}${asks === "" ? "" : `; requires ${asks}`}`),
    ]
  })
}

/** Whether a rule is for paths, and none of them is among those that an object changes. */
function isForOthers(rule: Rule, paths: readonly string[] | undefined, links: readonly string[] = []): boolean {
  if (rule.paths.length === 0 || paths === undefined) return false
  return !paths.some(pathGlobs(rule.paths)) && !links.some(linkGlobs(rule.paths))
}

function requirementsOf({ require, merges }: Rule): string {
  const asked = [
    ...(require.keyless ? ["a Sigstore signature"] : []),
    ...(require.offlineProof ? ["the log entry in the signature"] : []),
    ...(require.sct ? [] : ["no proof of a CT log"]),
    ...(require.timestamp ? ["a timestamp"] : []),
    ...(require.committer ? ["the signer to be the committer"] : []),
    ...require.claims.map(({ claim, match }) => `${claim} ${matchText(match)}`),
    ...(merges === "first-parent" ? ["first parents only"] : []),
  ]
  return asked.join(", ")
}

const matchText = (match: TextMatch): string => printable("exact" in match ? match.exact : `~ ${match.pattern}`)
