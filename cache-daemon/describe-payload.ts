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

function partsOf(payload: Uint8Array): SignedPayload | { readonly reason: string } {
  try {
    return parseSignedPayload(payload)
  } catch (error) {
    if (isGitsignError(error)) return { reason: error.message }
    throw error
  }
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

/** What git takes for an empty line. */
const BLANK = /^[ \t\r\v\f]*$/

/** The subject as git has it: the first paragraph on one line. */
function describeMessage({ message }: SignedPayload): string[] {
  const lines = textOf(message).split("\n")
  const start = lines.findIndex((one) => !BLANK.test(one))
  if (start < 0) return ["subject: (no message)"]
  const rest = lines.slice(start)
  const blank = rest.findIndex((one) => BLANK.test(one))
  const subject = rest.slice(0, blank < 0 ? rest.length : blank)
  const more = rest.slice(subject.length).filter((one) => !BLANK.test(one)).length
  return [line("subject", subject.join(" ")), ...(more === 0 ? [] : [`message: ${count(more, "more line")}`])]
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
