/**
 * Messages and their bytes: what goes in comes out, and nothing else does.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { Packr } from "msgpackr"
import { describe, expect, test } from "vitest"
import {
  decodeReply,
  decodeRequest,
  encodeMessage,
  LIMITS,
  MessageReader,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
} from "../../cache-daemon/protocol.ts"
import { GitsignError } from "../../src/errors.ts"
import { KEY } from "./credential-key.ts"

const key = KEY
const noTrust = {
  trustedRoot: undefined,
  fulcioRoot: undefined,
  rekorPublicKey: undefined,
  ctLogPublicKey: undefined,
  timestampCertChain: undefined,
}
const credential = {
  identity: "dev@example.com",
  issuer: "https://issuer.example.com",
  fingerprint: "ab".repeat(20),
  fulcio: key.fulcio,
  rekor: key.rekor,
  repository: "",
  tokenProvider: "interactive",
  committer: "",
  notAfter: 1_800_000_000,
  expires: 1_800_000_000,
  signatures: 3,
  unclaimed: 0,
  remaining: 0,
}

/** As a reader returns them, whatever kind of view. */
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text))

/** A message with its bytes as plain arrays. */
const plain = <T>(value: T): T =>
  value instanceof Uint8Array
    ? (Uint8Array.from(value) as T)
    : Array.isArray(value)
      ? (value.map(plain) as T)
      : typeof value === "object" && value !== null
        ? (Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)])) as T)
        : value

const REQUESTS: readonly Request[] = [
  { type: "hello", protocol: PROTOCOL_VERSION, program: "gitsign 1.0.0" },
  {
    type: "sign",
    key,
    trust: { ...noTrust, trustedRoot: "{}" },
    limits: { signatures: 1, lifetime: 300 },
    payload: bytes("tree"),
    detached: true,
    mode: "offline",
    confirm: true,
    context: { repository: "/r", branch: "main", objects: [bytes("tree 0\0"), bytes("")] },
  },
  { type: "warm", key, trust: noTrust, limits: { signatures: 0, lifetime: 0 } },
  { type: "token", identityToken: "a.b.c" },
  { type: "no_token", outcome: "elsewhere", code: "ERR_NO_TOKEN", message: "none" },
  { type: "consent", granted: false },
  { type: "status" },
  { type: "list" },
  { type: "lock", passphrase: "pass ✓ phrase" },
  { type: "unlock", passphrase: "pass phrase" },
  { type: "clear" },
  { type: "stop" },
]

const REPLIES: readonly Reply[] = [
  { type: "hello", protocol: PROTOCOL_VERSION, program: "gitsign 1.0.0", restricted: true },
  { type: "waiting", for: "login" },
  { type: "token_needed" },
  { type: "consent_needed", text: "sign?" },
  { type: "logging" },
  {
    type: "signed",
    signature: new Uint8Array(2000),
    logIndex: 2 ** 40,
    signingTime: 1_700_000_000,
    fingerprint: "ab".repeat(20),
    certificate: new Uint8Array(800),
    signatureAlgorithm: "1.2.840.10045.4.3.3",
  },
  { type: "ready", credential },
  {
    type: "status",
    state: "warm",
    credentials: 1,
    program: "gitsign",
    pid: 1,
    started: 1_700_000_000,
    restricted: false,
  },
  { type: "list", credentials: Array.from({ length: 64 }, () => credential) },
  { type: "done" },
  { type: "error", code: "ERR_AGENT", message: "no", hint: undefined },
]

/** The one body in the bytes of a message. */
function bodyOf(message: Request | Reply): Uint8Array {
  const [body, ...more] = new MessageReader().push(encodeMessage(message))
  if (body === undefined || more.length > 0) throw new Error("not one message")
  return body
}

/** What reading gives: a message, or the code of the error; anything else that is thrown fails the test. */
function outcome(read: () => unknown): unknown {
  try {
    return read()
  } catch (error) {
    if (error instanceof GitsignError) return error.code
    throw error
  }
}

