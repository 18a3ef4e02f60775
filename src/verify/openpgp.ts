/**
 * Verifies OpenPGP signatures of commits and tags (RFC 9580, RFC 4880) by the keys that a policy names; no keyring is touched.
 *
 * @module
 */

import type { AnyKeyPacket } from "openpgp"
import { GitsignError } from "../errors.ts"
import { decodeOpenPgpSignature } from "../formats/openpgp-armor.ts"
import { type OpenPgpSignature, parseOpenPgpSignature } from "../formats/openpgp-signature.ts"
import { type KeyVerdict, provenBy, refusedBecause } from "./key-verdict.ts"
import { hardened, type OpenPgp, type OpenPgpKeysSource, readSigningKeys, type SigningKey } from "./openpgp-keys.ts"

/** Verifies signatures by the keys of all sources. */
export interface OpenPgpVerifier {
  /** Never throws on any payload or signature. @throws ERR_POLICY when the keys of a source cannot be read */
  verify(payload: Uint8Array, signature: Uint8Array): Promise<KeyVerdict>
}

/** Makes a verifier; the package is loaded, and the sources are read, when the first signature comes that could hold. */
export function createOpenPgpVerifier(sources: readonly OpenPgpKeysSource[]): OpenPgpVerifier {
  let loading: Promise<Loaded> | undefined
  return {
    async verify(payload, armored) {
      let claimed: string | undefined
      try {
        const signature = parseOpenPgpSignature(decodeOpenPgpSignature(armored))
        claimed = claimedKey(signature)
        loading ??= load(sources)
        const loaded = await loading
        return await verifyParsed(loaded, signature, payload)
      } catch (error) {
        return refusedBecause("openpgp", error, claimed)
      }
    },
  }
}

interface Loaded {
  readonly openpgp: OpenPgp
  readonly keys: readonly SigningKey[]
}

async function load(sources: readonly OpenPgpKeysSource[]): Promise<Loaded> {
  const openpgp = await import("openpgp")
  return { openpgp, keys: await readSigningKeys(openpgp, sources) }
}

/** The fingerprint in a signature, else its key id. */
const claimedKey = ({ issuers }: OpenPgpSignature): string | undefined =>
  (issuers.find(({ form }) => form === "fingerprint") ?? issuers[0])?.hex

async function verifyParsed(
  { openpgp, keys }: Loaded,
  signature: OpenPgpSignature,
  payload: Uint8Array,
): Promise<KeyVerdict> {
  const named = keys.filter((key) => signature.issuers.every((issuer) => isOf(key, issuer)))
  if (named.length === 0) {
    throw new GitsignError(
      "ERR_KEY_UNKNOWN",
      `signed with OpenPGP key ${claimedKey(signature)}, which the policy does not name`,
    )
  }
  // A key id is so short that two keys can have the same
  let failure: unknown
  for (const key of named) {
    try {
      await verifyBy(openpgp, key, signature, payload)
      const fingerprints = [...new Set([key.primaryFingerprint, key.fingerprint])]
      return provenBy({ scheme: "openpgp", fingerprints, userIds: key.userIds })
    } catch (error) {
      failure ??= error
    }
  }
  throw failure
}

function isOf({ fingerprint, keyId }: SigningKey, { form, hex }: OpenPgpSignature["issuers"][number]): boolean {
  return hex === (form === "fingerprint" ? fingerprint : keyId)
}

async function verifyBy(
  openpgp: OpenPgp,
  key: SigningKey,
  signature: OpenPgpSignature,
  payload: Uint8Array,
): Promise<void> {
  const name = `OpenPGP key ${key.fingerprint}`
  const { packet, unusable } = key
  if (unusable !== undefined || packet === undefined) {
    throw new GitsignError("ERR_SIGNATURE", `${name} must not sign: ${unusable ?? "it cannot be read"}`)
  }
  await verifyPacket(openpgp, packet, signature, payload)
  const { created } = signature
  const day = (date: Date): string => date.toISOString().slice(0, 10)
  if (created < key.created) {
    throw new GitsignError("ERR_SIGNATURE", `the signature says that it is older than its key: ${day(created)}`)
  }
  if (key.revoked !== undefined && (key.revoked.from === undefined || created >= key.revoked.from)) {
    throw new GitsignError("ERR_KEY_EXPIRED", `${name} was revoked: ${key.revoked.reason}`)
  }
  if (key.expires !== undefined && created >= key.expires) {
    throw new GitsignError(
      "ERR_KEY_EXPIRED",
      `${name} had ended on ${day(key.expires)}, before it signed on ${day(created)}`,
    )
  }
}

/** The arithmetic. @throws ERR_SIGNATURE, ERR_SIGNATURE_FORMAT */
async function verifyPacket(
  openpgp: OpenPgp,
  key: AnyKeyPacket,
  { body, type, created }: OpenPgpSignature,
  payload: Uint8Array,
): Promise<void> {
  // A signature over text holds for every form of its line ends: only the one that all programs agree on counts
  if (type === "text" && payload.includes(0x0d)) {
    throw new GitsignError("ERR_SIGNATURE", "the OpenPGP signature is over text, and this has carriage returns")
  }
  const packet = new openpgp.SignaturePacket()
  const config = hardened(openpgp)
  try {
    packet.read(body)
  } catch (cause) {
    throw new GitsignError("ERR_SIGNATURE_FORMAT", "the OpenPGP signature cannot be read", { cause })
  }
  const [literal] = (await openpgp.createMessage({ binary: payload })).packets
  try {
    const { binary, text } = openpgp.enums.signature
    await packet.verify(key, type === "binary" ? binary : text, literal ?? {}, created, true, config)
  } catch (cause) {
    throw new GitsignError("ERR_SIGNATURE", "the OpenPGP signature does not match what it signs", { cause })
  }
}
