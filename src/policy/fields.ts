/**
 * The members of a map in a policy, each read as what it has to be.
 *
 * @module
 */

import type { GitsignError } from "../errors.ts"
import { limitError, policyError, type YamlMember, type YamlValue } from "./yaml.ts"

/** A text and where it stands. */
export interface Located {
  readonly text: string
  readonly line: number
}

/** A whole commit or tag id, SHA-1 or SHA-256. */
export const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:[Tt](\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2}))?$/
const MAX_TEXT = 1000

const shown = (value: YamlValue): string => {
  switch (value.kind) {
    case "text":
      return JSON.stringify(value.text.length > 60 ? `${value.text.slice(0, 60)}…` : value.text)
    case "number":
      return `the number ${value.number} (put it in quotes if it is a text)`
    case "boolean":
      return `${value.boolean} (put it in quotes if it is a text)`
    case "nothing":
      return "nothing"
    default:
      return `a ${value.kind}`
  }
}

/** One map of a policy. Every function throws ERR_POLICY with the line of what is not as it has to be. */
export class Fields {
  readonly line: number
  readonly what: string
  readonly #members: ReadonlyMap<string, YamlMember>
  readonly #source: string

  /** @param what the map in messages, such as `rule "main"`. Members that are not in `allowed` are refused. */
  constructor(value: YamlValue, source: string, what: string, allowed: readonly string[]) {
    if (value.kind !== "map") throw policyError(source, value.line, `${what} has to be a map, not ${shown(value)}`)
    this.line = value.line
    this.what = what
    this.#members = value.members
    this.#source = source
    for (const [name, { line }] of value.members) {
      if (allowed.includes(name)) continue
      throw policyError(
        source,
        line,
        `${what} has no member ${JSON.stringify(name)}; it may have ${allowed.join(", ")}`,
      )
    }
  }

  has(name: string): boolean {
    return this.#members.has(name)
  }

  /** The line of a member, or of the map. */
  lineOf(name: string): number {
    return this.#members.get(name)?.line ?? this.line
  }

  error(name: string, message: string): GitsignError {
    return policyError(this.#source, this.lineOf(name), `${this.what}: ${message}`)
  }

  value(name: string): YamlValue | undefined {
    return this.#members.get(name)?.value
  }

  /** Text of 1 to 1,000 characters on one line, unless `long` says that it may be anything. */
  text(name: string, long = false): string | undefined {
    const value = this.value(name)
    return value === undefined ? undefined : this.#text(value, name, long)
  }

  required(name: string): string {
    const text = this.text(name)
    if (text === undefined) throw this.error(name, `${name} is missing`)
    return text
  }

  boolean(name: string): boolean | undefined {
    const value = this.value(name)
    if (value === undefined || value.kind === "boolean") return value?.boolean
    throw this.error(name, `${name} has to be true or false, not ${shown(value)}`)
  }

  /** One of some words. */
  word<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const found = words.find((word) => word === text)
    if (found === undefined) throw this.error(name, `${name} is ${JSON.stringify(text)}; it may be ${words.join(", ")}`)
    return found
  }

  /** A list of values, not empty. */
  list(name: string): readonly YamlValue[] | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (value.kind !== "list") throw this.error(name, `${name} has to be a list, not ${shown(value)}`)
    if (value.items.length === 0) throw this.error(name, `${name} is an empty list`)
    return value.items
  }

  /** A list of texts, not empty, none of them twice. */
  texts(name: string): readonly Located[] | undefined {
    const found = this.list(name)?.map((item) => ({ text: this.#text(item, name, false), line: item.line }))
    for (const [index, { text, line }] of (found ?? []).entries()) {
      if (found?.findIndex((other) => other.text === text) === index) continue
      throw policyError(this.#source, line, `${this.what}: ${name} has ${JSON.stringify(text)} twice`)
    }
    return found
  }

  /** The members of a map of texts. */
  map(name: string): readonly (Located & { readonly name: string })[] | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (value.kind !== "map" || value.members.size === 0) {
      throw this.error(name, `${name} has to be a map of texts, not ${value.kind === "map" ? "empty" : shown(value)}`)
    }
    return [...value.members].map(([key, member]) => ({
      name: key,
      text: this.#text(member.value, key, false),
      line: member.line,
    }))
  }

  /** A time of RFC 3339, or a day in UTC: its first moment, or its last. */
  date(name: string, ofDay: "first" | "last" = "first"): Date | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const date = parseDate(text)
    if (date === undefined)
      throw this.error(
        name,
        `${name} is ${JSON.stringify(text)}, not a date such as 2026-01-31 or 2026-01-31T12:00:00Z`,
      )
    return ofDay === "last" && text.length === 10 ? new Date(date.getTime() + 86_399_999) : date
  }

  #text(value: YamlValue, name: string, long: boolean): string {
    if (value.kind !== "text")
      throw policyError(this.#source, value.line, `${this.what}: ${name} has to be a text, not ${shown(value)}`)
    const { text } = value
    if (long) return text
    if (text.trim() !== text || text === "" || /[\n\r]/.test(text)) {
      throw policyError(
        this.#source,
        value.line,
        `${this.what}: ${name} has to be one line without spaces around it, not ${shown(value)}`,
      )
    }
    if (text.length > MAX_TEXT) {
      const message = `${this.what}: ${name} has ${text.length} characters, and may have ${MAX_TEXT}`
      throw limitError(this.#source, value.line, message)
    }
    return text
  }
}

/** A date of RFC 3339, or a day, which begins at midnight UTC; undefined for what is neither, such as the 31st of February. */
export function parseDate(text: string): Date | undefined {
  const found = DATE.exec(text)
  if (found === null) return undefined
  const [, year = "", month = "", day = "", hour = "00", minute = "00", second = "00"] = found
  const date = new Date(found[4] === undefined ? `${text}T00:00:00Z` : text.toUpperCase())
  // Date rolls the 31st of February over to March, and takes 24:00:00
  const rolled = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)))
  const isSane = Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60
  return Number.isNaN(date.getTime()) || !isSane || rolled.getUTCDate() !== Number(day) ? undefined : date
}
