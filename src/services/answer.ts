/**
 * Reading what services answer: strict JSON (RFC 8259) and refusals, neither of which is trusted.
 *
 * @module
 */

import { type ErrorCode, GitsignError } from "../errors.ts"
import { decodeBase64 } from "../formats/base64.ts"
import type { HttpResponse } from "./http.ts"

/** One JSON object whose members are read by name and type. Every read throws the error code it was made with. */
export class JsonReader {
  readonly #value: Readonly<Record<string, unknown>>
  readonly #what: string
  readonly #code: ErrorCode

  /** @throws `code` when `value` is not a JSON object */
  constructor(value: unknown, what: string, code: ErrorCode) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new GitsignError(code, `${what}: not a JSON object`)
    }
    this.#value = value as Readonly<Record<string, unknown>>
    this.#what = what
    this.#code = code
  }

  /** The names of all members. */
  get keys(): readonly string[] {
    return Object.keys(this.#value)
  }

  /** The member as it is; undefined when it is absent or null. */
  get(key: string): unknown {
    return this.#value[key] ?? undefined
  }

  object(key: string): JsonReader {
    return new JsonReader(this.get(key), `${this.#what}: ${key}`, this.#code)
  }

  optionalObject(key: string): JsonReader | undefined {
    return this.get(key) === undefined ? undefined : this.object(key)
  }

  string(key: string): string {
    const value = this.get(key)
    return typeof value === "string" ? value : this.fail(`${key} is not a string`)
  }

  optionalString(key: string): string | undefined {
    return this.get(key) === undefined ? undefined : this.string(key)
  }

  strings(key: string): readonly string[] {
    const value = this.get(key)
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
      return this.fail(`${key} is not a list of strings`)
    }
    return value
  }

  /** A non-negative integer that JSON carries exactly (below 2^53). */
  integer(key: string): bigint {
    const value = this.get(key)
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      return this.fail(`${key} is not a non-negative integer`)
    }
    return BigInt(value)
  }

  /** Bytes in lower-case hex; exactly `length` of them. */
  hex(key: string, length: number): Uint8Array {
    return this.#hexBytes(this.string(key), key, length)
  }

  hexList(key: string, length: number): readonly Uint8Array[] {
    return this.strings(key).map((text) => this.#hexBytes(text, key, length))
  }

  /** Bytes in canonical base64; at least one. */
  base64(key: string): Uint8Array {
    return this.#base64Bytes(this.string(key), key)
  }

  base64List(key: string): readonly Uint8Array[] {
    return this.strings(key).map((text) => this.#base64Bytes(text, key))
  }

  /** @throws the code of this reader, always */
  fail(message: string): never {
    throw new GitsignError(this.#code, `${this.#what}: ${message}`)
  }

  #base64Bytes(text: string, key: string): Uint8Array {
    const bytes = decodeBase64(text)
    return bytes === undefined || bytes.length === 0 ? this.fail(`${key} is not canonical base64`) : bytes
  }

  #hexBytes(text: string, key: string, length: number): Uint8Array {
    return text.length === 2 * length && /^[0-9a-f]*$/.test(text)
      ? Buffer.from(text, "hex")
      : this.fail(`${key} is not ${length} bytes in hex`)
  }
}

/**
 * Decodes JSON from UTF-8 bytes.
 *
 * @throws `code` when it is not JSON
 */
export function parseJson(bytes: Uint8Array, what: string, code: ErrorCode): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new GitsignError(code, `${what}: not JSON`, { cause })
  }
}

/**
 * What a refusing service says about the reason, fit to be printed: one line of at most 200 characters, without control
 * characters and without anything that looks like a token. Empty when it says nothing readable.
 */
export function refusalText(response: HttpResponse): string {
  let value: unknown
  try {
    value = JSON.parse(response.body.toString("utf8"))
  } catch {
    return ""
  }
  if (typeof value !== "object" || value === null) return ""
  const { message, error_description: description, error } = value as Record<string, unknown>
  const text = [message, description, error].find((item) => typeof item === "string" && item !== "")
  return text === undefined ? "" : printable(String(text))
}

/** Untrusted text made fit for a message: see {@link refusalText}. */
export function printable(text: string): string {
  const line = text
    .slice(0, 2000)
    .replace(/eyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, "(token)")
    .replace(/[\p{C}\s]+/gu, " ")
    .trim()
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}

/**
 * The error for an answer with the wrong status: who answered what, and where it has moved to.
 *
 * The redirect is shown and not followed: an address that receives tokens is changed by its user only.
 */
export function refusal(response: HttpResponse, code: ErrorCode): GitsignError {
  const { status, peer } = response
  const location = response.headers.location
  if (status >= 300 && status < 400 && location !== undefined) {
    return new GitsignError(code, `${peer} answered ${status}: it has moved to ${printable(location)}`, {
      hint: "gitsign follows no redirects; configure the new address",
    })
  }
  const text = refusalText(response)
  return new GitsignError(code, `${peer} answered ${status}${text === "" ? "" : `: ${text}`}`)
}
