/**
 * The file of gpg.ssh.allowedSignersFile (ssh-keygen(1), ALLOWED SIGNERS), read as OpenSSH's sshsig.c reads it, and whom it accepts
 * for a key, as git asks ssh-keygen (gpg-interface.c, verify_ssh_signed_buffer).
 *
 * Texts in here hold one byte in each character (Latin-1): OpenSSH compares bytes.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError } from "../errors.ts"
import { decodeBase64 } from "./base64.ts"
import { parseSshPublicKey, type SshPublicKey } from "./ssh-key.ts"
import { matchSshPattern, matchSshPatternList } from "./ssh-pattern.ts"

/** One line that says something. */
export interface AllowedSigner {
  /** Line in the file, counted from 1. */
  readonly line: number
  /** A pattern list. */
  readonly principals: string
  readonly publicKey: SshPublicKey
  /** Whether the key is that of an authority, whose certificates are accepted, and not itself a signer. */
  readonly isAuthority: boolean
  /** A pattern list; undefined: for every namespace. */
  readonly namespaces: string | undefined
  /** Seconds since 1970, included. */
  readonly validAfter: number | undefined
  /** Seconds since 1970, included. */
  readonly validBefore: number | undefined
}

/** A line that ssh-keygen cannot read either: it says so, and goes on with the next. */
export interface UnreadableLine {
  readonly line: number
  /** Such as `unknown key option`. */
  readonly reason: string
}

/** A file of allowed signers. */
export interface AllowedSigners {
  /** SHA-256 of the text, hex: what tells one file from another. */
  readonly digest: string
  readonly signers: readonly AllowedSigner[]
  readonly unreadable: readonly UnreadableLine[]
}

/** Lines in a file, and bytes in a line. */
const MAX_LINES = 100_000
const MAX_LINE = 64 * 1024

/**
 * Reads a file of allowed signers. A line that cannot be read accepts nobody, and is told in `unreadable`.
 *
 * Times without a `Z` are in the time zone of this machine, as for ssh-keygen.
 *
 * @throws ERR_POLICY_LIMIT when it is larger than any real one
 */
export function parseAllowedSigners(text: string): AllowedSigners {
  const lines = Buffer.from(text, "utf8").toString("latin1").split("\n")
  if (lines.length > MAX_LINES) throw new GitsignError("ERR_POLICY_LIMIT", "the allowed signers have too many lines")
  const signers: AllowedSigner[] = []
  const unreadable: UnreadableLine[] = []
  for (const [index, whole] of lines.entries()) {
    const line = index + 1
    const read = whole.length > MAX_LINE ? "the line is too long" : parseLine(whole)
    if (typeof read === "string") unreadable.push({ line, reason: read })
    else if (read !== undefined) signers.push({ line, ...read })
  }
  return { digest: createHash("sha256").update(text).digest("hex"), signers, unreadable }
}

const BLANKS = /^[ \t\r\n]*/

/** What a line says, undefined when it says nothing, or why it cannot be read. */
function parseLine(whole: string): Omit<AllowedSigner, "line"> | string | undefined {
  // C ends a line at a NUL
  const line = (whole.split("\0", 1)[0] ?? "").replace(/^[ \t]*/, "")
  if (line === "" || line === "\r" || line.startsWith("#")) return undefined
  const [principals, rest] = firstWord(line)
  if (principals === undefined) return "invalid line"
  const plain = readKey(rest)
  if (plain !== undefined) return { principals, publicKey: plain, ...NO_OPTIONS }
  const end = endOfOptions(rest)
  if (end === undefined) return "invalid options"
  const publicKey = readKey(rest.slice(end).replace(/^[ \t]*/, ""))
  if (publicKey === undefined) return end >= rest.length ? "missing key" : "invalid key"
  const options = parseOptions(rest.slice(0, end))
  return typeof options === "string" ? options : { principals, publicKey, ...options }
}

type Options = Pick<AllowedSigner, "isAuthority" | "namespaces" | "validAfter" | "validBefore">

const NO_OPTIONS: Options = {
  isAuthority: false,
  namespaces: undefined,
  validAfter: undefined,
  validBefore: undefined,
}

