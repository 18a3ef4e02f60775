/**
 * SSH signatures made piece by piece, right and wrong; beside each what git and ssh-keygen say.
 *
 * @module
 */

import { createHash } from "node:crypto"
import fc from "fast-check"
import { afterAll, describe, expect, test } from "vitest"
import { joinSignedObject } from "../../src/formats/git-object.ts"
import { sshString } from "../../src/formats/ssh-key.ts"
import { createKeyVerifier } from "../../src/verify/other-schemes.ts"
import {
  armor,
  type CertificateOptions,
  certificate,
  ecdsa,
  ed25519,
  rsa,
  type SignatureOptions,
  type SshSigner,
  sshsig,
} from "../support/ssh-signer.ts"
import { hasSshKeygen, SshWorld } from "../support/ssh-world.ts"

const SECONDS = 1_750_000_000
const TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
const payloadOf = (seconds: number | string): Buffer =>
  Buffer.from(
    `tree ${TREE}\nauthor A <a@example.com> 1700000000 +0000\ncommitter A <a@example.com> ${seconds} +0200\n\nA commit\n`,
  )
const PAYLOAD = payloadOf(SECONDS)

const ed = ed25519()
const other = ed25519()
const ca = ed25519()
const p256 = ecdsa("P-256")
const p384 = ecdsa("P-384")
const p521 = ecdsa("P-521")
const rsa2048 = rsa(2048)
const rsa1024 = rsa(1024)
const skEd = ed25519("ssh:")
const skP256 = ecdsa("P-256", "ssh:")

const allow = (...lines: string[]): string => `${lines.join("\n")}\n`
const KEYS = allow(...[ed, p256, p384, p521, rsa2048, rsa1024, skEd, skP256].map(({ line }) => `a@example.com ${line}`))
const AUTHORITY = allow(`a@example.com cert-authority ${ca.line}`)

const signed = (key: SshSigner, options: SignatureOptions = {}): string => armor(sshsig(key, PAYLOAD, options))
const certified = (options: CertificateOptions = {}, key = ed, authority = ca): string =>
  signed(key, { keyBlob: certificate(key, authority, options) })

const verifier = (allowedSigners: string) =>
  createKeyVerifier({ openpgp: [], ssh: [{ allowedSigners, source: "allowed_signers" }] })

async function verdictOf(signature: string, allowedSigners: string, payload: Uint8Array = PAYLOAD): Promise<string> {
  const { signer, problem } = await verifier(allowedSigners).verify(payload, Buffer.from(signature, "latin1"))
  expect(signer === undefined).toBe(problem !== undefined)
  return signer === undefined ? (problem?.code ?? "none") : "signed"
}

const replaceBase64 = (armored: string, change: (text: string) => string): string =>
  armored.replace(/(?<=SIGNATURE-----\n)[\s\S]*?(?=\n-----END)/, change)

/** The same numbers with a zero in front. */
const padded = (blob: Buffer): Buffer => {
  const length = blob.readUInt32BE(0)
  const type = blob.subarray(4, 4 + length)
  const inner = blob.subarray(8 + length)
  const r = inner.subarray(4, 4 + inner.readUInt32BE(0))
  const s = inner.subarray(4 + r.length)
  return Buffer.concat([sshString(type), sshString(Buffer.concat([sshString(Buffer.concat([Buffer.of(0), r])), s]))])
}

