/**
 * Makes a signature: a fresh key, a certificate for it, the CMS over the payload, a timestamp, a log entry. What comes
 * out has passed the same verification that everyone else will apply to it.
 *
 * Pure but for the ports it is given; it has no clock of its own.
 *
 * @module
 */

import { createHash, createPrivateKey, createPublicKey, webcrypto } from "node:crypto"
import { GitsignError, messageOf } from "../errors.ts"
import { CMS_OID, encodeSignedAttrs, encodeSignedData } from "../formats/cms.ts"
import { encodeOctetString } from "../formats/der.ts"
import { encodeEcdsaSigValue } from "../formats/ecdsa.ts"
import { formatOfPayload, joinSignedObject, objectId } from "../formats/git-object.ts"
import { encodeTransparencyLogEntry, type HashedRekord, type TransparencyLogEntry } from "../formats/log-entry.ts"
import { encodePem, PUBLIC_KEY_LABEL, SIGNATURE_LABEL } from "../formats/pem.ts"
import { type Signer, signerOf } from "../formats/signer.ts"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import { type Certificate, isValidAt, parseCertificate } from "../formats/x509.ts"
import { onlineDigest } from "../verify/log-entry.ts"
import type { VerificationSummary } from "../verify/summary.ts"
import { verifySignature } from "../verify/verify.ts"

/** Asks a certificate authority to bind a key to the identity in a token. Certificates are DER, the leaf first. */
export type IssueCertificate = (request: {
  readonly identityToken: string
  readonly publicKeyDer: Uint8Array
  readonly publicKeyPem: string
  /** ECDSA-Sig-Value over the subject, which the authority takes from the token. */
  readonly signProofOfPossession: (subject: string) => Promise<Uint8Array>
}) => Promise<{ readonly certificates: readonly Uint8Array[] }>

/** Puts an entry into a transparency log and returns it with its proofs. */
export type LogEntryUpload = (entry: HashedRekord) => Promise<TransparencyLogEntry>

/** Has a timestamp authority sign the time over a signature; returns the TimeStampToken. */
export type Timestamp = (signature: Uint8Array) => Promise<Uint8Array>

/**
 * A key and its certificate, good for as many signatures as fit into the certificate's ten minutes. The key itself cannot be
 * had: the runtime holds it as not extractable, and only {@link Credential.sign} reaches it.
 */
export interface Credential {
  /** ECDSA over SHA-256 of the bytes: ECDSA-Sig-Value, DER. */
  readonly sign: (bytes: Uint8Array) => Promise<Uint8Array>
  readonly certificate: Certificate
  readonly signer: Signer
}

const { subtle } = webcrypto
const P256 = { name: "ECDSA", namedCurve: "P-256" } as const
const ECDSA_SHA256 = { name: "ECDSA", hash: "SHA-256" } as const

/**
 * Makes a fresh P-256 key and has it certified.
 *
 * @throws whatever the port throws; ERR_FULCIO when the certificate is malformed or not for this key
 */
export async function createCredential(identityToken: string, issueCertificate: IssueCertificate): Promise<Credential> {
  return certify(await subtle.generateKey(P256, false, ["sign", "verify"]), identityToken, issueCertificate)
}

/** A credential in a form that can be stored. It is a secret: whoever has it signs as its identity until the certificate ends. */
export interface KeptCredential {
  /** PKCS #8 (RFC 5958), DER. */
  readonly privateKeyPkcs8: Uint8Array
  /** DER. */
  readonly certificate: Uint8Array
}

/**
 * As {@link createCredential}, and gives the key out to be kept. The caller MUST put it only where none but this person reads it.
 *
 * @throws as {@link createCredential} does
 */
export async function createKeptCredential(
  identityToken: string,
  issueCertificate: IssueCertificate,
): Promise<{ readonly credential: Credential; readonly kept: KeptCredential }> {
  const keyPair = await subtle.generateKey(P256, true, ["sign", "verify"])
  const credential = await certify(keyPair, identityToken, issueCertificate)
  const privateKeyPkcs8 = new Uint8Array(await subtle.exportKey("pkcs8", keyPair.privateKey))
  return { credential, kept: { privateKeyPkcs8, certificate: credential.certificate.der } }
}

