/**
 * OpenPGP signatures and keys made piece by piece, right and wrong.
 *
 * @module
 */

import { createHash } from "node:crypto"
import fc from "fast-check"
import * as openpgp from "openpgp"
import { describe, expect, test } from "vitest"
import { readOpenPgpKeys } from "../../src/formats/openpgp-public-keys.ts"
import { createKeyVerifier } from "../../src/verify/other-schemes.ts"
import {
  armorPgp,
  eddsa,
  fingerprintOf,
  keyIdOf,
  notation,
  type PgpSignatureOptions,
  type PgpSigner,
  packet,
  publicKey,
  revocation,
  rsaPgp,
  signatureBody,
  signaturePacket,
  subkey,
  subpacket,
  time,
  userId,
} from "../support/openpgp-signer.ts"

const BORN = 1_700_000_000
const SIGNED = BORN + 1000
const PAYLOAD = Buffer.from("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nA commit\n")
const NAME = "A <a@example.com>"

const ed = eddsa(BORN)
const other = eddsa(BORN)
const rsa = rsaPgp(BORN)
const sub = eddsa(BORN)
const ED = publicKey(ed, userId(ed, NAME))
const RSA = publicKey(rsa, userId(rsa, NAME))

const signed = (key: PgpSigner, options: PgpSignatureOptions = {}, payload: Uint8Array = PAYLOAD): string =>
  armorPgp("SIGNATURE", signaturePacket(key, payload, { created: SIGNED, ...options }))

const verifier = (...keys: string[]) =>
  createKeyVerifier({ openpgp: keys.map((one, index) => ({ keys: one, source: `keys ${index}` })), ssh: [] })

async function verdictOf(signature: string, keys: string | string[], payload: Uint8Array = PAYLOAD): Promise<string> {
  const { signer, problem } = await verifier(...[keys].flat()).verify(payload, Buffer.from(signature, "latin1"))
  expect(signer === undefined).toBe(problem !== undefined)
  return signer === undefined ? `${problem?.code}: ${problem?.message}` : "signed"
}

/** One number with a zero in front. */
const padded = (numbers: Buffer): Buffer => {
  const bits = numbers.readUInt16BE(0)
  const length = Buffer.alloc(2)
  length.writeUInt16BE((Math.ceil(bits / 8) + 1) * 8)
  return Buffer.concat([length, Buffer.of(0), numbers.subarray(2)])
}

/** The number's length in whole octets, as GitHub's signatures have it. */
const wholeOctets = (numbers: Buffer): Buffer => {
  const changed = Buffer.from(numbers)
  changed.writeUInt16BE(Math.ceil(numbers.readUInt16BE(0) / 8) * 8)
  return changed
}

/** A part of a signature with its length in five octets. */
const inFiveOctets = (part: Buffer): Buffer => Buffer.concat([Buffer.of(255, 0, 0, 0), part])

const parts = (...more: Buffer[]): Pick<PgpSignatureOptions, "hashed"> => ({ hashed: [time(SIGNED), ...more] })