/** The first word and what follows the blanks behind it (misc.c, strdelimw): a quote may begin anywhere in it and ends it. */
function firstWord(line: string): [string | undefined, string] {
  const stop = line.search(/[ \t\r\n"]/)
  if (stop < 0) return [undefined, ""]
  if (line[stop] !== '"') return [line.slice(0, stop), line.slice(stop + 1).replace(BLANKS, "")]
  const quote = line.indexOf('"', stop + 1)
  if (quote < 0) return [undefined, ""]
  return [line.slice(0, stop) + line.slice(stop + 1, quote), line.slice(quote + 1).replace(BLANKS, "")]
}

/** The key at the beginning of a text, if there is one (sshkey.c, sshkey_read). What follows it is a comment. */
function readKey(text: string): SshPublicKey | undefined {
  const [, type, base64 = ""] = /^([^ \t]+)[ \t]+([^ \t]+)/.exec(text) ?? []
  const blob = decodeBase64(base64.replace(/[\t\n\v\f\r ]/g, ""))
  if (type === undefined || blob === undefined) return undefined
  try {
    const key = parseSshPublicKey(blob)
    return key.type === type ? key : undefined
  } catch {
    return undefined
  }
}

/** Where the options end (auth-options.c, sshkey_advance_past_options). */
function endOfOptions(text: string): number | undefined {
  let isQuoted = false
  let at = 0
  for (; at < text.length && (isQuoted || (text[at] !== " " && text[at] !== "\t")); at++) {
    if (text[at] === "\\" && text[at + 1] === '"') at++
    else if (text[at] === '"') isQuoted = !isQuoted
  }
  return isQuoted ? undefined : at
}

/** What options say, or why they cannot be read (sshsig.c, sshsigopt_parse). */
function parseOptions(text: string): Options | string {
  let isAuthority = false
  const values = new Map<string, string>()
  let rest = text
  while (rest !== "") {
    const [flag] = /^cert-authority/i.exec(rest) ?? []
    const [start, name = ""] = /^(namespaces|valid-after|valid-before)=/i.exec(rest) ?? []
    if (flag !== undefined) {
      isAuthority = true
      rest = rest.slice(flag.length)
    } else if (start !== undefined) {
      const [quoted, value = ""] = /^"((?:\\"|(?!\\")[^"])*)"/.exec(rest.slice(start.length)) ?? []
      const key = name.toLowerCase()
      if (quoted === undefined) return `${key} has no value in quotes`
      if (values.has(key)) return `several ${key} clauses`
      values.set(key, value.replaceAll('\\"', '"'))
      rest = rest.slice(start.length + quoted.length)
    }
    if (rest === "") break
    if (!rest.startsWith(",")) return "unknown key option"
    rest = rest.slice(1)
    if (rest === "") return "unexpected end of options"
  }
  const [validAfter, validBefore] = [timeOf(values.get("valid-after")), timeOf(values.get("valid-before"))]
  if (validAfter === null) return "invalid valid-after time"
  if (validBefore === null) return "invalid valid-before time"
  if (validAfter !== undefined && validBefore !== undefined && validBefore <= validAfter) {
    return "valid-before is not later than valid-after"
  }
  return { isAuthority, namespaces: values.get("namespaces"), validAfter, validBefore }
}

/** Seconds since 1970 for YYYYMMDD[HHMM[SS]][Z] (misc.c, parse_absolute_time); null when it is no such time. */
function timeOf(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined
  const found = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z|UTC)?$/i.exec(text)
  if (found === null) return null
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found
    .slice(1, 7)
    .map((part) => Number(part ?? 0))
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return null
  const time =
    found[7] === undefined
      ? new Date(year, month - 1, day, hour, minute, second).getTime()
      : Date.UTC(year, month - 1, day, hour, minute, second)
  // OpenSSH keeps 0 for "not said"
  return time > 0 && year >= 1900 ? Math.floor(time / 1000) : null
}

/** Why a file does not accept a key. */
export interface AllowedSignersRefusal {
  /**
   * `unknown`: no line is for the key. `time`: one is, but not at that time. `namespace`: one is, but for signatures of other things.
   * `certificate`: one is for its authority, and the certificate does not count.
   */
  readonly refusal: "unknown" | "time" | "namespace" | "certificate"
  /** In words, for `certificate`. */
  readonly reason: string | undefined
}

