/**
 * OpenPGP public keys (RFC 9580 section 10.1) as far as verification needs them: which keys may sign, from when to when, and who vouches.
 *
 * The `openpgp` package parses and does the arithmetic. What is valid when is decided here: as for gpg, the newest self-signature counts,
 * also for what was signed before it, since a key that was prolonged keeps only that one; and no clock is asked.
 *
 * @module
 */

import type { AnyKeyPacket, Config, Key, SignaturePacket, Subkey } from "openpgp"
import { type OpenPgpKey, readOpenPgpKeys } from "../formats/openpgp-public-keys.ts"

/** The `openpgp` package; it is loaded when the first OpenPGP signature comes. */
export type OpenPgp = typeof import("openpgp")

/** Armored public keys, and where they are from. */
export interface OpenPgpKeysSource {
  readonly keys: string
  readonly source: string
}

/** One key that signatures may name: a primary key or a subkey. */
export interface SigningKey {
  /** Undefined exactly when the key cannot be read, and `unusable` says so. */
  readonly packet: AnyKeyPacket | undefined
  /** Upper-case hex. */
  readonly fingerprint: string
  /** 16 digits of it, by which older signatures name it. */
  readonly keyId: string
  readonly primaryFingerprint: string
  readonly userIds: readonly string[]
  /** Why it must not sign at all, such as `it may only encrypt`; undefined when it may. */
  readonly unusable: string | undefined
  readonly created: Date
  /** From when on it is not valid any more; undefined: it does not end. */
  readonly expires: Date | undefined
  /** Undefined: not revoked. Without a date it never counted: its secret may be in other hands. */
  readonly revoked: { readonly from: Date | undefined; readonly reason: string } | undefined
}

/** The package's settings: nothing weak, and nothing that it would only warn about. */
export function hardened({ config, enums }: OpenPgp): Config {
  const { md5, ripemd, sha1, sha224 } = enums.hash
  const { dsa, elgamal } = enums.publicKey
  const weak = new Set([md5, ripemd, sha1, sha224])
  return {
    ...config,
    minRSABits: 2048,
    rejectHashAlgorithms: weak,
    rejectMessageHashAlgorithms: weak,
    rejectPublicKeyAlgorithms: new Set([dsa, elgamal]),
    // Brainpool: the package needs another one for it, which is not there
    rejectCurves: new Set([
      enums.curve.secp256k1,
      enums.curve.brainpoolP256r1,
      enums.curve.brainpoolP384r1,
      enums.curve.brainpoolP512r1,
    ]),
    allowMissingKeyFlags: false,
    allowInsecureVerificationWithReformattedKeys: false,
    enableParsingV5Entities: false,
    ignoreUnsupportedPackets: true,
    ignoreMalformedPackets: false,
    enforceGrammar: true,
    knownNotations: [],
    additionalAllowedPackets: [],
  }
}

/**
 * Reads all sources. Several copies of one key become one: a revocation in any of them counts. A key that cannot be read may not sign, and is
 * no hindrance to the others.
 *
 * @throws ERR_POLICY when a source has no public key, is damaged, or has a secret one
 */
export async function readSigningKeys(
  openpgp: OpenPgp,
  sources: readonly OpenPgpKeysSource[],
): Promise<readonly SigningKey[]> {
  const config = hardened(openpgp)
  const merged = new Map<string, Key>()
  const unreadable = new Map<string, SigningKey>()
  const all = sources.flatMap(({ keys, source }) => readOpenPgpKeys(keys, "ERR_POLICY", source))
  for (const one of all) {
    const { fingerprint } = one
    const key = await readKey(openpgp, config, one)
    const known = merged.get(fingerprint)
    if (key === undefined) unreadable.set(fingerprint, unreadableKey(one))
    // The date only says which signatures of the copies to look at; all of them have been made by now
    else merged.set(fingerprint, known === undefined ? key : await known.update(key, FAR_AWAY, config))
  }
  // Of two copies the one that cannot be read may be the one with a revocation
  const readable = [...merged].flatMap(([fingerprint, key]) => (unreadable.has(fingerprint) ? [] : key))
  const found = await Promise.all(readable.map((key) => signingKeysOf(openpgp, config, key)))
  return [...found.flat(), ...unreadable.values()]
}

const FAR_AWAY = new Date(Date.UTC(2106, 1, 7))

/** Undefined for one that the package does not know, or takes for malformed. */
async function readKey(openpgp: OpenPgp, config: Config, { bytes, fingerprint }: OpenPgpKey): Promise<Key | undefined> {
  try {
    const [key, ...others] = await openpgp.readKeys({ binaryKeys: bytes, config })
    return others.length === 0 && key?.getFingerprint().toUpperCase() === fingerprint ? key : undefined
  } catch {
    return undefined
  }
}

