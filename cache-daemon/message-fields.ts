/**
 * Checks for the fields of a message: each returns the value when it is what it has to be.
 *
 * @module
 */

import { GitsignError } from "../src/errors.ts"

/** Returns `value` as what it is, or throws ERR_AGENT; `where` names the field. */
export type Check<T> = (value: unknown, where: string) => T

/** The fields of a map, each with its check. */
export type Shape = Readonly<Record<string, Check<unknown>>>

/** What a check lets through. */
export type Value<C> = C extends Check<infer T> ? T : never

const refuse = (where: string, what: string): never => {
  throw new GitsignError("ERR_AGENT", `${where} is not ${what}`)
}

/** Text of at most `max` UTF-16 code units. */
export const text =
  (max: number): Check<string> =>
  (value, where) =>
    typeof value === "string" && value.length <= max ? value : refuse(where, `text of at most ${max} characters`)

/** Text of a certain form; `what` names it. */
export const matching =
  (form: RegExp, what: string): Check<string> =>
  (value, where) =>
    typeof value === "string" && form.test(value) ? value : refuse(where, what)

/** At most `max` bytes. */
export const bytes =
  (max: number): Check<Uint8Array> =>
  (value, where) =>
    value instanceof Uint8Array && value.length <= max ? value : refuse(where, `at most ${max} bytes`)

/** A whole number from 0 to `max`. */
export const whole =
  (max: number): Check<number> =>
  (value, where) =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max
      ? value
      : refuse(where, `a whole number up to ${max}`)

/** True or false. */
export const flag: Check<boolean> = (value, where) =>
  typeof value === "boolean" ? value : refuse(where, "true or false")

/** One of these words. */
export const oneOf =
  <T extends string>(...allowed: readonly T[]): Check<T> =>
  (value, where) =>
    allowed.find((one) => one === value) ?? refuse(where, allowed.join(" or "))

/** What `check` allows, or nothing: an absent field, undefined or nil. */
export const optional =
  <T>(check: Check<T>): Check<T | undefined> =>
  (value, where) =>
    value === undefined || value === null ? undefined : check(value, where)

/** A list of at most `max` values. */
export const list =
  <T>(check: Check<T>, max: number): Check<readonly T[]> =>
  (value, where) =>
    Array.isArray(value) && value.length <= max
      ? value.map((one, index) => check(one, `${where}[${index}]`))
      : refuse(where, `a list of at most ${max}`)

/** A map with these fields and no other. */
export const record =
  <S extends Shape>(shape: S): Check<{ readonly [F in keyof S]: Value<S[F]> }> =>
  (value, where) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(where, "a map")
    for (const field of Object.keys(value)) {
      if (!Object.hasOwn(shape, field)) refuse(`${where}.${field}`, "a field of this message")
    }
    const given = value as Readonly<Record<string, unknown>>
    const fields = Object.entries(shape).map(([field, check]) => [field, check(given[field], `${where}.${field}`)])
    return Object.fromEntries(fields)
  }
