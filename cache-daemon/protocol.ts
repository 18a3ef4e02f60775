/**
 * The messages between a client and the agent, and their bytes: PROTOCOL.md in this folder.
 *
 * A message is a MessagePack map with a `type`, behind its length as an unsigned 32-bit number, big-endian. What is read here comes
 * from the other side of a socket: every field has a type and a limit, and a map with any other field is refused.
 *
 * @module
 */

import { Packr } from "msgpackr/index-no-eval"
import { GitsignError } from "../src/errors.ts"
import {
  bytes,
  type Check,
  flag,
  list,
  matching,
  oneOf,
  optional,
  record,
  type Shape,
  text,
  type Value,
  whole,
} from "./message-fields.ts"
import { checkMessagePack } from "./message-scan.ts"

/** The version of the protocol; two sides with different ones have nothing more to say to each other. */
export const PROTOCOL_VERSION = 1

/** Sizes are in bytes, times in milliseconds. */
export const LIMITS = {
  /** A message without its length. Larger payloads are signed without the agent. */
  message: 8 * 1024 * 1024,
  /** What git hands over to be signed. */
  payload: 4 * 1024 * 1024,
  /** An identity token. */
  token: 64 * 1024,
  /** An address, a name, a path. */
  name: 4096,
  /** One of the files that say what to trust. */
  trustFile: 512 * 1024,
  /** A pass phrase. */
  passphrase: 1024,
  /** Git objects that go with a payload, so that a person can be shown which files it changes. */
  objects: 2 * 1024 * 1024,
} as const

const name = text(LIMITS.name)

/** SHA-1 of a certificate. Git reads it from a status line of ours, where nothing else must stand. */
const fingerprint = matching(/^[0-9a-f]{40}$/, "40 hex digits")

/** What a credential depends on. Two signatures with the same key share a login; "" stands for "not set". */
const credentialKey = record({
  fulcio: name,
  rekor: name,
  timestampServer: name,
  issuer: name,
  clientID: name,
  connectorID: name,
  /** The way in which the token was or will be got: `interactive`, `envvar`, `filesystem`, `github-actions`. */
  tokenProvider: name,
  /** Whom an ambient token names, so that another token means another credential; else "". */
  tokenIdentity: name,
  /** `user.email` and `user.name` when gitsign.matchCommitter is set: the certificate must name one of them. */
  committerEmail: name,
  committerName: name,
  matchCommitter: flag,
  /** The repository when gitsign.credentialCacheScope is `repository`. */
  repository: name,
})

/** The files that the client's settings name instead of the shipped trusted root: their content, never their path. */
const trust = record({
  trustedRoot: optional(text(LIMITS.trustFile)),
  fulcioRoot: optional(text(LIMITS.trustFile)),
  rekorPublicKey: optional(text(LIMITS.trustFile)),
  ctLogPublicKey: optional(text(LIMITS.trustFile)),
  timestampCertChain: optional(text(LIMITS.trustFile)),
})

/** What the client's settings allow; the agent's own may allow less. 0 is "no limit". */
const limits = record({
  /** gitsign.agentMaxSignatures. */
  signatures: whole(1_000_000),
  /** gitsign.agentLifetime, in seconds. */
  lifetime: whole(1_000_000),
})

/** What the client says about a payload; only `objects` can be checked against it. */
const context = record({
  repository: name,
  branch: name,
  /** Raw git objects, `TYPE SP SIZE NUL CONTENT`, from which the changed files follow. */
  objects: list(bytes(LIMITS.objects), 4096),
})