const unreadableKey = ({ fingerprint, keyId, created, unknown }: OpenPgpKey): SigningKey => ({
  ...{ fingerprint, keyId, created, primaryFingerprint: fingerprint, userIds: [] },
  packet: undefined,
  unusable: unknown ?? "it cannot be read",
  expires: undefined,
  revoked: undefined,
})

async function signingKeysOf(openpgp: OpenPgp, config: Config, key: Key): Promise<readonly SigningKey[]> {
  const check = new KeyCheck(openpgp, config, key)
  const primary = await check.primary()
  const subkeys = await Promise.all(key.subkeys.map((subkey) => check.subkey(subkey, primary)))
  return [primary, ...subkeys]
}

interface PrimaryKey extends SigningKey {
  /** Why nothing it says counts, also not of its subkeys. */
  readonly doubt: string | undefined
}

/** Looks at one key with all its self-signatures. */
class KeyCheck {
  readonly #openpgp: OpenPgp
  readonly #config: Config
  readonly #key: Key

  constructor(openpgp: OpenPgp, config: Config, key: Key) {
    this.#openpgp = openpgp
    this.#config = config
    this.#key = key
  }

  async primary(): Promise<PrimaryKey> {
    const { keyPacket: packet } = this.#key
    const { key: directType, keyRevocation } = this.#openpgp.enums.signature
    const users = await this.#users()
    const direct = newest(await this.#holding(directSignaturesOf(this.#key), packet, directType, { key: packet }))
    const certification = newest(users.map(({ certification: one }) => one))
    const bindings = [certification, direct].filter((one) => one !== undefined)
    // From version 6 on the direct signature says what a key is for (RFC 9580 section 10.1.1)
    const flags = packet.version === 6 ? direct?.keyFlags : (certification?.keyFlags ?? direct?.keyFlags)
    const doubt = this.#weakness(packet) ?? (bindings.length === 0 ? this.#whyUnbound() : undefined)
    return {
      doubt,
      packet,
      fingerprint: fingerprintOf(packet),
      keyId: keyIdOf(packet),
      primaryFingerprint: fingerprintOf(packet),
      userIds: users.map(({ userId }) => userId),
      unusable: doubt ?? mayNotSign(this.#openpgp, flags, "its owner did not make it for"),
      created: packet.created,
      expires: earliest(bindings.map((binding) => expiryOf(packet, binding))),
      revoked: await this.#revocation(this.#key.revocationSignatures, keyRevocation, { key: packet }),
    }
  }

  #whyUnbound(): string {
    const { rejectHashAlgorithms } = this.#config
    const all = [...this.#key.users.flatMap((user) => user.selfCertifications), ...directSignaturesOf(this.#key)]
    const isWeak = all.some(({ hashAlgorithm }) => hashAlgorithm !== null && rejectHashAlgorithms.has(hashAlgorithm))
    return isWeak ? "it vouches for itself with SHA-1 or weaker only" : "no user id of it holds"
  }

  /** A subkey is valid no longer than its primary key. */
  async subkey(
    { keyPacket: packet, bindingSignatures, revocationSignatures }: Subkey,
    primary: PrimaryKey,
  ): Promise<SigningKey> {
    const { subkeyBinding, subkeyRevocation, keyBinding } = this.#openpgp.enums.signature
    const data = { key: this.#key.keyPacket, bind: packet }
    const binding = newest(await this.#holding(bindingSignatures, this.#key.keyPacket, subkeyBinding, data))
    const own = await this.#revocation(revocationSignatures, subkeyRevocation, data)
    // Else anybody could take over another's signing key as a subkey, and with it all that it signed (RFC 9580 section 5.2.1.9)
    const backSignature = binding?.embeddedSignature
    const isMutual =
      backSignature != null && (await this.#holding([backSignature], packet, keyBinding, data)).length === 1
    const unusable =
      binding === undefined
        ? "its primary key does not vouch for it"
        : (mayNotSign(this.#openpgp, binding.keyFlags, "its primary key does not have it for") ??
          (isMutual ? this.#weakness(packet) : "it does not itself say that it belongs to its primary key"))
    return {
      packet,
      fingerprint: fingerprintOf(packet),
      keyId: keyIdOf(packet),
      primaryFingerprint: primary.fingerprint,
      userIds: primary.userIds,
      unusable: unusable ?? primary.doubt,
      created: packet.created,
      expires: earliest([primary.expires, binding === undefined ? undefined : expiryOf(packet, binding)]),
      revoked: primary.revoked?.from === undefined ? (primary.revoked ?? own) : earlierOf(primary.revoked, own),
    }
  }

  /** The user ids that the key vouches for, each with the newest self-signature; revoked ones are left out. */
  async #users(): Promise<{ readonly userId: string; readonly certification: SignaturePacket }[]> {
    const { certGeneric, certRevocation } = this.#openpgp.enums.signature
    const { keyPacket } = this.#key
    const users = await Promise.all(
      this.#key.users.map(async ({ userID, selfCertifications, revocationSignatures }) => {
        if (userID === null) return []
        const data = { userID, key: keyPacket }
        const certification = newest(await this.#holding(selfCertifications, keyPacket, certGeneric, data))
        const revocation = newest(await this.#holding(revocationSignatures, keyPacket, certRevocation, data))
        if (certification === undefined || (revocation !== undefined && madeAt(revocation) >= madeAt(certification)))
          return []
        return [{ userId: userID.userID, certification }]
      }),
    )
    return users.flat()
  }

  /** Those of the signatures that `by` really made. */
  async #holding(
    signatures: readonly SignaturePacket[],
    by: AnyKeyPacket,
    type: number,
    data: object,
  ): Promise<SignaturePacket[]> {
    const checked = await Promise.all(
      signatures.map(async (signature) => {
        try {
          // At its own date, so that the date does not decide
          await signature.verify(by, type, data, signature.created ?? FAR_AWAY, false, this.#config)
          return [signature]
        } catch {
          return []
        }
      }),
    )
    return checked.flat()
  }

  async #revocation(
    signatures: readonly SignaturePacket[],
    type: number,
    data: object,
  ): Promise<SigningKey["revoked"]> {
    const { keySuperseded, keyRetired, userIDInvalid } = this.#openpgp.enums.reasonForRevocation
    const soft: readonly (number | null)[] = [keySuperseded, keyRetired, userIDInvalid]
    const held = await this.#holding(signatures, this.#key.keyPacket, type, data)
    const all = held.map((signature) => {
      const flag = signature.reasonForRevocationFlag
      return soft.includes(flag)
        ? {
            from: new Date(madeAt(signature)),
            reason: flag === keySuperseded ? "it has a successor" : "it was retired",
          }
        : { from: undefined, reason: "its secret may be known to others, or its owner gave no reason" }
    })
    return all.reduce<SigningKey["revoked"]>(
      (found, one) => (found === undefined ? one : earlierOf(found, one)),
      undefined,
    )
  }

  /** Why a key must not be used whatever it says, such as `it is RSA with 1024 bits`. */
  #weakness(packet: AnyKeyPacket): string | undefined {
    const { algorithm, bits, curve } = packet.getAlgorithmInfo()
    if (this.#config.rejectPublicKeyAlgorithms.has(packet.algorithm)) return `it is of the kind ${algorithm}`
    if (bits !== undefined && algorithm.startsWith("rsa") && bits < this.#config.minRSABits)
      return `it is RSA with ${bits} bits`
    const isBadCurve = curve !== undefined && [...this.#config.rejectCurves].some((bad) => bad === curve)
    return isBadCurve ? `it is on the curve ${curve}, which is not supported` : undefined
  }
}

const fingerprintOf = (packet: AnyKeyPacket): string => packet.getFingerprint().toUpperCase()

const keyIdOf = (packet: AnyKeyPacket): string => packet.getKeyID().toHex().toUpperCase()

/** The package keeps them, but its types do not say so. */
const directSignaturesOf = (key: Key): readonly SignaturePacket[] =>
  (key as Key & { readonly directSignatures?: readonly SignaturePacket[] }).directSignatures ?? []

/** Milliseconds since 1970. */
const madeAt = ({ created }: SignaturePacket): number => created?.getTime() ?? 0

const newest = (signatures: readonly SignaturePacket[]): SignaturePacket | undefined =>
  signatures.reduce<SignaturePacket | undefined>(
    (found, one) => (found === undefined || madeAt(one) > madeAt(found) ? one : found),
    undefined,
  )

function mayNotSign({ enums }: OpenPgp, flags: ArrayLike<number> | null | undefined, what: string): string | undefined {
  return ((flags?.[0] ?? 0) & enums.keyFlags.signData) !== 0 ? undefined : `${what} signing`
}

/** When a key ends by one of its self-signatures, or that one itself ends. */
function expiryOf(packet: AnyKeyPacket, binding: SignaturePacket): Date | undefined {
  const { keyExpirationTime } = binding
  const end = binding.getExpirationTime()
  return earliest([
    keyExpirationTime ? new Date(packet.created.getTime() + keyExpirationTime * 1000) : undefined,
    end instanceof Date ? end : undefined,
  ])
}

const earliest = (dates: readonly (Date | undefined)[]): Date | undefined =>
  dates.reduce((found, date) => (found === undefined || (date !== undefined && date < found) ? date : found), undefined)

/** The revocation that takes away more. */
function earlierOf(
  one: NonNullable<SigningKey["revoked"]>,
  other: SigningKey["revoked"],
): NonNullable<SigningKey["revoked"]> {
  if (one.from === undefined || other === undefined) return one
  return other.from === undefined || other.from < one.from ? other : one
}
