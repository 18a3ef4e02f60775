/**
 * The RFC 3161 client: what it asks, and that only an answer to exactly that counts.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { describe, expect, test } from "vitest"
import {
  contextTag,
  DerReader,
  encode,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSetOf,
  encodeSmallInteger,
  TAG,
} from "../../src/formats/der.ts"
import { createTimestampAuthority } from "../../src/services/timestamp-authority.ts"
import { type Answer, httpServer, type SeenRequest, testClient } from "./loopback.ts"

const SIGNATURE = Buffer.from("the signature bytes")
const sha256Oid = encodeOid("2.16.840.1.101.3.4.2.1")
const tstInfoOid = encodeOid("1.2.840.113549.1.9.16.1.4")

/** Reads a TimeStampReq (RFC 3161 §2.4.1). */
function readRequest(der: Uint8Array): { imprint: Uint8Array; nonce: Uint8Array; certReq: boolean } {
  return new DerReader(der).sequence("TimeStampReq", (r) => {
    expect(r.smallInteger("version")).toBe(1)
    const imprint = r.sequence("messageImprint", (m) => {
      expect(m.sequence("hashAlgorithm", (a) => a.oid("algorithm"))).toBe("2.16.840.1.101.3.4.2.1")
      return m.octetString("hashedMessage")
    })
    return { imprint, nonce: r.expect(TAG.integer, "nonce").raw, certReq: r.boolean("certReq") }
  })
}

interface Changes {
  readonly imprint?: Uint8Array
  readonly hash?: Uint8Array
  readonly nonce?: Uint8Array
}

/** A TimeStampResp for a request; its signature is no signature, which the client leaves to the verifier. */
function granted(request: SeenRequest, changes: Changes = {}): Buffer {
  const { imprint, nonce } = readRequest(request.body)
  const tstInfo = encodeSequence(
    encodeSmallInteger(1),
    encodeOid("1.3.6.1.4.1.57264.2"),
    encodeSequence(encodeSequence(changes.hash ?? sha256Oid), encodeOctetString(changes.imprint ?? imprint)),
    encodeSmallInteger(1),
    encode(TAG.generalizedTime, Buffer.from("20261121020000Z")),
    changes.nonce ?? nonce,
  )
  const attribute = (oid: string, value: Uint8Array) => encodeSequence(encodeOid(oid), encodeSetOf(value))
  const signedAttrs = [
    attribute("1.2.840.113549.1.9.3", tstInfoOid),
    attribute("1.2.840.113549.1.9.4", encodeOctetString(createHash("sha256").update(tstInfo).digest())),
  ]
  const signerInfo = encodeSequence(
    encodeSmallInteger(1),
    encodeSequence(encodeSequence(), encodeSmallInteger(1)),
    encodeSequence(sha256Oid),
    encode(contextTag(0), ...signedAttrs),
    encodeSequence(encodeOid("1.2.840.10045.4.3.2")),
    encodeOctetString(Buffer.from("no signature")),
  )
  const signedData = encodeSequence(
    encodeSmallInteger(3),
    encodeSetOf(encodeSequence(sha256Oid)),
    encodeSequence(tstInfoOid, encode(contextTag(0), encodeOctetString(tstInfo))),
    encodeSetOf(signerInfo),
  )
  const token = encodeSequence(encodeOid("1.2.840.113549.1.7.2"), encode(contextTag(0), signedData))
  return Buffer.concat([encodeSequence(encodeSequence(encodeSmallInteger(0)), token)])
}

const reply = (body: Uint8Array | string, type = "application/timestamp-reply"): Answer => ({
  headers: { "content-type": type },
  body,
})
const timestamp = (url: string) => createTimestampAuthority({ url, http: testClient() })(SIGNATURE)

describe("a timestamp", () => {
  test("is asked for over the signature, with a fresh nonce and the signer's certificate", async () => {
    const server = await httpServer((request) => ({ ...reply(granted(request)), status: 201 }))
    const token = await timestamp(`${server.url}/tsa?x=1`)
    await timestamp(`${server.url}/tsa?x=1`)
    const [first, second] = server.seen as [SeenRequest, SeenRequest]
    expect(first).toMatchObject({ method: "POST", path: "/tsa?x=1" })
    expect(first.headers["content-type"]).toBe("application/timestamp-query")
    const request = readRequest(first.body)
    expect(request.imprint).toEqual(createHash("sha256").update(SIGNATURE).digest())
    expect(request.certReq).toBe(true)
    expect(request.nonce).not.toEqual(readRequest(second.body).nonce)
    expect(granted(first).indexOf(token)).toBeGreaterThan(0)
  })

  test("is asked for again when the authority is busy", async () => {
    const server = await httpServer((request) => (server.seen.length === 1 ? { status: 503 } : reply(granted(request))))
    await expect(timestamp(server.url)).resolves.toBeInstanceOf(Uint8Array)
  })

  test.each(["application/timestamp-reply; charset=utf-8", "Application/Timestamp-Reply"])(
    "may come as %s",
    async (type) => {
      const server = await httpServer((request) => reply(granted(request), type))
      await expect(timestamp(server.url)).resolves.toBeInstanceOf(Uint8Array)
    },
  )
})

describe("an answer is refused", () => {
  const rejected = encodeSequence(
    encodeSequence(
      encodeSmallInteger(2),
      encodeSequence(encode(TAG.utf8String, Buffer.from("no\u001b[1m"))),
      encode(TAG.bitString, Buffer.of(5, 0x20)),
    ),
  )

  test.each<[string, (request: SeenRequest) => Answer, RegExp]>([
    [
      "wrong type",
      (r) => reply(granted(r), "text/html"),
      /content type "text\/html" instead of application\/timestamp-reply/,
    ],
    ["no type", (r) => ({ body: granted(r) }), /content type "" instead/],
    ["garbage", () => reply("hello"), /cannot be read/],
    ["nothing", () => reply(""), /cannot be read/],
    ["bytes left over", (r) => reply(Buffer.concat([granted(r), Buffer.of(0)])), /cannot be read/],
    ["a rejection", () => reply(rejected), /did not grant the timestamp: status 2, bad request, .*no\[1m$/],
    [
      "granted with changes",
      () => reply(encodeSequence(encodeSequence(encodeSmallInteger(1)))),
      /did not grant.*: status 1$/,
    ],
    [
      "no token",
      () => reply(encodeSequence(encodeSequence(encodeSmallInteger(0)))),
      /granted a timestamp and sent none/,
    ],
    ["another imprint", (r) => reply(granted(r, { imprint: Buffer.alloc(32) })), /timestamp for something else/],
    [
      "another hash",
      (r) => reply(granted(r, { hash: encodeOid("2.16.840.1.101.3.4.2.2") })),
      /timestamp for something else/,
    ],
    ["another nonce", (r) => reply(granted(r, { nonce: encodeSmallInteger(7) })), /nonce differs/],
    ["no nonce", (r) => reply(granted(r, { nonce: Buffer.alloc(0) })), /nonce differs/],
    [
      "an error",
      () => ({ status: 400, body: '{"code":400,"message":"Error generating"}' }),
      /answered 400: Error generating$/,
    ],
  ])("for %s", async (_, answer, message) => {
    const server = await httpServer(answer)
    await expect(timestamp(server.url)).rejects.toMatchObject({
      code: "ERR_TSA",
      message: expect.stringMatching(message),
    })
  })
})
