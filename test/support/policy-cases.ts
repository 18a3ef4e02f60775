/**
 * Reads the cases of `fixtures/policies`; the README there tells their form.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { FIXTURES } from "./fixtures.ts"

const FOLDER = join(FIXTURES, "policies")

/** Every line that case.txt may hold. A misspelt one would switch a check off. */
const KEYS = ["expect", "origin", "comment", "line", "says", "warnings", "schema", "pad"] as const

/** One policy with what has to come of it. */
export interface PolicyCase {
  readonly name: string
  /** `accepted`, or a code. */
  readonly expect: string
  readonly fields: ReadonlyMap<string, string>
  /** The bytes of policy.yaml. */
  readonly bytes: Buffer
  readonly read: (file: string) => Buffer
  readonly has: (file: string) => boolean
}

/** All cases, by name. */
export function policyCases(): PolicyCase[] {
  return readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => readCase(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function readCase(name: string): PolicyCase {
  const read = (file: string): Buffer => readFileSync(join(FOLDER, name, file))
  const fields = new Map<string, string>()
  for (const line of read("case.txt").toString("utf8").trimEnd().split("\n")) {
    const [, key = "", value = ""] = /^([a-z]+): (.+)$/.exec(line) ?? []
    if (!KEYS.some((known) => known === key) || fields.has(key)) throw new Error(`${name}: cannot read: ${line}`)
    fields.set(key, value)
  }
  const text = read("policy.yaml")
  const size = Number(fields.get("pad") ?? text.length)
  const bytes = Buffer.concat([text, Buffer.alloc(size - text.length, "# nothing but this\n")])
  return {
    name,
    expect: fields.get("expect") ?? "",
    fields,
    bytes,
    read,
    has: (file) => existsSync(join(FOLDER, name, file)),
  }
}