/** What the verifier says, and whether git says yes; undefined: the same. */
const cases: [name: string, signature: string, allowed: string, expected: string, git?: boolean][] = [
  ["Ed25519", signed(ed), KEYS, "signed"],
  ["Ed25519 with SHA-256", signed(ed, { hash: "sha256" }), KEYS, "signed"],
  ["P-256", signed(p256), KEYS, "signed"],
  ["P-384", signed(p384), KEYS, "signed"],
  ["P-521", signed(p521), KEYS, "signed"],
  ["RSA with SHA-512", signed(rsa2048), KEYS, "signed"],
  ["RSA with SHA-256", signed(rsa2048, { sign: { type: "rsa-sha2-256", digest: "sha256" } }), KEYS, "signed"],
  ["a security key", signed(skEd), KEYS, "signed"],
  ["a security key with P-256", signed(skP256), KEYS, "signed"],
  ["a security key that was not touched", signed(skEd, { sign: { flags: 0 } }), KEYS, "signed"],
  ["another key", signed(other), KEYS, "ERR_KEY_UNKNOWN"],
  ["no allowed signers", signed(ed), "", "ERR_KEY_UNKNOWN"],
  ["the key of another in place of its own", signed(other, { keyBlob: ed.blob }), KEYS, "ERR_SIGNATURE"],
  ["a signature for files", signed(ed, { namespace: "file" }), KEYS, "ERR_SIGNATURE"],
  ["for files, said to be for git", signed(ed, { namespace: "file", claimedNamespace: "git" }), KEYS, "ERR_SIGNATURE"],
  ["an empty namespace", signed(ed, { namespace: "" }), KEYS, "ERR_SIGNATURE"],
  ["a namespace with a NUL", signed(ed, { namespace: "git\0" }), KEYS, "ERR_SIGNATURE"],
  ["SHA-1 as the hash", signed(ed, { hash: "sha1" }), KEYS, "ERR_SIGNATURE_FORMAT"],
  ["SHA-384 as the hash", signed(ed, { hash: "sha384" }), KEYS, "ERR_SIGNATURE_FORMAT"],
  ["the hash in capitals", signed(ed, { claimedHash: "SHA512" }), KEYS, "ERR_SIGNATURE_FORMAT"],
  ["another hash than was signed", signed(ed, { claimedHash: "sha256" }), KEYS, "ERR_SIGNATURE"],
  ["version 2", signed(ed, { version: 2 }), KEYS, "ERR_SIGNATURE_FORMAT"],
  ["version 0", signed(ed, { version: 0 }), KEYS, "ERR_SIGNATURE_FORMAT", true],
  ["something reserved", signed(ed, { reserved: "x" }), KEYS, "ERR_SIGNATURE_FORMAT", true],
  ["trailing bytes", signed(ed, { trailing: Buffer.of(0) }), KEYS, "ERR_SIGNATURE_FORMAT"],
  [
    "trailing bytes in the key",
    signed(ed, { keyBlob: Buffer.concat([ed.blob, Buffer.of(0)]) }),
    KEYS,
    "ERR_SIGNATURE_FORMAT",
  ],
  [
    "trailing bytes in the signature",
    signed(ed, { changeBlob: (blob) => Buffer.concat([blob, Buffer.of(0)]) }),
    KEYS,
    "ERR_SIGNATURE_FORMAT",
  ],
  ["a type of another key", signed(ed, { sign: { type: "ssh-rsa" } }), KEYS, "ERR_SIGNATURE"],
  ["P-256 said to be P-384", signed(p256, { sign: { type: "ecdsa-sha2-nistp384" } }), KEYS, "ERR_SIGNATURE"],
  ["P-256 with SHA-512", signed(p256, { sign: { digest: "sha512" } }), KEYS, "ERR_SIGNATURE"],
  ["ECDSA with leading zeros", signed(p256, { changeBlob: padded }), KEYS, "ERR_SIGNATURE_FORMAT", true],
  ["RSA with SHA-1", signed(rsa2048, { sign: { type: "ssh-rsa", digest: "sha1" } }), KEYS, "ERR_SIGNATURE"],
  ["RSA with SHA-512 said to be SHA-256", signed(rsa2048, { sign: { type: "rsa-sha2-256" } }), KEYS, "ERR_SIGNATURE"],
  [
    "RSA with SHA-1 said to be SHA-256",
    signed(rsa2048, { sign: { type: "rsa-sha2-256", digest: "sha1" } }),
    KEYS,
    "ERR_SIGNATURE",
  ],
  ["RSA with 1024 bits", signed(rsa1024), KEYS, "ERR_SIGNATURE", true],
  ["a security key's flags changed", signed(skEd, { changeBlob: flipFlags }), KEYS, "ERR_SIGNATURE"],
  [
    "a security key's signature without flags",
    signed(skEd, { changeBlob: (b) => b.subarray(0, -5) }),
    KEYS,
    "ERR_SIGNATURE_FORMAT",
  ],
  [
    "another application",
    signed(skEd, { keyBlob: withApplication("ssh:other") }),
    `* ${lineOf(withApplication("ssh:other"))}\n`,
    "ERR_SIGNATURE",
  ],
  ["CRLF", signed(ed).replaceAll("\n", "\r\n"), KEYS, "ERR_SIGNATURE_FORMAT"],
  ["all on one line", replaceBase64(signed(ed), (text) => text.replaceAll("\n", "")), KEYS, "signed"],
  [
    "a blank in the base64",
    replaceBase64(signed(ed), (text) => text.replace("\n", " \n")),
    KEYS,
    "ERR_SIGNATURE_FORMAT",
    true,
  ],
  [
    "an empty line in the base64",
    replaceBase64(signed(ed), (text) => text.replace("\n", "\n\n")),
    KEYS,
    "ERR_SIGNATURE_FORMAT",
    true,
  ],
  ["a stray character", replaceBase64(signed(ed), (text) => text.replace("\n", "!\n")), KEYS, "ERR_SIGNATURE_FORMAT"],
  ["without padding", replaceBase64(signed(ed), (text) => text.replaceAll("=", "")), KEYS, unpadded(ed)],
  ["text behind it", `${signed(ed)}more\n`, KEYS, "ERR_SIGNATURE_FORMAT", true],
  ["line feeds behind it", `${signed(ed)}\n\n`, KEYS, "signed"],
  ["two signatures", signed(ed) + signed(ed), KEYS, "ERR_SIGNATURE_FORMAT", true],
  ["cut", signed(ed).slice(0, -40), KEYS, "ERR_SIGNATURE_FORMAT"],
  ["a certificate", certified(), AUTHORITY, "signed"],
  ["a certificate over P-256", certified({}, p256), AUTHORITY, "signed"],
  ["a certificate over RSA", certified({}, rsa2048), AUTHORITY, "signed"],
  ["a certificate over a security key", certified({}, skEd), AUTHORITY, "signed"],
  ["a certificate by RSA", certified({}, ed, rsa2048), allow(`* cert-authority ${rsa2048.line}`), "signed"],
  ["a certificate by a security key", certified({}, ed, skP256), allow(`* cert-authority ${skP256.line}`), "signed"],
  [
    "a certificate by RSA with SHA-1",
    certified({ sign: { type: "ssh-rsa", digest: "sha1" } }, ed, rsa2048),
    allow(`* cert-authority ${rsa2048.line}`),
    "ERR_KEY_UNKNOWN",
    true,
  ],
  [
    "a certificate by RSA with 1024 bits",
    certified({}, ed, rsa1024),
    allow(`* cert-authority ${rsa1024.line}`),
    "ERR_KEY_UNKNOWN",
    true,
  ],
  [
    "a certificate by another that names the authority",
    certified({ authorityBlob: ca.blob }, ed, other),
    AUTHORITY,
    "ERR_KEY_UNKNOWN",
  ],
  ["a certificate that was changed", certified({ tamper: flipNonce }), AUTHORITY, "ERR_KEY_UNKNOWN"],
  ["a certificate of a host", certified({ type: 2 }), AUTHORITY, "ERR_KEY_UNKNOWN"],
  ["a certificate of no known type", certified({ type: 3 }), AUTHORITY, "ERR_SIGNATURE_FORMAT"],
  ["a certificate without principals", certified({ principals: [] }), AUTHORITY, "ERR_KEY_UNKNOWN"],
  ["a certificate for others", certified({ principals: ["b@example.com"] }), AUTHORITY, "ERR_KEY_UNKNOWN"],
  ["a principal with a NUL", certified({ principals: ["a@example.com\0"] }), AUTHORITY, "ERR_SIGNATURE_FORMAT", true],
  [
    "a principal with a comma",
    certified({ principals: ["a@example.com,b"] }),
    allow(`* cert-authority ${ca.line}`),
    "ERR_KEY_UNKNOWN",
  ],
  ["a principal that is a pattern", certified({ principals: ["*"] }), AUTHORITY, "ERR_KEY_UNKNOWN"],
  ["a certificate from that second on", certified({ validAfter: BigInt(SECONDS) }), AUTHORITY, "signed"],
  [
    "a certificate from the next second on",
    certified({ validAfter: BigInt(SECONDS + 1) }),
    AUTHORITY,
    "ERR_KEY_EXPIRED",
  ],
  ["a certificate to that second", certified({ validBefore: BigInt(SECONDS) }), AUTHORITY, "ERR_KEY_EXPIRED"],
  ["a certificate to the next second", certified({ validBefore: BigInt(SECONDS + 1) }), AUTHORITY, "signed"],
  [
    "a certificate for one command",
    certified({ criticalOptions: [["force-command", "/bin/true"]] }),
    AUTHORITY,
    "ERR_KEY_UNKNOWN",
    true,
  ],
  [
    "a certificate for one address",
    certified({ criticalOptions: [["source-address", "127.0.0.1/32"]] }),
    AUTHORITY,
    "ERR_KEY_UNKNOWN",
    true,
  ],
  ["an unknown critical option", certified({ criticalOptions: [["no-such", ""]] }), AUTHORITY, "ERR_KEY_UNKNOWN", true],
  [
    "a PIN asked for, not given",
    certified({ criticalOptions: [["verify-required", ""]] }, skEd),
    AUTHORITY,
    "ERR_KEY_UNKNOWN",
    true,
  ],
  [
    "a PIN asked for and given",
    signed(skEd, {
      keyBlob: certificate(skEd, ca, { criticalOptions: [["verify-required", ""]] }),
      sign: { flags: 5 },
    }),
    AUTHORITY,
    "signed",
  ],
  ["a chain of certificates", certified({ authorityBlob: certificate(ca, other) }), AUTHORITY, "ERR_SIGNATURE_FORMAT"],
  ["the authority's own signature", signed(ca), AUTHORITY, "ERR_KEY_UNKNOWN"],
  ["an authority's key, not said to be one", certified(), allow(`a@example.com ${ca.line}`), "ERR_KEY_UNKNOWN"],
  ["no signature", "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n", KEYS, "ERR_SIGNATURE_FORMAT"],
]