/** One line that accepts a key. */
export interface AcceptingLine {
  /** Line in the file, counted from 1. */
  readonly line: number
  /** Those of the answer's principals whom this line accepts; at least one. */
  readonly principals: readonly string[]
}

/** What a file says of a key: whom it may sign for (patterns of the lines, or names in the certificate; at least one), or why not. */
export type AllowedSignersAnswer =
  | { readonly principals: readonly string[]; readonly lines: readonly AcceptingLine[] }
  | AllowedSignersRefusal

/**
 * Whom the file accepts for a key at a time, as git finds it out: the first line for the key names the principals, and some line for the
 * key and the namespace has to name one of them. The caller MUST have verified the signature.
 *
 * @param seconds since 1970, of the commit's committer or the tag's tagger; undefined when it has none
 * @param certificateRefusal why a certificate does not count, apart from its principals; undefined when it does
 */
export function principalsOf(
  { signers }: AllowedSigners,
  key: SshPublicKey,
  namespace: string,
  seconds: number | undefined,
  certificateRefusal: string | undefined,
): AllowedSignersAnswer {
  const matching = signers.filter((signer) => isFor(signer, key))
  if (matching.length === 0) return refused("unknown")
  const usable = matching.filter(({ isAuthority }) => !isAuthority || certificateRefusal === undefined)
  if (usable.length === 0) return refused("certificate", certificateRefusal)
  const inTime = usable.filter((signer) => isInTime(signer, seconds))
  if (inTime.length === 0) return refused("time")
  // Git asks once for the principals of the first line, and ssh-keygen passes over an authority of which it names none
  const first = inTime.find((signer) => !signer.isAuthority || namesOf(signer, key).length > 0)
  if (first === undefined) return refused("certificate", "it names none of the principals that its authority may")
  const forNamespace = inTime.filter(
    ({ namespaces }) => namespaces === undefined || matchSshPatternList(namespace, namespaces),
  )
  if (forNamespace.length === 0) return refused("namespace")
  const named = [...new Set(namesOf(first, key))].filter((name) => !name.startsWith("!"))
  const lines = forNamespace.flatMap((signer) => {
    const accepted = named.filter((name) => accepts(signer, key, name))
    return accepted.length === 0 ? [] : [{ line: signer.line, principals: accepted }]
  })
  const principals = named.filter((name) => lines.some((line) => line.principals.includes(name)))
  return principals.length === 0 ? refused("unknown") : { principals, lines }
}

const refused = (refusal: AllowedSignersRefusal["refusal"], reason?: string): AllowedSignersAnswer => ({
  refusal,
  reason,
})

/** Whether a line for the key takes it for a principal, as `ssh-keygen -Y verify -I` does. */
const accepts = ({ isAuthority, principals }: AllowedSigner, key: SshPublicKey, name: string): boolean =>
  matchSshPatternList(name, principals) && (!isAuthority || key.certificate?.principals.includes(name) === true)

/** Whether a line is for a key: the very same, or the authority of a certificate. */
function isFor({ isAuthority, publicKey }: AllowedSigner, key: SshPublicKey): boolean {
  if (!isAuthority) return publicKey.blob.equals(key.blob)
  return key.certificate?.authority.plainBlob.equals(publicKey.plainBlob) === true
}

function isInTime({ validAfter, validBefore }: AllowedSigner, seconds: number | undefined): boolean {
  if (validAfter === undefined && validBefore === undefined) return true
  return seconds !== undefined && seconds >= (validAfter ?? seconds) && seconds <= (validBefore ?? seconds)
}

/** The principals that `ssh-keygen -Y find-principals` prints for a line. */
function namesOf({ isAuthority, principals }: AllowedSigner, key: SshPublicKey): readonly string[] {
  const patterns = untilEmpty(principals.split(","))
  if (!isAuthority) return patterns
  const names = key.certificate?.principals ?? []
  // A name with a comma would come out as two
  return patterns.flatMap((pattern) => names.filter((name) => !name.includes(",") && matchSshPattern(name, pattern)))
}

/** C's loop over strsep stops at the first empty part. */
const untilEmpty = (parts: readonly string[]): readonly string[] => {
  const empty = parts.indexOf("")
  return empty < 0 ? parts : parts.slice(0, empty)
}
