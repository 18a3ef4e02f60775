/**
 * Compares JSON with the schemas in docs/ (JSON Schema 2020-12).
 *
 * @module
 */

/** A schema of docs/. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly format?: string
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly items?: Schema
  readonly minimum?: number
  readonly oneOf?: readonly Schema[]
}

const typeOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value

/** What is wrong with a value. The part of JSON Schema that the files of docs/ use; stricter in one thing: members it does not name are violations. */
export function violations(schema: Schema, value: unknown, path = "$"): string[] {
  const found: string[] = []
  const types = schema.type === undefined ? undefined : [schema.type].flat()
  if (types !== undefined && !types.includes(typeOf(value))) found.push(`${path} is ${typeOf(value)}`)
  if (schema.const !== undefined && value !== schema.const) found.push(`${path} is not ${schema.const}`)
  if (schema.enum !== undefined && !schema.enum.includes(value)) found.push(`${path} is ${value}`)
  if (schema.minimum !== undefined && Number(value) < schema.minimum) found.push(`${path} is ${value}`)
  if (schema.oneOf !== undefined) {
    const right = schema.oneOf.filter((one) => violations(one, value, path).length === 0)
    return right.length === 1 ? found : [...found, `${path} is ${right.length} of ${schema.oneOf.length} things`]
  }
  if (typeof value === "string") {
    if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) found.push(`${path} is ${value}`)
    if (schema.format === "date-time" && !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) found.push(`${path} is ${value}`)
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries())
      found.push(...violations(schema.items ?? {}, item, `${path}[${index}]`))
  } else if (typeof value === "object" && value !== null) {
    for (const name of schema.required ?? []) if (!(name in value)) found.push(`${path}.${name} is missing`)
    for (const [name, member] of Object.entries(value)) {
      const expected = schema.properties?.[name] ?? schema.additionalProperties
      if (expected === undefined) found.push(`${path}.${name} is not in the schema`)
      else found.push(...violations(expected, member, `${path}.${name}`))
    }
  }
  return found
}
