/**
 * What a person is shown before a signature: the payload as the agent itself reads it, and apart from that what the
 * requester says about it.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { isGitsignError } from "../src/errors.ts"
import { latin1 } from "../src/formats/der.ts"
import { parseSignedPayload, type SignedPayload } from "../src/formats/signed-payload.ts"
import { type ChangedFiles, changedFiles } from "./changed-files.ts"
import { displayLine, textOf } from "./display-line.ts"
import type { PayloadContext } from "./protocol.ts"

/** What a person is asked about. */
export interface SignatureRequest {
  readonly payload: Uint8Array
  /** What the requester says; only its objects can be checked. */
  readonly context: PayloadContext | undefined
  /** The identity that the signature will be by. */
  readonly signer: string
  /** Which socket the request came through. */
  readonly requester: "this machine" | "a forwarded socket"
}

/** A terminal of 80 columns shows a line of the text as one line. */
const COLUMNS = 76

/** More changed files than these are counted only. */
const SHOWN_FILES = 12

/**
 * Describes a payload for the person who decides about its signature: at most 29 lines, each of at most 76 columns,
 * less than 4 KiB in all. No word of others is in the first line. Text from the payload, from the requester and from
 * the certificate is escaped, so that it can neither forge a line nor hide one; backslashes in it are as they were.
 *
 * The caller MUST show it whole, as plain text, and MUST NOT take anything but an explicit yes for one.
 */
export function describePayload({ payload, context, signer, requester }: SignatureRequest): string {
  const parts = partsOf(payload)
  const lines = [
    `gitsign: sign this ${"type" in parts ? parts.type : "text"}?`,
    "",
    line("signed by", signer),
    ...("type" in parts ? describe(parts, payload, context) : describeForeign(parts.reason, payload)),
    "",
    `asked for by ${requester}, which says (not checked):`,
    line("  repository", said(context?.repository), "middle"),
    line("  branch", said(context?.branch)),
  ]
  return `${lines.join("\n")}\n`
}

/** Lines of headers; a merge of sixty signed tags has three thousand. Reading each takes a while. */
const MAX_HEADER_LINES = 5_000

function partsOf(payload: Uint8Array): SignedPayload | { readonly reason: string } {
  if (countHeaderLines(payload) > MAX_HEADER_LINES) return { reason: "it has more headers than any real one" }
  try {
    return parseSignedPayload(payload)
  } catch (error) {
    if (isGitsignError(error)) return { reason: error.message }
    throw error
  }
}

function countHeaderLines(payload: Uint8Array): number {
  let lines = 0
  for (let at = 0; at < payload.length && lines <= MAX_HEADER_LINES; at++) {
    if (payload[at] !== LF) continue
    lines++
    if (payload[at + 1] === LF) break
  }
  return lines
}

/** `label: value`, as one line whatever the value is. */
const line = (label: string, value: string, cut: "end" | "middle" = "end"): string =>
  `${label}: ${displayLine(value, COLUMNS - label.length - 2, cut)}`

const said = (value: string | undefined): string => value || "(nothing)"

function describe(parts: SignedPayload, payload: Uint8Array, context: PayloadContext | undefined): string[] {
  return parts.type === "tag"
    ? describeTag(parts)
    : [...describeCommit(parts), ...describeFiles(changedFiles(payload, context?.objects ?? []))]
}

function describeCommit(parts: SignedPayload): string[] {
  const author = personOf(value(parts, "author"))
  const committer = personOf(value(parts, "committer"))
  return [
    ...describeMessage(parts),
    line("author", author.name),
    line("date", author.date),
    ...(committer.name === author.name ? [] : [line("committer", committer.name)]),
    ...(committer.date === author.date ? [] : [line("committed", committer.date)]),
    describeParents(parts.parents),
    ...describeOthers(parts, ["tree", "parent", "author", "committer"]),
  ]
}

function describeTag(parts: SignedPayload): string[] {
  const tagger = personOf(value(parts, "tagger"))
  return [
    line("tag", value(parts, "tag")),
    line("of", `${value(parts, "type")} ${value(parts, "object")}`),
    ...describeMessage(parts),
    line("tagger", tagger.name),
    line("date", tagger.date),
    ...describeOthers(parts, ["object", "type", "tag", "tagger"]),
  ]
}

const LF = 0x0a

/** What git takes for a blank; a line of nothing else is an empty one. */
const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x09 || (byte >= 0x0b && byte <= 0x0d)

/** How much of a subject is looked at, in bytes; more than a line of the text can show of any. */
const MAX_SUBJECT = 16_384

