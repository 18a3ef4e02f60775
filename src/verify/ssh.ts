/**
 * Verifies SSH signatures of commits and tags against allowed signers, as git does with ssh-keygen (gpg-interface.c,
 * verify_ssh_signed_buffer; PROTOCOL.sshsig; PROTOCOL.certkeys).
 *
 * @module
 */

import { GitsignError, messageOf } from "../errors.ts"
import {
  type AllowedSigners,
  type AllowedSignersAnswer,
  parseAllowedSigners,
  principalsOf,
} from "../formats/allowed-signers.ts"
import { signingDate } from "../formats/signing-date.ts"
import { type SshCertificate, type SshPublicKey, sshFingerprint } from "../formats/ssh-key.ts"
import { parseSshSignature, parseSshSignatureBlob, type SshSignature, sshSignedData } from "../formats/ssh-signature.ts"
import { type KeyVerdict, provenBy, refusedBecause } from "./key-verdict.ts"
import { verifySshSignature } from "./ssh-signature.ts"

/** What git signs with SSH keys. */
const NAMESPACE = "git"

/** A file of allowed signers, and where it is from. */
export interface AllowedSignersSource {
  readonly allowedSigners: string
  readonly source: string
}

/** Verifies signatures against the allowed signers of all sources. */
export interface SshVerifier {
  /** Never throws on any payload or signature. @throws ERR_POLICY_LIMIT when allowed signers are too large */
  verify(payload: Uint8Array, signature: Uint8Array): KeyVerdict
}

/** Makes a verifier; the sources are read when the first signature comes. */
export function createSshVerifier(sources: readonly AllowedSignersSource[]): SshVerifier {
  let files: readonly AllowedSigners[] | undefined
  return {
    verify(payload, armored) {
      files ??= sources.map(({ allowedSigners }) => parseAllowedSigners(allowedSigners))
      let fingerprint: string | undefined
      try {
        const signature = parseSshSignature(armored)
        fingerprint = sshFingerprint(signature.publicKey)
        return verifyParsed(files, signature, payload)
      } catch (error) {
        return refusedBecause("ssh", error, fingerprint)
      }
    },
  }
}

function verifyParsed(files: readonly AllowedSigners[], signature: SshSignature, payload: Uint8Array): KeyVerdict {
  const { publicKey, namespace } = signature
  if (namespace !== NAMESPACE) {
    throw new GitsignError("ERR_SIGNATURE", `the SSH signature is for ${JSON.stringify(namespace)}, not for git`)
  }
  verifySshSignature(publicKey, signature.signature, sshSignedData(signature, payload))
  const seconds = signingDate(payload)
  const certificateRefusal = refusalOf(publicKey, seconds, signature.signature.securityKey?.flags)
  const answers = files.map((file) => principalsOf(file, publicKey, NAMESPACE, seconds, certificateRefusal))
  const lines = answers.flatMap((answer, index) =>
    "lines" in answer
      ? answer.lines.map(({ line, principals }) => ({
          file: files[index]?.digest ?? "",
          line,
          principals: principals.map(utf8),
        }))
      : [],
  )
  if (lines.length === 0) throw refusal(publicKey, answers, seconds)
  const authority = publicKey.certificate?.authority
  return provenBy({
    scheme: "ssh",
    fingerprints: [publicKey, ...(authority === undefined ? [] : [authority])].map(sshFingerprint),
    principals: [...new Set(answers.flatMap((answer) => ("lines" in answer ? answer.principals : [])))].map(utf8),
    lines,
  })
}

const utf8 = (text: string): string => Buffer.from(text, "latin1").toString("utf8")

/** The bit of a security key's flags that says that it knew its owner by a PIN or a finger. */
const USER_VERIFIED = 0x04

/** Why a certificate does not count, apart from its principals; undefined when it does, or when there is none. */
function refusalOf(
  { certificate }: SshPublicKey,
  seconds: number | undefined,
  flags: number | undefined,
): string | undefined {
  if (certificate === undefined) return undefined
  if (!certificate.isUser) return "it is for a host"
  try {
    const signature = parseSshSignatureBlob(certificate.signature)
    verifySshSignature(certificate.authority, signature, certificate.signed)
  } catch (error) {
    return `its own signature does not hold: ${messageOf(error)}`
  }
  // One without principals is good for everybody where OpenSSH logs in, but never for signatures
  if (certificate.principals.length === 0) return "it names no principals"
  if (!isCertificateInTime(certificate, seconds)) return "it was not valid then"
  // ssh-keygen passes over critical options; but who may only run one command, or come from one address, may not sign code with it
  const other = certificate.criticalOptions.find((name) => name !== "verify-required")
  if (other !== undefined) return `it is restricted by the critical option ${JSON.stringify(other)}`
  const isVerifyRequired = certificate.criticalOptions.includes("verify-required")
  if (isVerifyRequired && ((flags ?? 0) & USER_VERIFIED) === 0)
    return "it asks for a PIN or a finger, and none was given"
  return undefined
}

const isCertificateInTime = ({ validAfter, validBefore }: SshCertificate, seconds: number | undefined): boolean =>
  seconds !== undefined && BigInt(seconds) >= validAfter && BigInt(seconds) < validBefore

function refusal(
  key: SshPublicKey,
  answers: readonly AllowedSignersAnswer[],
  seconds: number | undefined,
): GitsignError {
  const name = `SSH key ${sshFingerprint(key)}`
  const refusals = answers.flatMap((answer) => ("refusal" in answer ? [answer] : []))
  const has = (kind: string): boolean => refusals.some(({ refusal }) => refusal === kind)
  const when = seconds === undefined ? "the object has no date" : `not at ${dateOf(seconds)}`
  if (has("time")) return new GitsignError("ERR_KEY_EXPIRED", `${name} is allowed for a time only: ${when}`)
  const refused = refusals.find((answer) => answer.refusal === "certificate")
  if (refused !== undefined) {
    const { certificate } = key
    const isLate = certificate !== undefined && !isCertificateInTime(certificate, seconds)
    const why = isLate ? `it is valid for a time only: ${when}` : (refused.reason ?? "")
    return new GitsignError(
      isLate ? "ERR_KEY_EXPIRED" : "ERR_KEY_UNKNOWN",
      `the certificate of ${name} does not count: ${why}`,
    )
  }
  if (has("namespace")) return new GitsignError("ERR_KEY_UNKNOWN", `${name} is allowed for other things than git only`)
  return new GitsignError("ERR_KEY_UNKNOWN", `signed with ${name}, which the policy does not name`)
}

/** Such as `2026-03-01T12:00:00Z`; seconds that no date can hold stay a number. */
function dateOf(seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? `${seconds} seconds` : date.toISOString().replace(".000Z", "Z")
}
