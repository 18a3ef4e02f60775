/**
 * Compares reports with the schemas that their readers publish (fixtures/schemas), and with gitsign's own.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { Ajv, type AnySchemaObject, type ValidateFunction } from "ajv"
import { Ajv2020 } from "ajv/dist/2020.js"
import addFormats from "ajv-formats"
import { validateXML } from "xmllint-wasm"

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

const ajv2020 = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true })
const ajvDraft7 = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false })
for (const ajv of [ajv2020, ajvDraft7]) addFormats.default(ajv)

const compiled = new Map<string, ValidateFunction>()

function violations(
  file: string,
  ajv: Ajv | Ajv2020,
  prepare: (schema: AnySchemaObject) => AnySchemaObject,
  value: unknown,
) {
  const validate = compiled.get(file) ?? ajv.compile(prepare(JSON.parse(read(file))))
  compiled.set(file, validate)
  return validate(value) ? [] : (validate.errors ?? [])
}

/** What is wrong with a document of `--format json`. */
export const verifyViolations = (document: unknown) =>
  violations("docs/verify.schema.json", ajv2020, (s) => s, document)

/** What is wrong with a document of `gitsign whoami --format json`. */
export const whoamiViolations = (document: unknown) =>
  violations("docs/whoami.schema.json", ajv2020, (s) => s, document)

/** What is wrong with a SARIF log. */
export const sarifViolations = (log: unknown) =>
  // Draft 4 differs from draft 7 in `id` alone, as far as this schema goes.
  violations("fixtures/schemas/sarif-2.1.0-rtm.5.json", ajvDraft7, ({ id: _, $schema: __, ...rest }) => rest, log)

/** What is wrong with a JUnit report. */
export async function junitViolations(xml: string): Promise<readonly string[]> {
  const schema = read("fixtures/schemas/jenkins-junit.xsd")
  const { errors } = await validateXML({ xml: [{ fileName: "report.xml", contents: xml }], schema: [schema] })
  return errors.map(({ message }) => message)
}