describe("signatures", () => {
  test.each([
    ["EdDSA", signed(ed), ED, "signed"],
    ["RSA", signed(rsa), RSA, "signed"],
    ["SHA-512", signed(rsa, { hash: 10 }), RSA, "signed"],
    ["SHA-384", signed(rsa, { hash: 9 }), RSA, "signed"],
    ["SHA3-256", signed(ed, { hash: 12 }), ED, "signed"],
    ["MD5", signed(rsa, { hash: 1 }), RSA, "ERR_SIGNATURE: .* uses MD5"],
    ["SHA-1", signed(rsa, { hash: 2 }), RSA, "ERR_SIGNATURE: .* uses SHA-1"],
    ["RIPEMD-160", signed(rsa, { hash: 3 }), RSA, "ERR_SIGNATURE: .* uses RIPEMD-160"],
    ["SHA-224", signed(rsa, { hash: 11 }), RSA, "ERR_SIGNATURE: .* uses SHA-224"],
    ["a hash that there is not", signed(ed, { hash: 99 }), ED, "ERR_SIGNATURE: .* unknown hash"],
    ["DSA", signed(ed, { algorithm: 17 }), ED, "ERR_SIGNATURE: .* algorithm 17"],
    ["another algorithm than the key's", signed(ed, { algorithm: 19 }), ED, "ERR_SIGNATURE: "],
    ["another key", signed(other), ED, "ERR_KEY_UNKNOWN: .* OpenPGP key [0-9A-F]{40}, which the policy"],
    ["no keys", signed(ed), [], "ERR_KEY_UNKNOWN: "],
    [
      "another key that names this",
      signed(other, { ...parts(fingerprintOf(ed)), unhashed: [keyIdOf(ed)] }),
      ED,
      "ERR_SIGNATURE: .* does not match",
    ],
    [
      "a fingerprint of one, a key id of another",
      signed(ed, { unhashed: [keyIdOf(other)] }),
      [ED, publicKey(other, userId(other, NAME))],
      "ERR_KEY_UNKNOWN",
    ],
    ["only a fingerprint", signed(ed, { unhashed: [] }), ED, "signed"],
    ["only a key id, not signed", signed(ed, parts()), ED, "signed"],
    ["no issuer", signed(ed, { ...parts(), unhashed: [] }), ED, "ERR_SIGNATURE_FORMAT: .* by which key"],
    ["two fingerprints", signed(ed, parts(fingerprintOf(ed), fingerprintOf(ed))), ED, "ERR_SIGNATURE_FORMAT: .* twice"],
    ["no time", signed(ed, { hashed: [fingerprintOf(ed)] }), ED, "ERR_SIGNATURE_FORMAT: .* when it was made"],
    [
      "a time that is not signed",
      signed(ed, { hashed: [fingerprintOf(ed)], unhashed: [time(SIGNED)] }),
      ED,
      "ERR_SIGNATURE_FORMAT",
    ],
    ["two times", signed(ed, parts(time(SIGNED), fingerprintOf(ed))), ED, "ERR_SIGNATURE_FORMAT: .* twice"],
    ["an end", signed(ed, { more: [subpacket(3, [0, 0, 1, 0])] }), ED, "ERR_SIGNATURE: .* that it ends"],
    ["an end that is none", signed(ed, { more: [subpacket(3, [0, 0, 0, 0])] }), ED, "signed"],
    ["a notation", signed(ed, { more: [notation("a@example.com", "b", false)] }), ED, "signed"],
    [
      "a critical notation",
      signed(ed, { more: [notation("a@example.com", "b", true)] }),
      ED,
      "ERR_SIGNATURE: .*critical notation.*a@example.com",
    ],
    [
      "a critical part of unknown type",
      signed(ed, { more: [subpacket(100, [1], true)] }),
      ED,
      "ERR_SIGNATURE: .*critical part of type 100",
    ],
    ["a part of unknown type", signed(ed, { more: [subpacket(100, [1])] }), ED, "signed"],
    [
      "a notation that is not signed",
      signed(ed, { unhashed: [keyIdOf(ed), notation("a@b.c", "d", false)] }),
      ED,
      "ERR_SIGNATURE_FORMAT: .*not signed",
    ],
    ["the key twice", signed(ed, { unhashed: [keyIdOf(ed), keyIdOf(ed)] }), ED, "ERR_SIGNATURE_FORMAT: .*twice"],
    [
      "another signature inside",
      signed(ed, { more: [subpacket(32, signatureBody(ed, PAYLOAD))] }),
      ED,
      "ERR_SIGNATURE: .*inside",
    ],
    ["version 3", signed(ed, { version: 3 }), ED, "ERR_SIGNATURE_FORMAT: .*version 3"],
    ["version 5", signed(ed, { version: 5 }), ED, "ERR_SIGNATURE_FORMAT: .*version 5"],
    ["over text", signed(ed, { type: 1 }, Buffer.from(PAYLOAD.toString().replaceAll("\n", "\r\n"))), ED, "signed"],
    ["standalone", signed(ed, { type: 2 }), ED, "ERR_SIGNATURE: .*0x02"],
    ["a certification", signed(ed, { type: 0x10 }), ED, "ERR_SIGNATURE: .*0x10"],
    ["a positive certification", signed(ed, { type: 0x13 }), ED, "ERR_SIGNATURE: .*0x13"],
    ["a binding", signed(ed, { type: 0x18 }), ED, "ERR_SIGNATURE: .*0x18"],
    ["a direct key signature", signed(ed, { type: 0x1f }), ED, "ERR_SIGNATURE: .*0x1f"],
    ["a timestamp", signed(ed, { type: 0x40 }), ED, "ERR_SIGNATURE: .*0x40"],
    ["older than its key", signed(ed, { created: BORN - 1 }), ED, "ERR_SIGNATURE: .*older than its key"],
    ["as old as its key", signed(ed, { created: BORN }), ED, "signed"],
    ["lengths in whole octets", signed(rsa, { changeNumbers: wholeOctets }), RSA, "signed"],
    ["a number with a zero in front", signed(rsa, { changeNumbers: padded }), RSA, "ERR_SIGNATURE_FORMAT: .*shortest"],
    [
      "bytes behind the numbers",
      signed(ed, { trailing: Buffer.of(0) }),
      ED,
      "ERR_SIGNATURE_FORMAT: .*than its numbers",
    ],
    [
      "a length in a longer form",
      signed(ed, { unhashed: [inFiveOctets(keyIdOf(ed))] }),
      ED,
      "ERR_SIGNATURE_FORMAT: .*longer form",
    ],
    ["numbers missing", signed(ed, { changeNumbers: () => Buffer.alloc(0) }), ED, "ERR_SIGNATURE_FORMAT: "],
  ])("%s", async (_, signature, keys, expected) => {
    expect(await verdictOf(signature, keys)).toMatch(new RegExp(`^${expected}`))
  })

  const one = signaturePacket(ed, PAYLOAD, { created: SIGNED })
  const two = Buffer.concat([one, one])
  const body = signatureBody(ed, PAYLOAD, { created: SIGNED })
  const oldHeader = Buffer.concat([Buffer.of(0x88, body.length), body])
  const unknownLength = Buffer.concat([Buffer.of(0x8b), body])
  const partial = Buffer.concat([
    Buffer.of(0xc2, 0xe6),
    body.subarray(0, 64),
    Buffer.of(body.length - 64),
    body.subarray(64),
  ])
  const fiveOctets = Buffer.concat([Buffer.of(0xc2, 0xff, 0, 0, 0, body.length), body])

  test.each([
    ["one", one, "signed"],
    ["a header of the old form", oldHeader, "signed"],
    ["a length in five octets", fiveOctets, "signed"],
    ["two signatures", two, "ERR_SIGNATURE_FORMAT: something follows"],
    ["a marker before it", Buffer.concat([packet(10, Buffer.from("PGP")), one]), "ERR_SIGNATURE_FORMAT: .*type 10"],
    ["padding behind it", Buffer.concat([one, packet(21, Buffer.alloc(3))]), "ERR_SIGNATURE_FORMAT: something follows"],
    [
      "a one-pass signature before it",
      Buffer.concat([packet(4, Buffer.alloc(13)), one]),
      "ERR_SIGNATURE_FORMAT: .*type 4",
    ],
    ["a length that is not said", unknownLength, "ERR_SIGNATURE_FORMAT: .*definite length"],
    ["a length in parts", partial, "ERR_SIGNATURE_FORMAT: .*definite length"],
    ["cut short", one.subarray(0, -1), "ERR_SIGNATURE_FORMAT: .*cut short"],
    ["a key in place of it", packet(6, ed.body), "ERR_SIGNATURE_FORMAT: .*type 6"],
    ["nothing", Buffer.alloc(0), "ERR_SIGNATURE_FORMAT"],
  ])("packets: %s", async (_, bytes, expected) => {
    expect(await verdictOf(armorPgp("SIGNATURE", bytes), ED)).toMatch(new RegExp(`^${expected}`))
  })

  const plain = signed(ed)
  test.each([
    ["line feeds behind it, as GitHub leaves one", `${plain}\n\n`, "signed"],
    ["headers", plain.replace("\n\n", "\nVersion: GnuPG v2\nComment: x\n\n"), "signed"],
    ["all on one line", plain.replace(/(?<=\n\n)[\s\S]*(?=\n-----END)/, (text) => text.replaceAll("\n", "")), "signed"],
    ["no blank line", plain.replace("\n\n", "\n"), "ERR_SIGNATURE_FORMAT: .*headers"],
    ["a header without a name", plain.replace("\n\n", "\nwhat is this\n\n"), "ERR_SIGNATURE_FORMAT: .*headers"],
    ["CRLF", plain.replaceAll("\n", "\r\n"), "ERR_SIGNATURE_FORMAT: "],
    ["a wrong checksum", plain.replace("\n-----END", "\n=AAAA\n-----END"), "ERR_SIGNATURE_FORMAT: .*damaged"],
    ["a checksum that is none", plain.replace("\n-----END", "\n=A\n-----END"), "ERR_SIGNATURE_FORMAT: .*damaged"],
    ["a stray character", plain.replace(/\n(?=\S{64}\n)/, "\n!"), "ERR_SIGNATURE_FORMAT: "],
    ["a blank line in it", plain.replace(/(?<=\S{64}\n)/, "\n"), "ERR_SIGNATURE_FORMAT: "],
    ["text behind it", `${plain}more\n`, "ERR_SIGNATURE_FORMAT: something follows"],
    ["two blocks", plain + plain, "ERR_SIGNATURE_FORMAT: something follows"],
    ["another label", plain.replaceAll("SIGNATURE", "MESSAGE"), "ERR_SIGNATURE_FORMAT: .*message"],
    ["an X.509 one", "-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----\n", "ERR_SIGNATURE_FORMAT: "],
  ])("armor: %s", async (_, signature, expected) => {
    expect(await verdictOf(signature, ED)).toMatch(new RegExp(`^${expected}`))
  })

  test("over text: what has carriage returns is refused, whatever was signed", async () => {
    const text = "tree x\r\n\r\nmessage\r\n"
    const signature = signed(ed, { type: 1 }, Buffer.from(text))
    expect(await verdictOf(signature, ED, Buffer.from(text))).toMatch(/^ERR_SIGNATURE: .*carriage returns/)
    expect(await verdictOf(signature, ED, Buffer.from(text.replaceAll("\r", "")))).toBe("signed")
  })

  test("over text: bytes that are no UTF-8 are not all the same", async () => {
    const signature = signed(ed, { type: 1 }, Buffer.from("a\xff\r\n", "latin1"))
    expect(await verdictOf(signature, ED, Buffer.from("a\xff\n", "latin1"))).toBe("signed")
    expect(await verdictOf(signature, ED, Buffer.from("a\xfe\n", "latin1"))).toMatch(/^ERR_SIGNATURE:/)
    expect(await verdictOf(signature, ED, Buffer.from("a\ufffd\n"))).toMatch(/^ERR_SIGNATURE:/)
  })

  test("what is proven, and what is only said", async () => {
    const good = await verifier(ED).verify(PAYLOAD, Buffer.from(plain))
    expect(good.signer).toEqual({ scheme: "openpgp", fingerprints: [ed.fingerprint], userIds: [NAME] })
    const unknown = await verifier(ED).verify(PAYLOAD, Buffer.from(signed(other)))
    expect(unknown).toMatchObject({ signer: undefined, claimed: { fingerprint: other.fingerprint } })
  })
})