/**
 * The credential that was kept; its key cannot be had from it again. Whether the certificate is still valid is for the caller to ask.
 *
 * @throws ERR_CERTIFICATE when key or certificate cannot be read, or the certificate is for another key
 */
export async function restoreCredential(kept: KeptCredential): Promise<Credential> {
  const { certificate, signer } = readCertificate(kept.certificate, "ERR_CERTIFICATE", "the kept certificate")
  let publicKeyDer: Uint8Array
  let privateKey: webcrypto.CryptoKey
  try {
    const key = createPrivateKey({ key: Buffer.from(kept.privateKeyPkcs8), format: "der", type: "pkcs8" })
    publicKeyDer = createPublicKey(key).export({ format: "der", type: "spki" })
    privateKey = await subtle.importKey("pkcs8", Buffer.from(kept.privateKeyPkcs8), P256, false, ["sign"])
  } catch {
    // What the library says of a key is not for messages.
    throw new GitsignError("ERR_CERTIFICATE", "the kept key cannot be read")
  }
  if (Buffer.compare(certificate.subjectPublicKeyInfo, publicKeyDer) !== 0) {
    throw new GitsignError("ERR_CERTIFICATE", "the kept certificate is for another key")
  }
  return { sign: signerWith(privateKey), certificate, signer }
}

const signerWith =
  (privateKey: webcrypto.CryptoKey): Credential["sign"] =>
  async (bytes) =>
    encodeEcdsaSigValue(new Uint8Array(await subtle.sign(ECDSA_SHA256, privateKey, bytes)))

function readCertificate(
  der: Uint8Array,
  code: "ERR_FULCIO" | "ERR_CERTIFICATE",
  what: string,
): { readonly certificate: Certificate; readonly signer: Signer } {
  try {
    const certificate = parseCertificate(der)
    return { certificate, signer: signerOf(certificate) }
  } catch (cause) {
    throw new GitsignError(code, `${what} cannot be read: ${messageOf(cause)}`, { cause })
  }
}

async function certify(
  { privateKey, publicKey }: webcrypto.CryptoKeyPair,
  identityToken: string,
  issueCertificate: IssueCertificate,
): Promise<Credential> {
  const publicKeyDer = new Uint8Array(await subtle.exportKey("spki", publicKey))
  const signBytes = signerWith(privateKey)
  const { certificates } = await issueCertificate({
    identityToken,
    publicKeyDer,
    publicKeyPem: encodePem(PUBLIC_KEY_LABEL, publicKeyDer),
    signProofOfPossession: (subject) => signBytes(Buffer.from(subject, "utf8")),
  })
  const [leaf] = certificates
  if (leaf === undefined)
    throw new GitsignError("ERR_FULCIO", "the certificate authority answered without a certificate")
  const what = "the certificate authority answered with a certificate that"
  const { certificate, signer } = readCertificate(leaf, "ERR_FULCIO", what)
  if (Buffer.compare(certificate.subjectPublicKeyInfo, publicKeyDer) !== 0) {
    throw new GitsignError("ERR_FULCIO", "the certificate authority answered with a certificate for another key")
  }
  return { sign: signBytes, certificate, signer }
}

/**
 * gitsign.matchCommitter: one of the certificate's e-mail addresses is the committer's address, or one of its URIs the committer's name.
 *
 * @throws ERR_COMMITTER when neither is so
 */
export function checkCommitter(
  signer: Signer,
  committer: { readonly name: string | undefined; readonly email: string | undefined },
): void {
  const matches = signer.identities.some(
    ({ type, value }) =>
      (type === "email" && value === committer.email) || (type === "uri" && value === committer.name),
  )
  if (matches) return
  const expected = `${committer.name ?? "no user.name"} <${committer.email ?? "no user.email"}>`
  throw new GitsignError(
    "ERR_COMMITTER",
    `gitsign.matchCommitter asks for ${expected}, and the certificate names ${signer.identity || "nobody"}`,
  )
}