function flipFlags(blob: Buffer): Buffer {
  const changed = Buffer.from(blob)
  changed[changed.length - 5] = 5
  return changed
}

function flipNonce(blob: Buffer): Buffer {
  const changed = Buffer.from(blob)
  const at = changed.indexOf(Buffer.alloc(32, 7))
  changed[at] = 8
  return changed
}

function withApplication(application: string): Buffer {
  const fields = skEd.fields.subarray(0, 36)
  return Buffer.concat([sshString(skEd.type), fields, sshString(application)])
}

function lineOf(blob: Buffer): string {
  return `${blob.subarray(4, 4 + blob.readUInt32BE(0)).toString()} ${blob.toString("base64")}`
}

/** Only where there was padding is its absence an error. */
function unpadded(key: SshSigner): string {
  return signed(key).includes("=") ? "ERR_SIGNATURE_FORMAT" : "signed"
}

const hasGit = hasSshKeygen()
const world = new SshWorld()
afterAll(() => world.end())

describe("signatures", () => {
  test.each(cases)("%s", async (_, signature, allowed, expected, git) => {
    expect(await verdictOf(signature, allowed)).toBe(expected)
    if (!hasGit) return
    const file = world.write("object", joinSignedObject(PAYLOAD, Buffer.from(signature, "latin1"), "gpgsig"))
    const id = world.git(["hash-object", "-w", "-t", "commit", "--literally", file]).trim()
    expect(world.verdictOf(id, allowed).isAccepted, "git").toBe(git ?? expected === "signed")
  })

  test("what is proven", async () => {
    const { signer, claimed } = await verifier(AUTHORITY).verify(PAYLOAD, Buffer.from(certified()))
    const file = createHash("sha256").update(AUTHORITY).digest("hex")
    const lines = [{ file, line: 1, principals: ["a@example.com"] }]
    expect(signer).toMatchObject({ scheme: "ssh", principals: ["a@example.com"], lines })
    expect(signer?.fingerprints).toHaveLength(2)
    expect(claimed?.fingerprint).toBe(signer?.fingerprints[0])
  })

  test("what is said of a key that nobody named", async () => {
    const verdict = await verifier(KEYS).verify(PAYLOAD, Buffer.from(signed(other)))
    expect(verdict.signer).toBeUndefined()
    expect(verdict.claimed?.fingerprint).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/)
    expect(verdict.problem?.message).toContain(verdict.claimed?.fingerprint)
  })

  test("several files: each may name the key", async () => {
    const sources = ["", allow(`b@example.com ${ed.line}`), allow(`a@example.com ${ed.line}`)]
    const many = createKeyVerifier({
      openpgp: [],
      ssh: sources.map((allowedSigners, index) => ({ allowedSigners, source: `${index}` })),
    })
    const { signer } = await many.verify(PAYLOAD, Buffer.from(signed(ed)))
    const lines = [
      { line: 1, principals: ["b@example.com"] },
      { line: 1, principals: ["a@example.com"] },
    ]
    expect(signer).toMatchObject({ principals: ["b@example.com", "a@example.com"], lines })
  })

  test("which lines of a file accept the key", async () => {
    const text = allow(
      `a@example.com namespaces="file" ${ed.line}`,
      `a@example.com,b@example.com valid-before="20240101Z" ${ed.line}`,
      `b@example.com ${ed.line}`,
      `a@* ${other.line}`,
      `*@example.com ${ed.line}`,
    )
    const { signer } = await verifier(text).verify(PAYLOAD, Buffer.from(signed(ed)))
    // The first line that is valid then names the principals, as for git; that line is for files
    expect(signer).toMatchObject({ principals: ["a@example.com"], lines: [{ line: 5, principals: ["a@example.com"] }] })
  })

  test("who is not meant is no principal", async () => {
    const { signer } = await verifier(allow(`!b@example.com,*@example.com ${ed.line}`)).verify(
      PAYLOAD,
      Buffer.from(signed(ed)),
    )
    expect(signer).toMatchObject({ principals: ["*@example.com"] })
  })

  test("principals in UTF-8", async () => {
    const { signer } = await verifier(allow(`zoë@example.com ${ed.line}`)).verify(PAYLOAD, Buffer.from(signed(ed)))
    expect(signer).toMatchObject({ principals: ["zoë@example.com"] })
  })
})

