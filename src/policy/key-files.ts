/**
 * Whose keys a policy names: fingerprints of OpenPGP keys (RFC 4880 section 12.2, RFC 9580 section 5.5.4) and lines of SSH allowed signers
 * (ssh-keygen(1), ALLOWED SIGNERS). Only to tell which entry a proven key belongs to: src/verify decides whether a signature is good.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError } from "../errors.ts"
import { type AllowedSigners, parseAllowedSigners } from "../formats/allowed-signers.ts"
import { decodeOpenPgpKeys } from "../formats/openpgp-armor.ts"
import { sshFingerprint } from "../formats/ssh-key.ts"
import type { ProvenSigner } from "./facts.ts"
import type { Policy, SignerEntry } from "./model.ts"

/** What stands for GitHub's web-flow keys in place of keys: they come with gitsign. */
export const GITHUB_KEYS = "github"

/**
 * The keys with which GitHub signs what is made on its website: https://github.com/web-flow.gpg, since 2024 and before.
 *
 * A test compares them with the keys that come with gitsign.
 */
export const GITHUB_FINGERPRINTS: readonly string[] = [
  "968479A1AFF927E37D1A566BB5690EEEBB952194",
  "5DE3E0509C47EA3CF04A42D34AEE18F83AFDEB23",
]

const PUBLIC_KEY = 6

/**
 * The fingerprints of the primary keys in armored blocks, upper-case hex; at least one.
 *
 * @throws ERR_POLICY when there is none, or what is there is no OpenPGP
 */
export function openpgpFingerprints(armored: string, source: string): readonly string[] {
  if (armored === GITHUB_KEYS) return GITHUB_FINGERPRINTS
  const packets = decodeOpenPgpKeys(armored, "ERR_POLICY", source)
  const found = new Set<string>()
  for (let offset = 0; offset < packets.length; ) {
    const packet = readPacket(packets, offset)
    const print = packet?.tag === PUBLIC_KEY ? fingerprintOf(packet.body) : ""
    if (packet === undefined || print === undefined) break
    if (print !== "") found.add(print)
    offset = packet.end
    if (offset === packets.length && found.size > 0) return [...found]
  }
  throw new GitsignError("ERR_POLICY", `${source} has an OpenPGP key that cannot be read`)
}

/** Undefined for version 3, whose MD5 anybody can match, and 5, which never became a standard. */
function fingerprintOf(body: Buffer): string | undefined {
  const prefix = Buffer.alloc(body[0] === 4 ? 3 : 5)
  if ((body[0] !== 4 && body[0] !== 6) || (body[0] === 4 && body.length > 0xffff)) return undefined
  prefix[0] = body[0] === 4 ? 0x99 : 0x9b
  prefix.writeUIntBE(body.length, 1, prefix.length - 1)
  const hash = createHash(body[0] === 4 ? "sha1" : "sha256")
  return hash.update(prefix).update(body).digest("hex").toUpperCase()
}

interface Packet {
  readonly tag: number
  readonly body: Buffer
  readonly end: number
}

/** One packet (RFC 9580 section 4.2); undefined for what is none, or has a length that no key needs. */
function readPacket(bytes: Buffer, offset: number): Packet | undefined {
  const at = (index: number): number => bytes[offset + index] ?? 0
  const isThere = (octets: number): boolean => offset + octets <= bytes.length
  const header = at(0)
  let size: readonly [start: number, length: number]
  if ((header & 0xc0) === 0xc0) {
    if (!isThere(6)) return undefined
    const first = at(1)
    if (first >= 224 && first < 255) return undefined
    if (first < 192) size = [2, first]
    else size = first < 224 ? [3, ((first - 192) << 8) + at(2) + 192] : [6, bytes.readUInt32BE(offset + 2)]
  } else {
    const octets = [1, 2, 4][header & 3]
    if ((header & 0x80) === 0 || octets === undefined || !isThere(1 + octets)) return undefined
    size = [1 + octets, bytes.readUIntBE(offset + 1, octets)]
  }
  const [start, length] = size
  if (!isThere(start + length)) return undefined
  const tag = (header & 0xc0) === 0xc0 ? header & 0x3f : (header >> 2) & 0x0f
  return { tag, body: bytes.subarray(offset + start, offset + start + length), end: offset + start + length }
}

/**
 * Reads a text of allowed signers; at least one line can be read.
 *
 * @throws ERR_POLICY when none can
 */
export function allowedSignersOf(text: string, source: string): AllowedSigners {
  const read = parseAllowedSigners(text)
  if (read.signers.length > 0) return read
  const [bad] = read.unreadable
  const why = bad === undefined ? "is empty" : `has no line that can be read: line ${bad.line}: ${bad.reason}`
  throw new GitsignError("ERR_POLICY", `the allowed signers in ${source} cannot be used: the text ${why}`)
}

