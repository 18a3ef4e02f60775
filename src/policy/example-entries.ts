/**
 * Examples for a policy, as its file or a file beside it has them.
 *
 * @module
 */

import { ERROR_CODES, type ErrorCode } from "../errors.ts"
import { CLAIM_NAMES, type ClaimName } from "../formats/signer.ts"
import { Fields } from "./fields.ts"
import type { PolicySource } from "./model.ts"
import { readYaml, type YamlValue } from "./yaml.ts"

/** One example: somebody signs something, and what should come of it. */
export interface Example {
  readonly line: number
  readonly signer:
    | {
        readonly issuer: string
        readonly subject: string
        readonly claims: Readonly<Partial<Record<ClaimName, string>>>
      }
    | { readonly key: string }
  /** Full name of the branch or tag. */
  readonly ref: string
  readonly type: "commit" | "tag"
  readonly paths: readonly string[]
  /** `clean` is as git itself would have made it; in the file `false`, `clean` and `true`. */
  readonly merge: "no" | "clean" | "edited"
  /** The committer's address; the subject or a principal where undefined. */
  readonly committer: string | undefined
  readonly mode: "offline" | "online"
  readonly timestamped: boolean
  /** When the log took it in; undefined: some time that no window with both ends has. */
  readonly time: Date | undefined
  readonly expect: "allowed" | ErrorCode
}

/**
 * Reads a file of examples: `examples:` and a list.
 *
 * @throws ERR_POLICY, ERR_POLICY_LIMIT
 */
export function parseExamples(text: Uint8Array, source: PolicySource): readonly Example[] {
  const fields = new Fields(readYaml(text, source), source, "a file of examples", ["examples"])
  const items = fields.list("examples")
  if (items === undefined) throw fields.error("examples", "examples is missing")
  return items.map((item) => parseExample(item, source))
}

/**
 * Reads one example.
 *
 * @throws ERR_POLICY
 */
export function parseExample(value: YamlValue, source: PolicySource): Example {
  const names = ["signer", "branch", "tag", "paths", "merge", "committer", "mode", "timestamp", "time", "expect"]
  const fields = new Fields(value, source, "an example", names)
  const expect = fields.required("expect")
  if (expect !== "allowed" && !Object.hasOwn(ERROR_CODES, expect)) {
    throw fields.error(
      "expect",
      `expect is ${JSON.stringify(expect)}; it may be allowed or a code such as ERR_IDENTITY`,
    )
  }
  if (fields.has("branch") === fields.has("tag")) throw fields.error("tag", "has to have one of branch and tag")
  const type = fields.has("tag") ? "tag" : "commit"
  const forCommits = ["paths", "merge"].find((name) => fields.has(name))
  if (type === "tag" && forCommits !== undefined) throw fields.error(forCommits, `a tag has no ${forCommits}`)
  const name = fields.required(type === "tag" ? "tag" : "branch")
  const prefix = type === "tag" ? "refs/tags/" : "refs/heads/"
  return {
    line: fields.line,
    signer: parseSigner(fields, source),
    ref: name.startsWith("refs/") ? name : `${prefix}${name}`,
    type,
    paths: fields.texts("paths")?.map(({ text }) => text) ?? [],
    merge: parseMerge(fields),
    committer: fields.text("committer"),
    mode: fields.word("mode", ["offline", "online"]) ?? "offline",
    timestamped: fields.boolean("timestamp") ?? true,
    time: fields.date("time"),
    expect: expect as Example["expect"],
  }
}

function parseMerge(fields: Fields): Example["merge"] {
  if (fields.value("merge")?.kind === "text") return fields.word("merge", ["clean"]) ?? "clean"
  return fields.boolean("merge") === true ? "edited" : "no"
}

function parseSigner(example: Fields, source: string): Example["signer"] {
  const value = example.value("signer")
  if (value === undefined) throw example.error("signer", "signer is missing")
  const fields = new Fields(value, source, "signer of an example", ["issuer", "subject", "claims", "key"])
  const key = fields.text("key")
  if (key !== undefined) {
    const other = ["issuer", "subject", "claims"].find((name) => fields.has(name))
    if (other !== undefined) throw fields.error(other, `has a key and ${other}; say one of them`)
    return { key: key.startsWith("SHA256:") ? key : key.toUpperCase() }
  }
  const known: readonly string[] = Object.values(CLAIM_NAMES)
  const claims: Partial<Record<ClaimName, string>> = {}
  for (const { name, text } of fields.map("claims") ?? []) {
    if (!known.includes(name)) throw fields.error("claims", `there is no claim ${JSON.stringify(name)}`)
    claims[name as ClaimName] = text
  }
  return { issuer: fields.required("issuer"), subject: fields.required("subject"), claims }
}