describe("the date that a key has to be valid at", () => {
  const limited = allow(`a@example.com valid-after="20250101Z" ${ed.line}`)
  const verdict = async (payload: Uint8Array, allowed = limited): Promise<string> =>
    verdictOf(armor(sshsig(ed, payload)), allowed, payload)

  test("the committer's, not the author's", async () => {
    expect(await verdict(payloadOf(SECONDS))).toBe("signed")
    expect(await verdict(payloadOf(1_600_000_000))).toBe("ERR_KEY_EXPIRED")
  })

  test.each(["", "x", "-5", "0", "99999999999999999999"])("none that git can read: %j", async (seconds) => {
    expect(await verdict(payloadOf(seconds))).toBe("ERR_KEY_EXPIRED")
    expect(await verdict(payloadOf(seconds), KEYS)).toBe("signed")
  })

  test("the tagger's", async () => {
    const tag = (seconds: number): Buffer =>
      Buffer.from(
        `object ${TREE}\ntype tree\ntag x\ntagger A <a@example.com> ${seconds} +0000\n\ncommitter A <a> 1 +0000\n`,
      )
    expect(await verdict(tag(SECONDS))).toBe("signed")
    expect(await verdict(tag(1_600_000_000))).toBe("ERR_KEY_EXPIRED")
  })

  test("no certificate counts without one", async () => {
    const payload = payloadOf("")
    const armored = armor(sshsig(ed, payload, { keyBlob: certificate(ed, ca) }))
    expect(await verdictOf(armored, AUTHORITY, payload)).toBe("ERR_KEY_EXPIRED")
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
  const signatures: [string, Buffer, string][] = [
    ["Ed25519", sshsig(ed, PAYLOAD), KEYS],
    ["P-256", sshsig(p256, PAYLOAD), KEYS],
    ["a security key", sshsig(skEd, PAYLOAD), KEYS],
    ["a certificate", sshsig(ed, PAYLOAD, { keyBlob: certificate(ed, ca) }), AUTHORITY],
  ]

  test.each(signatures)("%s", { timeout: 60_000 }, async (_, blob, allowed) => {
    const one = verifier(allowed)
    const holds = async (payload: Uint8Array, armored: Uint8Array): Promise<boolean> =>
      (await one.verify(payload, armored)).signer !== undefined
    const armored = Buffer.from(armor(blob))
    expect(await holds(PAYLOAD, armored)).toBe(true)
    for (const { flipped, place } of flips(blob)) {
      if (await holds(PAYLOAD, Buffer.from(armor(flipped)))) expect.unreachable(`signature: ${place}`)
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

  test("never an exception, whatever the bytes", async () => {
    const one = verifier(KEYS)
    const prefix = Buffer.from("-----BEGIN SSH SIGNATURE-----\n")
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .uint8Array({ maxLength: 300 })
        .map((rest) => Buffer.from(armor(Buffer.concat([Buffer.from("SSHSIG\0\0\0\x01"), rest])))),
      fc.uint8Array({ maxLength: 300 }).map((rest) => Buffer.concat([prefix, rest])),
    )
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), bytes, async (payload, signature) => {
        expect((await one.verify(payload, signature)).problem).toBeDefined()
      }),
    )
  })

  test("any text of allowed signers is one", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 200, unit: "binary" }), async (text) => {
        expect(await verdictOf(signed(ed), text)).toBe("ERR_KEY_UNKNOWN")
      }),
    )
  })
})
