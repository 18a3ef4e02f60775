/**
 * Compares the documents of `gitsign policy` with docs/policy-output.schema.json (JSON Schema 2020-12).
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { Ajv2020 } from "ajv/dist/2020.js"
import formats from "ajv-formats"

const SCHEMA = JSON.parse(readFileSync(new URL("../../docs/policy-output.schema.json", import.meta.url), "utf8"))

/** The schema, but a member that it does not name is a mistake: its readers may meet newer documents, its tests may not. */
function strict(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(strict)
  if (typeof node !== "object" || node === null) return node
  const copied = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, strict(value)]))
  return "properties" in copied && "required" in copied ? { ...copied, additionalProperties: false } : copied
}

function compile() {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true })
  formats.default(ajv)
  return ajv.compile({ ...SCHEMA, $defs: strict(SCHEMA.$defs) })
}

const validate = compile()

/** What is wrong with a document. */
export const policyOutputViolations = (document: unknown): readonly string[] =>
  validate(document) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