describe("a message", () => {
  test.each(REQUESTS)("$type comes out as it went in", (request) => {
    expect(plain(decodeRequest(bodyOf(request)))).toEqual(request)
  })

  test.each(REPLIES)("$type comes out as it went in, from the agent", (reply) => {
    expect(plain(decodeReply(bodyOf(reply)))).toEqual(reply)
  })

  test("of the client is none of the agent, and the other way round", () => {
    expect(outcome(() => decodeReply(bodyOf({ type: "clear" })))).toBe("ERR_AGENT")
    expect(outcome(() => decodeRequest(bodyOf({ type: "done" })))).toBe("ERR_AGENT")
  })

  const packr = new Packr({ useRecords: false, moreTypes: false, variableMapSize: true })
  const refused = (value: unknown): void => expect(outcome(() => decodeRequest(packr.pack(value)))).toBe("ERR_AGENT")

  test.each<[string, unknown]>([
    ["without a type", { protocol: 1, program: "x" }],
    ["of an unknown type", { type: "export_key" }],
    ["of a type that every object has", { type: "constructor" }],
    ["whose type is no text", { type: 7 }],
    ["that is no map", ["status"]],
    ["that is nothing", null],
    ["with a field too many", { type: "status", verbose: true }],
    ["with a field too few", { type: "hello", protocol: 1 }],
    ["with a field of another kind", { type: "token", identityToken: 7 }],
    ["with text for bytes", { ...REQUESTS[1], payload: "tree" }],
    ["with another mode", { ...REQUESTS[1], mode: "quiet" }],
    ["with a field too many in its key", { type: "warm", key: { ...key, host: "x" }, trust: {}, limits: {} }],
    ["with a negative number", { type: "hello", protocol: -1, program: "x" }],
    ["with a fraction", { type: "hello", protocol: 1.5, program: "x" }],
    ["with too long a name", { type: "hello", protocol: 1, program: "x".repeat(LIMITS.name + 1) }],
    ["with too long a token", { type: "token", identityToken: "x".repeat(LIMITS.token + 1) }],
    ["with too long a pass phrase", { type: "lock", passphrase: "x".repeat(LIMITS.passphrase + 1) }],
    ["with too large a payload", { ...REQUESTS[1], payload: new Uint8Array(LIMITS.payload + 1) }],
    ["with too large a file", { ...REQUESTS[1], trust: { trustedRoot: "x".repeat(LIMITS.trustFile + 1) } }],
    ["with too many objects", contextWith(Array.from({ length: 4097 }, () => new Uint8Array()))],
    ["with a date, which is an extension type", { type: "hello", protocol: 1, program: new Date(0) }],
  ])("%s is refused", (_, value) => refused(value))

  test("that names the prototype is refused", () => {
    const type = [0xa4, ...Buffer.from("type"), 0xa6, ...Buffer.from("status")]
    const prototype = [0xa9, ...Buffer.from("__proto__"), 0x80]
    expect(outcome(() => decodeRequest(Buffer.from([0x82, ...type, ...prototype])))).toBe("ERR_AGENT")
  })

  test("with something behind it is refused, and the error quotes nothing", () => {
    const body = Buffer.concat([bodyOf({ type: "lock", passphrase: "correct horse" }), Buffer.from([0xc0])])
    expect(() => decodeRequest(body)).toThrow(expect.objectContaining({ message: expect.not.stringMatching(/horse/) }))
  })

  function contextWith(objects: readonly Uint8Array[]): unknown {
    return { ...REQUESTS[1], context: { repository: "", branch: "", objects } }
  }
})