describe("keys", () => {
  const withSubkey = (binding: Buffer): string => publicKey(ed, userId(ed, NAME), binding)
  const bySubkey = signed(sub)
  const expires = (seconds: number): Buffer => subpacket(9, [0, 0, seconds >> 8, seconds & 0xff])
  const weak = rsaPgp(BORN, 1024)
  const encrypting = { flags: 0x0c }

  test.each([
    ["a subkey", withSubkey(subkey(ed, sub, sub)), bySubkey, "signed"],
    [
      "a subkey without a back-signature",
      withSubkey(subkey(ed, sub, undefined)),
      bySubkey,
      "ERR_SIGNATURE: .*does not itself say",
    ],
    [
      "a back-signature by the primary key",
      withSubkey(subkey(ed, sub, ed)),
      bySubkey,
      "ERR_SIGNATURE: .*does not itself say",
    ],
    [
      "a back-signature by another",
      withSubkey(subkey(ed, sub, other)),
      bySubkey,
      "ERR_SIGNATURE: .*does not itself say",
    ],
    [
      "a subkey that may only encrypt",
      withSubkey(subkey(ed, sub, sub, encrypting)),
      bySubkey,
      "ERR_SIGNATURE: .*signing",
    ],
    [
      "a subkey that may certify and not sign",
      withSubkey(subkey(ed, sub, sub, { flags: 1 })),
      bySubkey,
      "ERR_SIGNATURE: .*signing",
    ],
    ["a binding by another", withSubkey(subkey(ed, sub, sub, {}, other)), bySubkey, "ERR_SIGNATURE: .*does not vouch"],
    [
      "a binding by another that names the primary key",
      withSubkey(
        subkey(
          ed,
          sub,
          sub,
          { hashed: [time(BORN), fingerprintOf(ed), subpacket(27, [2])], unhashed: [keyIdOf(ed)] },
          other,
        ),
      ),
      bySubkey,
      "ERR_SIGNATURE: .*does not vouch",
    ],
    [
      "a binding by SHA-1",
      publicKey(rsa, userId(rsa, NAME), subkey(rsa, sub, sub, { hash: 2 })),
      bySubkey,
      "ERR_SIGNATURE: .*does not vouch",
    ],
    [
      "a subkey that has ended",
      withSubkey(subkey(ed, sub, sub, { more: [expires(500)] })),
      bySubkey,
      "ERR_KEY_EXPIRED",
    ],
    [
      "a subkey that ends the next second",
      withSubkey(subkey(ed, sub, sub, { more: [expires(1001)] })),
      bySubkey,
      "signed",
    ],
    [
      "a subkey that ends that second",
      withSubkey(subkey(ed, sub, sub, { more: [expires(1000)] })),
      bySubkey,
      "ERR_KEY_EXPIRED",
    ],
    [
      "a binding that has ended",
      withSubkey(subkey(ed, sub, sub, { more: [subpacket(3, [0, 0, 1, 0])] })),
      bySubkey,
      "ERR_KEY_EXPIRED",
    ],
    [
      "a subkey of a primary key that has ended",
      publicKey(ed, userId(ed, NAME, { more: [expires(500)] }), subkey(ed, sub, sub)),
      bySubkey,
      "ERR_KEY_EXPIRED",
    ],
    [
      "a subkey of a revoked primary key",
      publicKey(ed, revocation(ed, 2, BORN), userId(ed, NAME), subkey(ed, sub, sub)),
      bySubkey,
      "ERR_KEY_EXPIRED",
    ],
    [
      "a subkey of a primary key that may only certify",
      publicKey(ed, userId(ed, NAME, { flags: 1 }), subkey(ed, sub, sub)),
      bySubkey,
      "signed",
    ],
    [
      "a subkey of a primary key without user ids",
      publicKey(ed, subkey(ed, sub, sub)),
      bySubkey,
      "ERR_SIGNATURE: .*no user id",
    ],
    [
      "a subkey of a weak primary key",
      publicKey(weak, userId(weak, NAME), subkey(weak, sub, sub)),
      bySubkey,
      "ERR_SIGNATURE: .*1024 bits",
    ],
    [
      "the subkey of another",
      publicKey(other, userId(other, NAME), subkey(ed, sub, sub)),
      bySubkey,
      "ERR_SIGNATURE: .*does not vouch",
    ],
    ["a weak key", publicKey(weak, userId(weak, NAME)), signed(weak), "ERR_SIGNATURE: .*1024 bits"],
    [
      "a primary key that may only certify",
      publicKey(ed, userId(ed, NAME, { flags: 1 })),
      signed(ed),
      "ERR_SIGNATURE: .*signing",
    ],
    [
      "a key that does not say what it is for",
      publicKey(ed, userId(ed, NAME, { hashed: [time(BORN), fingerprintOf(ed)] })),
      signed(ed),
      "ERR_SIGNATURE: .*signing",
    ],
    [
      "a user id that another certified",
      publicKey(ed, userId(ed, NAME, {}, other)),
      signed(ed),
      "ERR_SIGNATURE: .*no user id",
    ],
    [
      "a user id by SHA-1",
      publicKey(rsa, userId(rsa, NAME, { hash: 2 })),
      signed(rsa),
      "ERR_SIGNATURE: .*SHA-1 or weaker",
    ],
    [
      "a user id by MD5",
      publicKey(rsa, userId(rsa, NAME, { hash: 1 })),
      signed(rsa),
      "ERR_SIGNATURE: .*SHA-1 or weaker",
    ],
    [
      "a critical notation in its self-signature",
      publicKey(ed, userId(ed, NAME, { more: [notation("a@b.c", "d", true)] })),
      signed(ed),
      "ERR_SIGNATURE: .*no user id",
    ],
    [
      "a key that has ended",
      publicKey(ed, userId(ed, NAME, { more: [expires(500)] })),
      signed(ed),
      "ERR_KEY_EXPIRED: .*had ended",
    ],
    [
      "a key that was prolonged later",
      publicKey(ed, userId(ed, NAME, { created: BORN + 5000, more: [expires(9000)] })),
      signed(ed),
      "signed",
    ],
    [
      "a key that was shortened later",
      publicKey(
        ed,
        userId(ed, NAME, { more: [expires(9000)] }),
        userId(ed, "B", { created: BORN + 5000, more: [expires(500)] }),
      ),
      signed(ed),
      "ERR_KEY_EXPIRED",
    ],
    [
      "a key that was compromised, later",
      publicKey(ed, revocation(ed, 2, BORN + 9000), userId(ed, NAME)),
      signed(ed),
      "ERR_KEY_EXPIRED: .*revoked",
    ],
    [
      "a key revoked later, without a reason",
      publicKey(ed, revocation(ed, 0, BORN + 9000), userId(ed, NAME)),
      signed(ed),
      "ERR_KEY_EXPIRED: .*revoked",
    ],
    [
      "a key revoked later, for an unknown reason",
      publicKey(ed, revocation(ed, 99, BORN + 9000), userId(ed, NAME)),
      signed(ed),
      "ERR_KEY_EXPIRED: .*revoked",
    ],
    ["a key superseded later", publicKey(ed, revocation(ed, 1, BORN + 9000), userId(ed, NAME)), signed(ed), "signed"],
    [
      "a key superseded that second",
      publicKey(ed, revocation(ed, 1, SIGNED), userId(ed, NAME)),
      signed(ed),
      "ERR_KEY_EXPIRED: .*successor",
    ],
    [
      "a key retired before",
      publicKey(ed, revocation(ed, 3, BORN + 1), userId(ed, NAME)),
      signed(ed),
      "ERR_KEY_EXPIRED: .*retired",
    ],
    [
      "superseded later, then compromised",
      publicKey(ed, revocation(ed, 1, BORN + 9000), revocation(ed, 2, BORN + 9500), userId(ed, NAME)),
      signed(ed),
      "ERR_KEY_EXPIRED",
    ],
    [
      "a revocation by another",
      publicKey(ed, revocation(ed, 2, BORN + 1, undefined, other), userId(ed, NAME)),
      signed(ed),
      "signed",
    ],
    [
      "a subkey that was compromised",
      publicKey(ed, userId(ed, NAME), subkey(ed, sub, sub), revocation(ed, 2, BORN + 9000, sub)),
      bySubkey,
      "ERR_KEY_EXPIRED",
    ],
    [
      "a subkey retired later",
      publicKey(ed, userId(ed, NAME), subkey(ed, sub, sub), revocation(ed, 3, BORN + 9000, sub)),
      bySubkey,
      "signed",
    ],
    [
      "a subkey retired before",
      publicKey(ed, userId(ed, NAME), subkey(ed, sub, sub), revocation(ed, 3, BORN + 1, sub)),
      bySubkey,
      "ERR_KEY_EXPIRED",
    ],
  ])("%s", async (_, keys, signature, expected) => {
    expect(await verdictOf(signature, keys)).toMatch(new RegExp(`^${expected}`))
  })

  test.each([
    ["Ed25519 (version 6)", { type: "curve25519" as const }, true],
    ["Ed448 (version 6)", { type: "curve448" as const }, true],
    ["P-384 (version 6)", { type: "ecc" as const, curve: "nistP384" as const }, true],
    ["Ed25519 (version 4)", { type: "curve25519" as const }, false],
    ["Ed448 (version 4)", { type: "curve448" as const }, false],
    ["P-521 (version 4)", { type: "ecc" as const, curve: "nistP521" as const }, false],
  ])("made by the openpgp package: %s", async (_, algorithm, v6Keys) => {
    const config = { v6Keys }
    const userIDs = [{ name: "A", email: "a@example.com" }]
    const pair = await openpgp.generateKey({ ...algorithm, userIDs, config, format: "object" })
    const message = await openpgp.createMessage({ binary: PAYLOAD })
    const armored = await openpgp.sign({ message, signingKeys: pair.privateKey, detached: true, config })
    const signature = armored.replaceAll("\r\n", "\n")
    expect(await verdictOf(signature, pair.publicKey.armor())).toBe("signed")
    expect(await verdictOf(signature, pair.publicKey.armor(), Buffer.from("x"))).toMatch(/^ERR_SIGNATURE:/)
    expect(await verdictOf(signature, ED)).toMatch(/^ERR_KEY_UNKNOWN/)
  })

  test("a revocation in one of two copies counts, in either order", async () => {
    const revoked = publicKey(ed, revocation(ed, 2, BORN + 1), userId(ed, NAME))
    for (const keys of [[ED, revoked], [revoked, ED], [ED + revoked]]) {
      expect(await verdictOf(signed(ed), keys)).toMatch(/^ERR_KEY_EXPIRED/)
    }
  })

  test("several keys in one text, with other text around, and CRLF", async () => {
    const keys = `# keys\r\n${(publicKey(other, userId(other, NAME)) + ED).replaceAll("\n", " \r\n")}\nmore\n`
    expect(await verdictOf(signed(ed), keys)).toBe("signed")
    expect(await verdictOf(signed(other), keys)).toBe("signed")
  })

  test.each([
    ["no key", "nothing", "no armored OpenPGP public key"],
    ["a secret key", ED.replaceAll("PUBLIC", "PRIVATE"), "secret key"],
    ["a damaged key", ED.replace(/\n[A-Za-z0-9+/]{10}/, "\n!!!!!!!!!!"), "damaged"],
    ["a secret key with another label", armorPgp("PUBLIC KEY BLOCK", packet(5, ed.body)), "secret key"],
    ["only a signature", armorPgp("PUBLIC KEY BLOCK", signaturePacket(ed, PAYLOAD)), "cannot be read"],
  ])("what is no public key is the policy's fault: %s", async (_, keys, message) => {
    await expect(verdictOf(signed(ed), keys)).rejects.toMatchObject({
      code: "ERR_POLICY",
      message: expect.stringContaining(message),
    })
  })
})