/**
 * Reads all keys of a policy once, so that a file that holds none is an error of the policy and not a signer that nobody is.
 *
 * A key may be in several files only with the same options: what is proven of a signature tells a key and its principals, not a file, so that
 * a line which is valid in one file would make good one that has expired in another.
 *
 * @throws ERR_POLICY
 */
export function checkKeys(policy: Policy): void {
  const { openpgp, ssh } = keysOf(policy)
  for (const { keys, source } of openpgp) openpgpFingerprints(keys, source)
  const known = new Map<string, { readonly options: string; readonly source: string }>()
  for (const { allowedSigners, source } of ssh) {
    const options = new Map<string, Set<string>>()
    for (const line of allowedSignersOf(allowedSigners, source).signers) {
      const id = `${sshFingerprint(line.publicKey)}${line.isAuthority ? " as an authority" : ""}`
      const written = JSON.stringify([line.namespaces, line.validAfter, line.validBefore])
      options.set(id, (options.get(id) ?? new Set()).add(written))
    }
    for (const [id, lines] of options) {
      const written = [...lines].sort().join()
      const before = known.get(id)
      if (before !== undefined && before.options !== written) {
        const message = `the SSH key ${id} has other options in ${before.source} than in ${source}; write the same in both`
        throw new GitsignError("ERR_POLICY", message)
      }
      known.set(id, { options: written, source })
    }
  }
}

/** Every set of OpenPGP keys and SSH allowed signers of a policy, once each; {@link GITHUB_KEYS} in the place of keys that come with gitsign. */
export function keysOf(policy: Policy): {
  readonly openpgp: readonly { readonly keys: string; readonly source: string }[]
  readonly ssh: readonly { readonly allowedSigners: string; readonly source: string }[]
} {
  const openpgp = new Map<string, string>()
  const ssh = new Map<string, string>()
  for (const entry of [...policy.signers.values()].flat()) {
    if (entry.scheme === "openpgp") openpgp.set(entry.keys, entry.source)
    if (entry.scheme === "ssh") ssh.set(entry.allowedSigners, entry.source)
  }
  return {
    openpgp: [...openpgp].map(([keys, source]) => ({ keys, source })),
    ssh: [...ssh].map(([allowedSigners, source]) => ({ allowedSigners, source })),
  }
}

/**
 * Whoever has a key, as if a signature with it had been verified with the policy's own files at a time at which it is valid; for the key of an
 * authority, whoever it certifies.
 *
 * @param userId of an OpenPGP key, which is not looked into
 */
export function provenKey(policy: Policy, fingerprint: string, userId: string): ProvenSigner {
  if (!fingerprint.startsWith("SHA256:")) return { scheme: "openpgp", fingerprints: [fingerprint], userIds: [userId] }
  const all = [...policy.signers.values()].flat().flatMap(keyOwners)
  const found = all.flatMap((owner) =>
    owner.fingerprint === fingerprint && owner.signer.scheme === "ssh" ? owner.signer : [],
  )
  const [first] = found
  const fingerprints =
    found.find((signer) => signer.fingerprints[0] === fingerprint)?.fingerprints ?? first?.fingerprints
  const same = found.filter((signer) => signer.fingerprints[0] === fingerprints?.[0])
  const principals = new Set(same.flatMap((signer) => signer.principals).filter((name) => !name.startsWith("!")))
  return { scheme: "ssh", fingerprints: fingerprints ?? [fingerprint], principals: [...principals] }
}

/** Everybody whom the keys of an entry stand for, as if their signatures had been verified; an authority for those whom it certifies. */
export function keyOwners(
  entry: SignerEntry,
): readonly { readonly fingerprint: string; readonly name: string; readonly signer: ProvenSigner }[] {
  if (entry.scheme === "keyless") return []
  if (entry.scheme === "openpgp") {
    const name = entry.keys === GITHUB_KEYS ? "GitHub's website" : ""
    const prints = openpgpFingerprints(entry.keys, entry.source)
    return prints.map((print) => ({
      ...{ fingerprint: print, name },
      signer: { scheme: "openpgp", fingerprints: [print], userIds: [] },
    }))
  }
  return allowedSignersOf(entry.allowedSigners, entry.source).signers.map(({ publicKey, principals, isAuthority }) => {
    const fingerprint = sshFingerprint(publicKey)
    const names = utf8(principals)
    return {
      ...{ fingerprint, name: isAuthority ? `an authority for ${names}` : names },
      signer: {
        scheme: "ssh",
        fingerprints: isAuthority ? ["", fingerprint] : [fingerprint],
        principals: names.split(","),
      },
    }
  })
}

const utf8 = (text: string): string => Buffer.from(text, "latin1").toString("utf8")