describe("hostile bytes", () => {
  const decodesOrRefuses = (bytes: Uint8Array): void => {
    for (const decode of [decodeRequest, decodeReply]) {
      const result = outcome(() => decode(bytes))
      if (typeof result === "string") expect(result).toBe("ERR_AGENT")
    }
  }

  test("of any kind give a message or ERR_AGENT", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), decodesOrRefuses), { numRuns: 5000 })
  })

  test("one flip away from a message give a message or ERR_AGENT", () => {
    for (const message of [...REQUESTS, ...REPLIES]) {
      const body = bodyOf(message)
      for (let bit = 0; bit < Math.min(body.length, 400) * 8; bit++) {
        const changed = Uint8Array.from(body)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        decodesOrRefuses(changed)
      }
    }
  })

  test("a message that is cut anywhere is refused", () => {
    for (const message of [...REQUESTS, ...REPLIES]) {
      const body = bodyOf(message)
      for (let length = 0; length < Math.min(body.length, 1000); length++) {
        const cut = body.subarray(0, length)
        expect(outcome(() => decodeRequest(cut))).toBe("ERR_AGENT")
        expect(outcome(() => decodeReply(cut))).toBe("ERR_AGENT")
      }
    }
  })

  const filled = (head: readonly number[], pattern: readonly number[]): Uint8Array => {
    const body = Buffer.alloc(LIMITS.message, Buffer.from(pattern))
    body.set(head)
    return body
  }

  /** Heads with lengths that are not there, and eight mebibytes of the smallest values and the deepest lists. */
  test.each<[string, Uint8Array]>([
    ["a list of 4 billion", Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])],
    ["a map of 4 billion", Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff])],
    ["a text of 4 GB", Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff])],
    ["bytes of 4 GB", Buffer.from([0xc6, 0xff, 0xff, 0xff, 0xff])],
    ["an extension of 4 GB", Buffer.from([0xc9, 0xff, 0xff, 0xff, 0xff, 0x72])],
    ["a list of 65,535 lists of 65,535", filled([0xdc, 0xff, 0xff], [0xdc, 0xff, 0xff])],
    ["lists in lists", filled([], [0x91])],
    ["maps in maps", filled([], [0x81, 0xa1, 0x61])],
    ["empty lists", filled([0xdd, 0x00, 0x7f, 0xff, 0xfb], [0x90])],
    ["empty maps", filled([0xdd, 0x00, 0x7f, 0xff, 0xfb], [0x80])],
    ["small numbers", filled([0xdd, 0x00, 0x7f, 0xff, 0xfb], [0x01])],
    ["many fields", filled([0xdf, 0x00, 0x3f, 0xff, 0xfd], [0xa0, 0x01])],
    ["a record of the library", Buffer.from([0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01])],
    ["bundled strings of the library", filled([0xc7, 0x04, 0x62, 0xff, 0xff, 0xff, 0xff], [0xc1])],
  ])("%s cost neither time nor memory", (_, body) => {
    const before = process.memoryUsage()
    const start = performance.now()
    expect(outcome(() => decodeRequest(body))).toBe("ERR_AGENT")
    expect(outcome(() => decodeReply(body))).toBe("ERR_AGENT")
    expect(performance.now() - start).toBeLessThan(2000)
    const after = process.memoryUsage()
    const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
    expect(grown).toBeLessThan(16 * 1024 * 1024)
  })
})

