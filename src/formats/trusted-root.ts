/**
 * The trusted root of a Sigstore instance (sigstore/protobuf-specs sigstore_trustroot.proto, JSON encoding).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { decodeBase64 } from "./base64.ts"

/** A span of time; both ends belong to it. */
export interface ValidFor {
  readonly start: Date
  /** Undefined while it is in use. */
  readonly end: Date | undefined
}

/** Whether a moment lies in a span of time. */
export const isWithin = ({ start, end }: ValidFor, time: Date): boolean =>
  start.getTime() <= time.getTime() && time.getTime() <= (end?.getTime() ?? Number.POSITIVE_INFINITY)

/** A transparency log or certificate transparency log whose signatures are believed. */
export interface TrustedLog {
  readonly baseUrl: string
  /** The id that entries, SCTs and checkpoints name it by, 32 bytes. */
  readonly logId: Uint8Array
  /** SubjectPublicKeyInfo, DER; PKCS #1 when `keyDetails` begins with PKCS1. */
  readonly publicKey: Uint8Array
  readonly keyDetails: string
  readonly validFor: ValidFor
}

/** A certificate authority or timestamp authority whose certificates are believed. */
export interface TrustedAuthority {
  readonly uri: string
  /** DER, most specific first, the root last. */
  readonly certChain: readonly Uint8Array[]
  readonly validFor: ValidFor
}

/** Everything that a verification believes without proof. */
export interface TrustedRoot {
  readonly certificateAuthorities: readonly TrustedAuthority[]
  readonly transparencyLogs: readonly TrustedLog[]
  readonly ctLogs: readonly TrustedLog[]
  readonly timestampAuthorities: readonly TrustedAuthority[]
}

const MEDIA_TYPE = /^application\/vnd\.dev\.sigstore\.trustedroot(\+json;version=0\.[12]|\.v0\.[12]\+json)$/

const fail = (message: string): never => {
  throw new GitsignError("ERR_TRUSTED_ROOT", `trusted root: ${message}`)
}

type Json = Readonly<Record<string, unknown>>

/**
 * Reads a trusted_root.json.
 *
 * @throws ERR_TRUSTED_ROOT when it is not one; a missing or misspelt part never widens what is trusted
 */
export function parseTrustedRoot(text: string): TrustedRoot {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new GitsignError("ERR_TRUSTED_ROOT", "trusted root: not JSON", { cause })
  }
  const root = object(json, "trusted root")
  if (typeof root.mediaType !== "string" || !MEDIA_TYPE.test(root.mediaType)) fail("unknown mediaType")
  return {
    certificateAuthorities: list(root.certificateAuthorities, "certificateAuthorities").map(readAuthority),
    transparencyLogs: list(root.tlogs, "tlogs").map(readLog),
    ctLogs: list(root.ctlogs, "ctlogs").map(readLog),
    timestampAuthorities: list(root.timestampAuthorities, "timestampAuthorities").map(readAuthority),
  }
}

/** How many certificates one authority may have; real ones have two or three. */
const MAX_CHAIN = 16

function readLog(value: unknown): TrustedLog {
  const log = object(value, "log")
  const key = object(log.publicKey, "publicKey")
  // A checkpoint key id, where given, is what checkpoints and entries name the log by (Rekor v2).
  const id = object(log.checkpointKeyId ?? log.logId, "logId")
  const logId = bytes(id.keyId, "keyId")
  if (logId.length !== 32) fail("a log id is not 32 bytes")
  return {
    baseUrl: text(log.baseUrl, "baseUrl"),
    logId,
    publicKey: bytes(key.rawBytes, "rawBytes"),
    keyDetails: text(key.keyDetails, "keyDetails"),
    // A log key without a start would be believed for entries from before it existed.
    validFor: readValidFor(key.validFor, "publicKey.validFor"),
  }
}

function readAuthority(value: unknown): TrustedAuthority {
  const authority = object(value, "authority")
  const chain = object(authority.certChain, "certChain")
  const certChain = list(chain.certificates, "certificates").map((c) =>
    bytes(object(c, "certificate").rawBytes, "rawBytes"),
  )
  if (certChain.length === 0) fail("an authority has no certificates")
  // Every path through them is tried.
  if (certChain.length > MAX_CHAIN) fail(`an authority has more than ${MAX_CHAIN} certificates`)
  return {
    uri: typeof authority.uri === "string" ? authority.uri : "",
    certChain,
    validFor: readValidFor(authority.validFor, "validFor"),
  }
}

function readValidFor(value: unknown, what: string): ValidFor {
  const span = object(value, what)
  return {
    start: time(span.start, `${what}.start`),
    end: isAbsent(span.end) ? undefined : time(span.end, `${what}.end`),
  }
}

function object(value: unknown, what: string): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Json)
    : fail(`${what} is not an object`)
}

/** protobuf's JSON leaves a field without a value out, or writes null. */
const isAbsent = (value: unknown): boolean => value === undefined || value === null

/** A list; absent means empty. */
function list(value: unknown, what: string): readonly unknown[] {
  return isAbsent(value) ? [] : Array.isArray(value) ? value : fail(`${what} is not a list`)
}

const text = (value: unknown, what: string): string => (typeof value === "string" ? value : fail(`${what} is not text`))

const bytes = (value: unknown, what: string): Uint8Array =>
  decodeBase64(text(value, what)) ?? fail(`${what} is not base64`)

function time(value: unknown, what: string): Date {
  const date = new Date(text(value, what))
  return Number.isNaN(date.getTime()) ? fail(`${what} is not a time`) : date
}