/** What is to be signed, and how. */
export interface SignRequest {
  /** The object without its signature, as git hands it over. */
  readonly payload: Uint8Array
  readonly credential: Credential
  /** False puts the payload into the signature. */
  readonly detached: boolean
  /** `offline` embeds the log entry of the signature; `online` logs the object id and embeds nothing. */
  readonly mode: "offline" | "online"
  /** The signer's clock. */
  readonly signingTime: Date
  /** What the finished signature is verified with. */
  readonly trustedRoot: TrustedRoot
  readonly logEntry: LogEntryUpload
  readonly timestamp?: Timestamp | undefined
}

/** A signature that has been verified. */
export interface SignOutcome {
  /** The CMS, DER. */
  readonly der: Uint8Array
  /** The CMS as PEM `SIGNED MESSAGE`. */
  readonly armored: string
  readonly signer: Signer
  readonly logEntry: TransparencyLogEntry
  readonly signingTime: Date
  readonly summary: VerificationSummary
}

/**
 * Signs a payload and verifies the result; nothing is returned that does not verify.
 *
 * @throws whatever the ports throw; ERR_GIT_OBJECT for online mode over something that git would not sign;
 * ERR_SELF_CHECK when the finished signature does not verify
 */
export async function sign(request: SignRequest): Promise<SignOutcome> {
  const { payload, credential, mode, detached, trustedRoot } = request
  const { certificate, signer } = credential
  const signingTime = new Date(Math.floor(request.signingTime.getTime() / 1000) * 1000)
  const signedAttrs = encodeSignedAttrs(createHash("sha256").update(payload).digest(), signingTime)
  const signature = await credential.sign(signedAttrs)
  const unsignedAttrs = new Map<string, Uint8Array>()
  // Before the log entry: a timestamp that cannot be had must not leave an entry for a signature that nobody gets.
  if (request.timestamp !== undefined) unsignedAttrs.set(CMS_OID.timeStampToken, await request.timestamp(signature))
  const parts = { certificate, signedAttrs, signature, unsignedAttrs, eContent: detached ? undefined : payload }

  let logEntry: TransparencyLogEntry
  let der: Uint8Array
  if (mode === "offline") {
    const digest = createHash("sha256").update(signedAttrs).digest()
    logEntry = await request.logEntry({ digest, signature, certificateDer: certificate.der })
    unsignedAttrs.set(CMS_OID.transparencyLogEntry, encodeOctetString(encodeTransparencyLogEntry(logEntry)))
    der = encodeSignedData(parts)
  } else {
    der = encodeSignedData(parts)
    const id = objectIdToBe(payload, der)
    logEntry = await request.logEntry({
      digest: onlineDigest(id),
      signature: await credential.sign(Buffer.from(id, "ascii")),
      certificateDer: certificate.der,
    })
  }

  const summary = verifySignature(
    { payload: detached ? payload : undefined, signature: der },
    // In offline mode the embedded entry counts and nothing else.
    { trustedRoot, logEntry: mode === "online" ? logEntry : undefined },
  )
  if (summary.verdict !== "verified") {
    const { error } = summary
    const clock = isValidAt(certificate, signingTime) ? "" : `; this machine's clock says ${signingTime.toISOString()}`
    throw new GitsignError(
      "ERR_SELF_CHECK",
      `the finished signature does not verify: ${error?.message} [${error?.code}]${clock}`,
      {
        cause: error,
      },
    )
  }
  return { der, armored: encodePem(SIGNATURE_LABEL, der), signer, logEntry, signingTime, summary }
}

/** The id of the object that git will write: it inserts the armored signature into the payload. */
function objectIdToBe(payload: Uint8Array, der: Uint8Array): string {
  const { type, objectFormat } = formatOfPayload(payload)
  const header = type === "tag" ? "appended" : objectFormat === "sha1" ? "gpgsig" : "gpgsig-sha256"
  const armored = Buffer.from(encodePem(SIGNATURE_LABEL, der), "latin1")
  return objectId(type, joinSignedObject(payload, armored, header), objectFormat)
}