describe("a stream", () => {
  const stream = Buffer.concat(REQUESTS.map(encodeMessage))

  test("is cut into its messages wherever it is torn apart", () => {
    const places = fc.array(fc.nat(stream.length), { maxLength: 20 })
    const cuts = (at: readonly number[]): void => {
      const reader = new MessageReader()
      const bodies: Uint8Array[] = []
      const ends = [...at].sort((a, b) => a - b)
      let from = 0
      for (const end of [...ends, stream.length]) {
        bodies.push(...reader.push(Buffer.from(stream.subarray(from, end))))
        from = end
      }
      expect(plain(bodies.map((body) => decodeRequest(body)))).toEqual(REQUESTS)
      expect(reader.pending).toBe(0)
    }
    fc.assert(fc.property(places, cuts), { numRuns: 200 })
  })

  test("in single bytes costs no more than its size", () => {
    const size = 512 * 1024
    const message = encodeMessage({ ...(REQUESTS[1] as Request & { type: "sign" }), payload: new Uint8Array(size) })
    const reader = new MessageReader()
    const before = process.memoryUsage()
    const bodies: Uint8Array[] = []
    for (const byte of message.subarray(0, message.length - 1)) bodies.push(...reader.push(Uint8Array.of(byte)))
    expect(reader.pending).toBe(message.length - 1)
    globalThis.gc?.()
    expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(64 * 1024 * 1024)
    bodies.push(...reader.push(message.subarray(-1)))
    expect(bodies.map((body) => decodeRequest(body).type)).toEqual(["sign"])
    expect(reader.pending).toBe(0)
  })

  test("with a body that was returned is not changed by what comes later", () => {
    const reader = new MessageReader()
    const two = Buffer.concat([encodeMessage({ type: "status" }), encodeMessage({ type: "list" }).subarray(0, 6)])
    const [first] = reader.push(two)
    const kept = Buffer.from(first ?? []).toString("hex")
    reader.push(encodeMessage({ type: "list" }).subarray(6))
    expect(Buffer.from(first ?? []).toString("hex")).toBe(kept)
  })

  test.each([0, LIMITS.message + 1, 0xffffffff])(
    "with a length of %d is refused as soon as that is there",
    (length) => {
      const head = Buffer.alloc(4)
      head.writeUInt32BE(length)
      const reader = new MessageReader()
      reader.push(head.subarray(0, 3))
      expect(outcome(() => reader.push(head.subarray(3)))).toBe("ERR_AGENT")
    },
  )

  test("that declares the largest message reserves no memory for it", () => {
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 512 }, () => {
      const reader = new MessageReader()
      reader.push(Buffer.from([0x00, 0x80, 0x00, 0x00, 0x81]))
      return reader
    })
    expect(readers.every(({ pending }) => pending === 5)).toBe(true)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024)
  })

  test("of random bytes gives bodies or ERR_AGENT, and keeps no more than it was given", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 40 }), (chunks) => {
        const reader = new MessageReader()
        let given = 0
        for (const chunk of chunks) {
          given += chunk.length
          if (outcome(() => reader.push(chunk)) === "ERR_AGENT") return
          expect(reader.pending).toBeLessThanOrEqual(given)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe("PROTOCOL.md", () => {
  const text = readFileSync(join(import.meta.dirname, "../../cache-daemon/PROTOCOL.md"), "utf8")
  /** The rows of a table whose first column is a message, with the fields in the second. */
  const rows = (head: string): readonly (readonly [string, readonly string[]])[] => {
    const [, table = ""] = text.split(`| ${head} |`)
    const [body = ""] = table.split("\n\n")
    return [...body.matchAll(/^\| `(\w+)` \|([^|]*)\|/gm)].map(([, type = "", fields = ""]) => {
      const names = fields.replaceAll(/\([^)]*\)/g, "").matchAll(/`(\w+)`/g)
      return [type, [...names].map(([, name = ""]) => name).sort()]
    })
  }
  const fieldsOf = (message: Request | Reply): readonly [string, readonly string[]] => [
    message.type,
    Object.keys(message)
      .filter((field) => field !== "type")
      .sort(),
  ]

  test("names every message and every field, and no other", () => {
    expect(rows("client sends")).toEqual(REQUESTS.map(fieldsOf))
    expect(rows("agent sends")).toEqual(REPLIES.map(fieldsOf))
    expect(text).toContain(`version ${PROTOCOL_VERSION}\n`)
  })

  test.each([
    ["key", Object.keys(key)],
    ["trust", Object.keys(noTrust)],
    ["credential", Object.keys(credential)],
  ])("names every field of a %s", (name, fields) => {
    const [, part = ""] = text.split(`- \`${name}\`: `)
    const [list = ""] = part.split(/^(?:- |$)/m)
    const named = [...list.matchAll(/`(\w+)`/g)].map(([, field]) => field)
    expect(named).toEqual(fields)
  })
})
