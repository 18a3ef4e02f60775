/**
 * The signers of a policy, as its file has them.
 *
 * @module
 */

import { CLAIM_NAMES, type ClaimName } from "../formats/signer.ts"
import { Fields } from "./fields.ts"
import { WORKFLOW_CLAIMS } from "./identity.ts"
import { GITHUB_KEYS } from "./key-files.ts"
import type { OnCommits, SignerEntry, TextMatch } from "./model.ts"
import type { YamlValue } from "./yaml.ts"

/** A signer's entry before the files that it names are there. */
export interface EntryDraft {
  readonly line: number
  /** Where the keys are, relative to the policy's folder; undefined where they are in the policy. */
  readonly file: string | undefined
  /** Whether it says `anyone: true`. */
  readonly anyone: boolean
  /** Its keys are still empty where `file` is set. */
  readonly entry: SignerEntry
}

/** Which commits a signer may be for. */
const ON_COMMITS = ["all", "merges", "clean merges"] as const satisfies readonly OnCommits[]
const KEY_FILE = /^[A-Za-z0-9_][A-Za-z0-9._@+-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._@+-]*)*$/
const ARMOR = /^\s*-----BEGIN PGP PUBLIC KEY BLOCK-----/

/**
 * Reads one entry of a signer.
 *
 * @param what the entry in messages, such as `an entry of signer "bots"`
 * @throws ERR_POLICY
 */
export function parseEntry(value: YamlValue, source: string, what: string): EntryDraft {
  const names = value.kind === "map" ? [...value.members.keys()] : []
  if (names.includes("anyone")) {
    const fields = new Fields(value, source, what, ["anyone"])
    if (fields.boolean("anyone") !== true) throw fields.error("anyone", "anyone can only be true")
    const entry = { scheme: "keyless", issuer: undefined, subject: undefined, claims: [], on: "all" } as const
    return { line: fields.line, file: undefined, anyone: true, entry }
  }
  if (names.includes("openpgp")) return parseOpenpgp(new Fields(value, source, what, ["openpgp", "on"]), source)
  if (names.includes("ssh")) return parseSsh(new Fields(value, source, what, ["ssh", "principals", "on"]), source)
  const allowed = ["issuer", "issuerRegExp", "subject", "subjectRegExp", "workflow", "claims", "on"]
  const fields = new Fields(value, source, what, [...allowed, "anyone", "openpgp", "ssh"])
  const entry: SignerEntry = {
    scheme: "keyless",
    ...parseIdentity(fields, true),
    claims: parseClaims(fields, source),
    on: fields.word("on", ON_COMMITS) ?? "all",
  }
  return { line: fields.line, file: undefined, anyone: false, entry }
}

/** The issuer and the subject of a map, each as a text or a pattern. */
export function parseIdentity(
  fields: Fields,
  whole: boolean,
): { readonly issuer: TextMatch | undefined; readonly subject: TextMatch | undefined } {
  const match = (name: string): TextMatch | undefined => {
    const exact = fields.text(name)
    const pattern = fields.text(`${name}RegExp`)
    if (exact !== undefined && pattern !== undefined) {
      throw fields.error(`${name}RegExp`, `has ${name} and ${name}RegExp; say one of them`)
    }
    if (exact !== undefined) return { exact }
    return pattern === undefined ? undefined : { pattern, whole }
  }
  return { issuer: match("issuer"), subject: match("subject") }
}

/** `workflow` and `claims` of a signer or of a rule's requirements. */
export function parseClaims(
  fields: Fields,
  source: string,
): readonly { readonly claim: ClaimName; readonly match: TextMatch }[] {
  const found: { claim: ClaimName; match: TextMatch }[] = []
  const add = (name: string, claim: ClaimName, exact: string): void => {
    if (found.some((other) => other.claim === claim)) throw fields.error(name, `asks for the claim ${claim} twice`)
    found.push({ claim, match: { exact } })
  }
  const workflow = fields.value("workflow")
  if (workflow !== undefined) {
    const names = Object.keys(WORKFLOW_CLAIMS) as (keyof typeof WORKFLOW_CLAIMS)[]
    const members = new Fields(workflow, source, `workflow of ${fields.what}`, names)
    for (const name of names) {
      const text = members.text(name)
      if (text !== undefined) add("workflow", WORKFLOW_CLAIMS[name], text)
    }
    if (found.length === 0) throw fields.error("workflow", "workflow is empty")
  }
  const known: readonly string[] = Object.values(CLAIM_NAMES)
  for (const { name, text } of fields.map("claims") ?? []) {
    if (!known.includes(name))
      throw fields.error("claims", `there is no claim ${JSON.stringify(name)}; there are ${known.join(", ")}`)
    add("claims", name as ClaimName, text)
  }
  return found
}

function parseOpenpgp(fields: Fields, source: string): EntryDraft {
  const keys = fields.text("openpgp", true) ?? ""
  const isInline = ARMOR.test(keys)
  const isGithub = keys === GITHUB_KEYS
  const file = isInline || isGithub ? undefined : keyFile(fields, "openpgp", keys)
  // The website signs whatever anybody with write access does there, so its key says who made a commit only for what git checks
  const on = fields.word("on", ON_COMMITS) ?? (isGithub ? "clean merges" : "all")
  const entry: SignerEntry = {
    scheme: "openpgp",
    keys: file === undefined ? keys : "",
    source: isGithub ? GITHUB_KEYS : `${source} line ${fields.lineOf("openpgp")}`,
    on,
  }
  return { line: fields.line, file, anyone: false, entry }
}

function parseSsh(fields: Fields, source: string): EntryDraft {
  const text = fields.text("ssh", true) ?? ""
  const file = /\s/.test(text) ? undefined : keyFile(fields, "ssh", text)
  const entry: SignerEntry = {
    scheme: "ssh",
    allowedSigners: file === undefined ? text : "",
    source: `${source} line ${fields.lineOf("ssh")}`,
    principals: (fields.texts("principals") ?? []).map((principal) => principal.text),
    on: fields.word("on", ON_COMMITS) ?? "all",
  }
  return { line: fields.line, file, anyone: false, entry }
}

/** A path that can only be beside the policy or below it. */
function keyFile(fields: Fields, name: string, path: string): string {
  if (path.length <= 255 && KEY_FILE.test(path)) return path
  const block = name === "openpgp" ? "github, or an armored block" : "or lines of allowed signers"
  const message = `${name} is ${JSON.stringify(path.slice(0, 60))}; it has to be the path of a file in the policy's folder, ${block}`
  throw fields.error(
    name,
    `${message}; names may have letters, digits and . _ @ + - and begin with a letter, digit or _`,
  )
}