describe("a key that cannot be read", () => {
  const bodyOf = (algorithm: number, fields: Uint8Array): Buffer =>
    Buffer.concat([Buffer.of(4), ed.body.subarray(1, 5), Buffer.of(algorithm), fields])
  const of = (body: Buffer): PgpSigner => {
    const length = Buffer.of(0x99, body.length >> 8, body.length & 0xff)
    const fingerprint = createHash("sha1").update(length).update(body).digest("hex").toUpperCase()
    return { ...ed, body, fingerprint }
  }
  const blocks = (...keys: PgpSigner[]): string =>
    armorPgp("PUBLIC KEY BLOCK", Buffer.concat(keys.flatMap((key) => [packet(6, key.body), userId(key, NAME)])))

  test.each([
    ["an unknown algorithm", of(bodyOf(99, Buffer.alloc(32, 7))), "it is of the unknown algorithm 99"],
    ["an unknown curve", of(bodyOf(22, Buffer.of(3, 1, 2, 3, 0, 7, 0x40))), "it is on an unknown curve"],
    ["numbers that are cut short", of(bodyOf(1, Buffer.of(8, 0, 0xff))), "it cannot be read"],
  ])("%s: it may not sign, and the others may", async (_, bad, reason) => {
    for (const keys of [blocks(bad, ed), blocks(ed, bad), [blocks(bad), ED]]) {
      expect(await verdictOf(signed(ed), keys)).toBe("signed")
      expect(await verdictOf(signed(other), keys)).toMatch(/^ERR_KEY_UNKNOWN/)
      expect(await verdictOf(signed(bad), keys)).toBe(
        `ERR_SIGNATURE: OpenPGP key ${bad.fingerprint} must not sign: ${reason}`,
      )
    }
  })

  test("the policy calls unknown what the package does not know", () => {
    const unknownBy = (body: Buffer): boolean => {
      const [key] = readOpenPgpKeys(armorPgp("PUBLIC KEY BLOCK", packet(6, body)), "ERR_POLICY", "x")
      return key?.unknown !== undefined
    }
    const unknownToPackage = async (body: Buffer): Promise<boolean> => {
      const error: unknown = await new openpgp.PublicKeyPacket().read(body).catch((thrown: unknown) => thrown)
      return /unknown (?:public key|curve)/i.test(`${error}`)
    }
    const bodies = Array.from({ length: 256 }, (_, algorithm) => bodyOf(algorithm, ed.body.subarray(6)))
    const curves = ["2a8648ce3d030107", "2b81040022", "2b81040023", "2b8104000a", "2b2403030208010107"]
    curves.push("2b240303020801010b", "2b240303020801010d", "2b06010401da470f01", "2b060104019755010501", "2b01")
    for (const curve of curves) {
      bodies.push(bodyOf(18, Buffer.concat([Buffer.of(curve.length / 2), Buffer.from(curve, "hex")])))
    }
    return Promise.all(
      bodies.map(async (body) => expect(unknownBy(body), body.toString("hex")).toBe(await unknownToPackage(body))),
    )
  })
})