/** The subject as git has it: the first paragraph on one line. */
function describeMessage({ message }: SignedPayload): string[] {
  let start = -1
  let end = -1
  let more = 0
  let lineStart = 0
  let hasText = false
  // Byte by byte: four megabytes of lines would be four million strings.
  for (let at = 0; at <= message.length; at++) {
    const byte = message[at] ?? LF
    if (byte !== LF) {
      hasText ||= !isBlank(byte)
      continue
    }
    if (!hasText && start >= 0 && end < 0) end = lineStart - 1
    if (hasText && start < 0) start = lineStart
    else if (hasText && end >= 0) more++
    lineStart = at + 1
    hasText = false
  }
  if (start < 0) return ["subject: (no message)"]
  const subject = textOf(upTo(MAX_SUBJECT, message.subarray(start, end < 0 ? message.length : end)))
  return [
    line("subject", subject.replaceAll("\n", " ")),
    ...(more === 0 ? [] : [`message: ${count(more, "more line")}`]),
  ]
}

/** The beginning of a text, without half a character at its end. */
function upTo(size: number, text: Uint8Array): Uint8Array {
  let end = size
  while (end > size - 4 && ((text[end] ?? 0) & 0xc0) === 0x80) end--
  return text.subarray(0, end)
}

const describeParents = ([first, ...others]: readonly string[]): string =>
  first === undefined
    ? "parents: none, a root commit"
    : others.length === 0
      ? line("parent", first)
      : line("parents", `${others.length + 1}, a merge into ${first}`)

/** Headers that say more than the usual ones, such as `encoding` and `mergetag`. */
function describeOthers({ headers }: SignedPayload, usual: readonly string[]): string[] {
  const others = new Set(headers.map(({ name }) => name).filter((name) => !usual.includes(name)))
  return others.size === 0 ? [] : [line("also has", [...others].slice(0, 100).join(", "))]
}

const LETTERS = { added: "A", deleted: "D", modified: "M" } as const

function describeFiles(changed: ChangedFiles): string[] {
  if (changed.status === "unknown") return [line("files: not known", changed.reason)]
  const { files, truncated } = changed
  if (files.length === 0) return ["files: none changed"]
  const kinds = (["added", "deleted", "modified"] as const)
    .map((kind) => ({ kind, count: files.filter((file) => file.kind === kind).length }))
    .filter((one) => one.count > 0)
    .map((one) => `${grouped(one.count)} ${one.kind}`)
  const more = files.length - SHOWN_FILES
  return [
    `files: ${truncated ? "more than " : ""}${count(files.length, "file")} changed: ${kinds.join(", ")}`,
    ...files
      .slice(0, SHOWN_FILES)
      .map(({ kind, path }) => `  ${LETTERS[kind]} ${displayLine(path, COLUMNS - 4, "middle")}`),
    ...(more > 0 ? [`  and ${truncated ? "more than " : ""}${grouped(more)} more`] : []),
  ]
}

function describeForeign(reason: string, payload: Uint8Array): string[] {
  const [first = ""] = textOf(payload.subarray(0, 1024)).split("\n", 1)
  const isPushCertificate = latin1(payload.subarray(0, 20)) === "certificate version "
  return [
    isPushCertificate ? "this is a push certificate, no commit and no tag" : line("not as git makes it", reason),
    `size: ${count(payload.length, "byte")}`,
    // 64 digits and the label fit.
    `SHA-256: ${createHash("sha256").update(payload).digest("hex")}`,
    line("begins with", first),
  ]
}

/** The first header of this name; "" when there is none. */
const value = ({ headers }: SignedPayload, name: string): string =>
  textOf(headers.find((header) => header.name === name)?.value ?? new Uint8Array())

/** A person and a time as `Name <email> SECONDS ZONE`; whatever is not so is shown as it is. */
function personOf(text: string): { name: string; date: string } {
  const [, name, seconds, sign, hours, minutes] = /^(.*>) (\d{1,12}) ([+-])(\d\d)([0-5]\d)$/s.exec(text) ?? []
  if (name === undefined) return { name: text === "" ? "(nobody)" : text, date: "(none that can be read)" }
  const east = (sign === "-" ? -60 : 60) * (Number(hours) * 60 + Number(minutes))
  const local = new Date((Number(seconds) + east) * 1000)
  // A year of more than four digits has another form.
  const date = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)/.exec(local.toISOString())
  return {
    name,
    date: date === null ? `${seconds} seconds after 1970` : `${date[1]} ${date[2]} ${sign}${hours}${minutes}`,
  }
}

const grouped = (number: number): string => number.toLocaleString("en-US")

const count = (number: number, noun: string): string => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`
