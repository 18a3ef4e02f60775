/**
 * Chainguard's source policy, `.chainguard/source.yaml`: the authorities of a ClusterImagePolicy
 * (https://docs.sigstore.dev/policy-controller/overview), asked of commits.
 *
 * @module
 */

import { Fields } from "./fields.ts"
import { GITHUB_KEYS } from "./key-files.ts"
import type { PolicyWarning, Rule, SignerEntry } from "./model.ts"
import { NO_REQUIREMENTS } from "./rule-entries.ts"
import { type EntryDraft, parseIdentity } from "./signer-entries.ts"
import type { YamlValue } from "./yaml.ts"

const NAME = "source.yaml"
const WEB_FLOW = "https://github.com/web-flow.gpg"
const FULCIO = "https://fulcio.sigstore.dev"
const REKOR = "https://rekor.sigstore.dev"

/** What there is in a source policy. */
export interface SourcePolicy {
  readonly signers: ReadonlyMap<string, readonly EntryDraft[]>
  readonly rules: readonly Rule[]
  readonly warnings: readonly PolicyWarning[]
}

/** Whether a document is a source policy: it has a `spec`, and no version of ours. */
export const isSourcePolicy = (root: YamlValue): boolean =>
  root.kind === "map" && root.members.has("spec") && !root.members.has("version")

/**
 * Reads a source policy: one rule over all branches and tags, patterns with their own, unanchored meaning.
 *
 * @throws ERR_POLICY
 */
export function parseSourcePolicy(root: YamlValue, source: string): SourcePolicy {
  const document = new Fields(root, source, "a source policy", ["apiVersion", "kind", "metadata", "spec"])
  const value = document.value("spec") ?? root
  const spec = new Fields(value, source, "spec", ["authorities", "github"])
  const warnings: PolicyWarning[] = []
  const warn = (id: string, line: number, message: string): void => void warnings.push({ id, line, message })
  const drafts = (spec.list("authorities") ?? []).flatMap((authority) => parseAuthority(authority, source, warn))
  const github = spec.value("github")
  if (github !== undefined && github.kind !== "nothing") {
    const fields = new Fields(github, source, "github", ["verified"])
    if (fields.boolean("verified") === true) {
      warn("ignored-github", fields.line, "github.verified asks GitHub, which is not asked here: it accepts nobody")
    }
  }
  const rule: Omit<Rule, "kind"> = {
    name: NAME,
    line: spec.line,
    refs: ["refs/**"],
    paths: [],
    signers: [NAME],
    merges: "all",
    require: NO_REQUIREMENTS,
  }
  return {
    signers: new Map([[NAME, drafts]]),
    rules: [
      { ...rule, kind: "commits" },
      { ...rule, kind: "tags" },
    ],
    warnings,
  }
}

type Warn = (id: string, line: number, message: string) => void

function parseAuthority(value: YamlValue, source: string, warn: Warn): EntryDraft[] {
  const fields = new Fields(value, source, "an authority", ["name", "keyless", "key", "ctlog"])
  const drafts: EntryDraft[] = []
  const keyless = fields.value("keyless")
  if (keyless !== undefined) drafts.push(...parseKeyless(keyless, source, warn))
  const key = fields.value("key")
  if (key !== undefined) drafts.push(...parseKey(key, source, warn))
  const ctlog = fields.value("ctlog")
  if (ctlog !== undefined && ctlog.kind !== "nothing")
    otherService(new Fields(ctlog, source, "ctlog", ["url"]), REKOR, warn)
  if (keyless === undefined && key === undefined) {
    warn("ignored-authority", fields.line, "this authority has neither keyless nor key: it accepts nobody")
  }
  return drafts
}

function otherService(fields: Fields, expected: string, warn: Warn): void {
  const url = fields.text("url")
  if (url === undefined || url.replace(/\/$/, "") === expected) return
  const message = `${url} is not looked at: the trusted root says whose certificates and log entries count`
  warn("ignored-url", fields.lineOf("url"), message)
}

function parseKeyless(value: YamlValue, source: string, warn: Warn): EntryDraft[] {
  const fields = new Fields(value, source, "keyless", ["url", "identities"])
  otherService(fields, FULCIO, warn)
  const identities = fields.list("identities")
  const anybody: SignerEntry = { scheme: "keyless", issuer: undefined, subject: undefined, claims: [], on: "all" }
  // Without identities everybody who can log in anywhere; open.ts refuses it
  if (identities === undefined) return [{ line: fields.line, file: undefined, anyone: false, entry: anybody }]
  return identities.map((item) => {
    const identity = new Fields(item, source, "an identity", ["issuer", "issuerRegExp", "subject", "subjectRegExp"])
    const entry: SignerEntry = { ...anybody, ...parseIdentity(identity, false) }
    for (const match of [entry.issuer, entry.subject]) {
      if (match === undefined || !("pattern" in match)) continue
      const isAnchored = match.pattern.startsWith("^") && match.pattern.endsWith("$")
      if (isAnchored && !match.pattern.includes("|")) continue
      const message = `/${match.pattern}/ matches anywhere in a text, as in Chainguard's policies; in .gitsign/policy.yaml it would have to match the whole`
      warn("unanchored", identity.line, message)
    }
    return { line: identity.line, file: undefined, anyone: false, entry }
  })
}

function parseKey(value: YamlValue, source: string, warn: Warn): EntryDraft[] {
  if (value.kind === "nothing") {
    warn("ignored-key", value.line, "this key is empty: it accepts nobody")
    return []
  }
  const fields = new Fields(value, source, "key", ["kms", "data", "secretRef", "hashAlgorithm"])
  const kms = fields.text("kms")
  const data = fields.text("data", true)
  const entries: SignerEntry[] = []
  if (kms === WEB_FLOW) {
    entries.push({ scheme: "openpgp", keys: GITHUB_KEYS, source: GITHUB_KEYS, on: "all" })
  } else if (kms !== undefined) {
    warn("ignored-key", fields.lineOf("kms"), `${kms} would have to be asked for its key: it accepts nobody`)
  }
  if (data?.includes("-----BEGIN PGP PUBLIC KEY BLOCK-----")) {
    entries.push({ scheme: "openpgp", keys: data, source: `${source} line ${fields.lineOf("data")}`, on: "all" })
  } else if (data !== undefined) {
    warn("ignored-key", fields.lineOf("data"), "this key is not an OpenPGP key: it accepts nobody")
  }
  if (kms === undefined && data === undefined)
    warn("ignored-key", fields.line, "this key is not in the file: it accepts nobody")
  return entries.map((entry) => ({ line: fields.line, file: undefined, anyone: false, entry }))
}