describe("every bit", () => {
  const flips = function* (bytes: Buffer): Generator<{ flipped: Buffer; place: string }> {
    for (let at = 0; at < bytes.length * 8; at++) {
      const flipped = Buffer.from(bytes)
      flipped[at >> 3] = (flipped[at >> 3] ?? 0) ^ (1 << (at & 7))
      yield { flipped, place: `byte ${at >> 3}, bit ${at & 7}` }
    }
  }

  test.each([
    ["EdDSA", ed, ED],
    ["RSA", rsa, RSA],
  ])("%s", { timeout: 60_000 }, async (_, key, keys) => {
    const one = verifier(keys)
    const holds = async (payload: Uint8Array, armored: Uint8Array): Promise<boolean> =>
      (await one.verify(payload, armored)).signer !== undefined
    const bytes = signaturePacket(key, PAYLOAD, { created: SIGNED })
    const armored = Buffer.from(armorPgp("SIGNATURE", bytes))
    expect(await holds(PAYLOAD, armored)).toBe(true)
    for (const { flipped, place } of flips(bytes)) {
      if (await holds(PAYLOAD, Buffer.from(armorPgp("SIGNATURE", flipped)))) expect.unreachable(`signature: ${place}`)
    }
    for (const { flipped, place } of flips(armored)) {
      if (await holds(PAYLOAD, flipped)) expect.unreachable(`armor: ${place}`)
    }
    for (const { flipped, place } of flips(PAYLOAD)) {
      if (await holds(flipped, armored)) expect.unreachable(`payload: ${place}`)
    }
    for (let length = 0; length < armored.length - 1; length++) {
      if (await holds(PAYLOAD, armored.subarray(0, length))) expect.unreachable(`cut to ${length}`)
    }
  })

  test("of a key: none of them lets another key sign, and none is an exception of another kind", {
    timeout: 60_000,
  }, async () => {
    const bytes = Buffer.concat([packet(6, ed.body), userId(ed, NAME), subkey(ed, sub, sub)])
    const [byPrimary, bySub, byOther] = [signed(ed), signed(sub), signed(other)].map((text) => Buffer.from(text))
    let turn = 0
    for (const { flipped, place } of flips(bytes)) {
      // One bit of every byte, another one in the next
      if (turn++ % 9 !== 0) continue
      const one = verifier(armorPgp("PUBLIC KEY BLOCK", flipped))
      try {
        for (const signature of [byPrimary, bySub, byOther]) {
          const { signer } = await one.verify(PAYLOAD, signature ?? Buffer.alloc(0))
          if (signature === byOther) expect(signer, place).toBeUndefined()
        }
      } catch (error) {
        expect(error, place).toMatchObject({ code: "ERR_POLICY" })
      }
    }
  })

  test("never an exception, whatever the bytes", async () => {
    const one = verifier(ED)
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((rest) => Buffer.from(armorPgp("SIGNATURE", rest))),
      fc
        .uint8Array({ maxLength: 190 })
        .map((rest) => Buffer.from(armorPgp("SIGNATURE", packet(2, Buffer.concat([Buffer.of(4, 0, 22, 8), rest]))))),
    )
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), bytes, async (payload, signature) => {
        expect((await one.verify(payload, signature)).problem).toBeDefined()
      }),
    )
  })
})