const REQUEST_SHAPES = {
  hello: { protocol: whole(65_535), program: name },
  /** Signs. Answers: any of `waiting`, `token_needed`, `consent_needed`, `logging`, then `signed` or `error`. */
  sign: {
    key: credentialKey,
    trust,
    limits,
    payload: bytes(LIMITS.payload),
    detached: flag,
    mode: oneOf("offline", "online"),
    /** Whether the client's settings ask for consent; the agent's own may ask for it too. */
    confirm: flag,
    context: optional(context),
  },
  /** Makes a credential ready. Answers: any of `waiting`, `token_needed`, then `ready` or `error`. */
  warm: { key: credentialKey, trust, limits },
  /** The answer to `token_needed`. */
  token: { identityToken: text(LIMITS.token) },
  /** The other answer to it. `elsewhere` lets the next waiting client try; `failed` tells them all why. */
  no_token: { outcome: oneOf("elsewhere", "failed"), code: name, message: name },
  /** The answer to `consent_needed`. */
  consent: { granted: flag },
  status: {},
  list: {},
  lock: { passphrase: text(LIMITS.passphrase) },
  unlock: { passphrase: text(LIMITS.passphrase) },
  /** Forgets all credentials. */
  clear: {},
  /** Forgets all credentials and ends the agent; the answer comes when the socket is gone. */
  stop: {},
} as const satisfies Record<string, Shape>

/** A credential as people may see it. Times are in seconds since 1970. */
const credentialInfo = record({
  identity: name,
  issuer: name,
  fingerprint: name,
  fulcio: name,
  rekor: name,
  repository: name,
  /** The way in which its token was got, as in the key. */
  tokenProvider: name,
  /** Whom the certificate had to name, where the key says so; else "". */
  committer: name,
  notAfter: whole(Number.MAX_SAFE_INTEGER),
  /** When the agent forgets it: the certificate's end, or an earlier one that was asked for. */
  expires: whole(Number.MAX_SAFE_INTEGER),
  signatures: whole(Number.MAX_SAFE_INTEGER),
  /** Signatures that are in the log and that nobody took: their client was gone. */
  unclaimed: whole(Number.MAX_SAFE_INTEGER),
  /** How many more it may make; 0 is "no limit". */
  remaining: whole(Number.MAX_SAFE_INTEGER),
})

const REPLY_SHAPES = {
  hello: { protocol: whole(65_535), program: name, restricted: flag },
  /** Somebody else is being waited for: the login that another client has begun, or the person at the agent. */
  waiting: { for: oneOf("login", "consent") },
  /** This client is the one that logs in. */
  token_needed: {},
  /** The person at the client is asked; the text is what the agent read from the payload. */
  consent_needed: { text: text(64 * 1024) },
  /** From here on the log may hold an entry for this signature. */
  logging: {},
  signed: {
    /** The CMS, DER. */
    signature: bytes(LIMITS.message),
    logIndex: whole(Number.MAX_SAFE_INTEGER),
    /** In seconds since 1970. */
    signingTime: whole(Number.MAX_SAFE_INTEGER),
    fingerprint,
    /** The certificate, DER, and the object identifier of the algorithm that it is signed with. */
    certificate: bytes(64 * 1024),
    signatureAlgorithm: matching(/^\d+(\.\d+){1,30}$/, "an object identifier"),
  },
  ready: { credential: credentialInfo },
  status: {
    state: oneOf("warm", "cold", "locked"),
    credentials: whole(65_535),
    program: name,
    pid: whole(Number.MAX_SAFE_INTEGER),
    /** In seconds since 1970. */
    started: whole(Number.MAX_SAFE_INTEGER),
    restricted: flag,
  },
  list: { credentials: list(credentialInfo, 65_535) },
  done: {},
  error: { code: name, message: name, hint: optional(name) },
} as const satisfies Record<string, Shape>

/** A map of named checks, as the union of what each lets through. */
type MessageOf<S extends Record<string, Shape>> = {
  [T in keyof S]: { readonly type: T } & { readonly [F in keyof S[T]]: S[T][F] extends Check<infer V> ? V : never }
}[keyof S]

