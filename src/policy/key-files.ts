/**
 * Whose keys a policy names: fingerprints of OpenPGP keys (RFC 4880 section 12.2, RFC 9580 section 5.5.4) and lines of SSH allowed signers
 * (ssh-keygen(1), ALLOWED SIGNERS). Only to tell which entry a proven key belongs to: src/verify decides whether a signature is good.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { type AllowedSigner, type AllowedSigners, parseAllowedSigners } from "../formats/allowed-signers.ts"
import { readOpenPgpKeys } from "../formats/openpgp-public-keys.ts"
import { sshFingerprint } from "../formats/ssh-key.ts"
import { matchSshPatternList } from "../formats/ssh-pattern.ts"
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

/**
 * The fingerprints of the primary keys in armored blocks, upper-case hex; at least one.
 *
 * @throws ERR_POLICY when there is none, or what is there is no OpenPGP
 */
export const openpgpFingerprints = (armored: string, source: string): readonly string[] =>
  armored === GITHUB_KEYS
    ? GITHUB_FINGERPRINTS
    : [...new Set(readOpenPgpKeys(armored, "ERR_POLICY", source).map(({ fingerprint }) => fingerprint))]

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
 * @throws ERR_POLICY
 */
export function checkKeys(policy: Policy): void {
  const { openpgp, ssh } = keysOf(policy)
  for (const { keys, source } of openpgp) openpgpFingerprints(keys, source)
  for (const { allowedSigners, source } of ssh) allowedSignersOf(allowedSigners, source)
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
  const found = all.flatMap(({ fingerprint: own, owner }) =>
    own === fingerprint && owner.scheme === "ssh" ? owner : [],
  )
  const [first] = found
  const fingerprints = found.find((owner) => owner.fingerprints[0] === fingerprint)?.fingerprints ?? first?.fingerprints
  const same = found.filter((owner) => owner.fingerprints[0] === fingerprints?.[0])
  const principals = new Set(same.flatMap((owner) => owner.principals).filter((name) => !name.startsWith("!")))
  return proverOf(policy)({
    scheme: "ssh",
    fingerprints: fingerprints ?? [fingerprint],
    principals: [...principals],
  })
}

/** A key and whom it stands for: what does not depend on the policy that judges it. */
export type KeyOwner =
  | (ProvenSigner & { readonly scheme: "openpgp" })
  | Omit<ProvenSigner & { readonly scheme: "ssh" }, "lines">

/** Everybody whom the keys of an entry stand for, an authority for those whom it certifies. {@link proverOf} makes a signer of each. */
export function keyOwners(
  entry: SignerEntry,
): readonly { readonly fingerprint: string; readonly name: string; readonly owner: KeyOwner }[] {
  if (entry.scheme === "keyless") return []
  if (entry.scheme === "openpgp") {
    const name = entry.keys === GITHUB_KEYS ? "GitHub's website" : ""
    const prints = openpgpFingerprints(entry.keys, entry.source)
    return prints.map((print) => ({
      ...{ fingerprint: print, name },
      owner: { scheme: "openpgp", fingerprints: [print], userIds: [] },
    }))
  }
  return allowedSignersOf(entry.allowedSigners, entry.source).signers.map(({ publicKey, principals, isAuthority }) => {
    const fingerprint = sshFingerprint(publicKey)
    const names = utf8(principals)
    return {
      ...{ fingerprint, name: isAuthority ? `an authority for ${names}` : names },
      owner: {
        scheme: "ssh",
        fingerprints: isAuthority ? ["", fingerprint] : [fingerprint],
        principals: names.split(","),
      },
    }
  })
}

/**
 * Tells of a key's owner what would be proven of their signatures with a policy's own files, as long as each line is valid. What it returns is
 * for many owners: the files are read once.
 */
export function proverOf(policy: Policy): (owner: KeyOwner) => ProvenSigner {
  const lines = new Map<string, (AllowedSigner & { readonly file: string })[]>()
  for (const { allowedSigners, source } of keysOf(policy).ssh) {
    const { digest, signers } = allowedSignersOf(allowedSigners, source)
    for (const one of signers) {
      const id = lineId(sshFingerprint(one.publicKey), one.isAuthority)
      const same = lines.get(id)
      if (same === undefined) lines.set(id, [{ ...one, file: digest }])
      else same.push({ ...one, file: digest })
    }
  }
  return (owner) => {
    if (owner.scheme === "openpgp") return owner
    // What was signed with a certificate is nothing that a line for the mere key accepts
    const [key = "", authority] = owner.fingerprints
    const own = lines.get(authority === undefined ? lineId(key, false) : lineId(authority, true)) ?? []
    const accepting = own.map(({ file, line, isAuthority, principals }) => {
      const patterns = utf8(principals).split(",")
      const isFor = (name: string): boolean =>
        isAuthority ? matchSshPatternList(latin1(name), principals) : patterns.includes(name)
      return { file, line, principals: owner.principals.filter(isFor) }
    })
    return { ...owner, lines: accepting.filter((one) => one.principals.length > 0) }
  }
}

const lineId = (fingerprint: string, isAuthority: boolean): string => `${fingerprint} ${isAuthority}`

const latin1 = (text: string): string => Buffer.from(text, "utf8").toString("latin1")

const utf8 = (text: string): string => Buffer.from(text, "latin1").toString("utf8")