/** A message from a client. */
export type Request = MessageOf<typeof REQUEST_SHAPES>
/** A message from the agent. */
export type Reply = MessageOf<typeof REPLY_SHAPES>
/** One request by its type. */
export type RequestOf<T extends Request["type"]> = Extract<Request, { type: T }>
/** One reply by its type. */
export type ReplyOf<T extends Reply["type"]> = Extract<Reply, { type: T }>
/** What a credential depends on. */
export type CredentialKey = Value<typeof credentialKey>
/** The content of the files that say what to trust. */
export type TrustFiles = Value<typeof trust>
/** How long and how often a credential may be used. */
export type CredentialLimits = Value<typeof limits>
/** What a client says about a payload. */
export type PayloadContext = Value<typeof context>
/** A credential as people may see it. */
export type CredentialInfo = Value<typeof credentialInfo>

const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  moreTypes: false,
  int64AsType: "number",
  // The library's own form of it is an extension type.
  encodeUndefinedAsNil: true,
})

/** The bytes of a message with its length in front. */
export function encodeMessage(message: Request | Reply): Uint8Array {
  const body = packr.pack(message)
  const frame = Buffer.allocUnsafe(4 + body.length)
  frame.writeUInt32BE(body.length)
  frame.set(body, 4)
  return frame
}

/**
 * Reads the body of a message from a client.
 *
 * @throws ERR_AGENT when it is not a request
 */
export const decodeRequest = (body: Uint8Array): Request => decode(body, REQUEST_SHAPES) as Request

/**
 * Reads the body of a message from the agent.
 *
 * @throws ERR_AGENT when it is not a reply
 */
export const decodeReply = (body: Uint8Array): Reply => decode(body, REPLY_SHAPES) as Reply

function decode(body: Uint8Array, shapes: Readonly<Record<string, Shape>>): unknown {
  checkMessagePack(body)
  let message: unknown
  try {
    message = packr.unpack(body)
  } catch {
    // No cause: the message of the reader may quote what it read.
    throw new GitsignError("ERR_AGENT", "the message is not MessagePack")
  }
  const type = typeof message === "object" && message !== null && "type" in message ? message.type : undefined
  const shape = typeof type === "string" && Object.hasOwn(shapes, type) ? shapes[type] : undefined
  if (shape === undefined) throw new GitsignError("ERR_AGENT", "the message has no known type")
  return record({ type: text(64), ...shape })(message, String(type))
}

/**
 * Cuts a stream into message bodies. Give it every chunk as it comes; it returns the bodies that are complete.
 *
 * @throws ERR_AGENT for a length of 0 or above {@link LIMITS}.message, as soon as the length is there
 */
export class MessageReader {
  /** The beginning of a message, in one piece: a peer that sends single bytes must not cost an object for each. */
  #buffer: Uint8Array = new Uint8Array(0)
  #size = 0

  /** How many bytes are waiting for the rest of their message. */
  get pending(): number {
    return this.#size
  }

  push(chunk: Uint8Array): Uint8Array[] {
    let rest = chunk
    if (this.#size > 0) {
      this.#append(chunk)
      rest = this.#buffer.subarray(0, this.#size)
    }
    const bodies: Uint8Array[] = []
    for (let end = endOfMessage(rest); end <= rest.length; end = endOfMessage(rest)) {
      bodies.push(rest.subarray(4, end))
      rest = rest.subarray(end)
    }
    if (bodies.length === 0 && this.#size > 0) return bodies
    // A copy: what is returned are views of the old one. (A Buffer's own `slice` would be a view too.)
    this.#buffer = new Uint8Array(rest)
    this.#size = rest.length
    return bodies
  }

  #append(chunk: Uint8Array): void {
    const size = this.#size + chunk.length
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#buffer.length))
      larger.set(this.#buffer.subarray(0, this.#size))
      this.#buffer = larger
    }
    this.#buffer.set(chunk, this.#size)
    this.#size = size
  }
}

/** Where the message at the beginning of `bytes` ends; beyond all of them while its length is not there. */
function endOfMessage(bytes: Uint8Array): number {
  if (bytes.length < 4) return Number.POSITIVE_INFINITY
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  if (length > 0 && length <= LIMITS.message) return 4 + length
  throw new GitsignError("ERR_AGENT", `a message of ${length} bytes is not allowed`)
}
