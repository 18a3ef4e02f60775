/**
 * Checks the signature of one object, without asking who may have made it. Pure, so that a worker thread can do it; what goes in and
 * comes out is plain data.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import { type ObjectFormat, parseSignedObject, type SignedObject, signatureMarker } from "../formats/git-object.ts"
import { type ObjectSummary, summarizeObject } from "../formats/object-summary.ts"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import type { ProvenSigner } from "../policy/facts.ts"
import { STEPS } from "../verify/steps.ts"
import type { StepResult, VerificationSummary } from "../verify/summary.ts"
import { verifySignature } from "../verify/verify.ts"
import type { AuditedSigner, Problem } from "./result.ts"

/** One object as git stores it. */
export interface StoredObject {
  readonly type: "commit" | "tag"
  /** Hex. */
  readonly id: string
  readonly raw: Uint8Array
}

/** What was found out about one signature. */
export interface SignatureCheck {
  readonly verdict: "verified" | "failed" | "unavailable"
  readonly problem: Problem | undefined
  readonly scheme: "keyless" | "openpgp" | "ssh" | "other" | "none"
  readonly signer: AuditedSigner | undefined
  /** Set exactly when the verdict is `verified`. */
  readonly proven: ProvenSigner | undefined
  /** Why the certificate is not proven to be in a CT log, where everything else is: the caller decides what that means. */
  readonly sctProblem: Problem | undefined
  readonly mode: "offline" | "online"
  readonly log: { readonly origin: string; readonly index: string; readonly time: Date | undefined } | undefined
  readonly timestamps: readonly Date[]
  readonly claimedSigningTime: Date | undefined
  readonly steps: readonly StepResult[]
}

/** A checked object. */
export interface CheckedObject {
  readonly type: "commit" | "tag"
  readonly id: string
  readonly summary: ObjectSummary
  /** The name that a tag was made for. */
  readonly tagName: string | undefined
  readonly signature: SignatureCheck
}

const NOTHING = {
  signer: undefined,
  proven: undefined,
  sctProblem: undefined,
  mode: "offline",
  log: undefined,
  timestamps: [],
  claimedSigningTime: undefined,
  steps: STEPS.map((step) => ({ step, outcome: "not checked" })),
} as const satisfies Partial<SignatureCheck>

/** An error as plain data. */
export const problemOf = ({ code, message, hint }: GitsignError): Problem => ({ code, message, hint })

/** The check of an object that was refused, or could not be read, before there was a signature to look at. */
export const refusedCheck = (error: GitsignError): SignatureCheck => ({
  ...NOTHING,
  verdict: error.exitStatus === 1 ? "failed" : "unavailable",
  problem: problemOf(error),
  scheme: error.code === "ERR_NOT_SIGNED" ? "none" : "other",
})

/** Checks the signature of an object. Never throws on untrusted bytes. */
export function checkObject(object: StoredObject, trustedRoot: TrustedRoot): CheckedObject {
  const { type, id, raw } = object
  const described = { type, id, summary: summarizeObject(raw) }
  let tagName: string | undefined
  try {
    const parsed = parseSignedObject(type, raw, objectFormatOf(id))
    // Known of an unsigned tag, too.
    tagName = parsed.tagName
    const { payload, signature } = withSignature(parsed, object)
    return { ...described, tagName, signature: checkSignature(payload, signature, trustedRoot) }
  } catch (error) {
    if (!isGitsignError(error)) throw error
    return { ...described, tagName, signature: refusedCheck(error) }
  }
}

const objectFormatOf = (id: string): ObjectFormat => (id.length === 40 ? "sha1" : "sha256")

/**
 * Splits an object into what was signed and the signature.
 *
 * @throws ERR_NOT_SIGNED, ERR_GIT_OBJECT, ERR_DUPLICATE_SIGNATURE, ERR_PEM
 */
export const takeApart = (object: StoredObject): SignedObject & { readonly signature: Uint8Array } =>
  withSignature(parseSignedObject(object.type, object.raw, objectFormatOf(object.id)), object)

/**
 * How to sign an object that is not signed. Here nobody knows which branch has it, and a command that named none would sign what is on
 * the branch that happens to be checked out.
 *
 * @param refName what the ref of a tag is called; never the name in it, which whoever made it has chosen and which may be that of a good tag
 */
export function signingHint({ type, raw }: Pick<StoredObject, "type" | "raw">, refName?: string): string {
  if (type === "tag") return `sign it with: ${signedTagCommand(refName ?? "NAME") ?? signedTagCommand("NAME")}`
  const range = summarizeObject(raw).parents.length === 0 ? "--root BRANCH" : "COMMIT^..BRANCH"
  return `have it signed where it was made: gitsign resign ${range}`
}

/**
 * The command that signs a tag that is not signed; undefined for a name that a shell or git could take for something else. The message stays
 * as it is, byte for byte: `git tag -F` would take out lines that begin with `#`, and a tag's own editor starts empty.
 */
export function signedTagCommand(name: string): string | undefined {
  if (!isPlainTag(name)) return undefined
  return [
    `git cat-file tag refs/tags/${name}`,
    // It ends the last line, behind which git would else put the signature, where it is none.
    "LC_ALL=C awk 'body; /^$/ { body = 1 }'",
    `git tag -s -f --cleanup=verbatim -F - ${name} 'refs/tags/${name}^{}'`,
  ].join(" | ")
}

/** The command that makes a signed tag of a lightweight one, by its full name. */
export function taggingCommand(ref: string): string {
  const name = ref.replace(/^refs\/tags\//, "")
  return isPlainTag(name) ? `git tag -s -f ${name} 'refs/tags/${name}^{}'` : "git tag -s -f NAME COMMIT"
}

/** Nothing for a shell to expand, and no option. */
export const isPlainTag = (name: string): boolean => /^[\w@][\w./+@-]*$/.test(name)

function withSignature(parsed: SignedObject, object: StoredObject): SignedObject & { readonly signature: Uint8Array } {
  const { signature } = parsed
  if (signature === undefined) throw new GitsignError("ERR_NOT_SIGNED", "not signed", { hint: signingHint(object) })
  // git knows a signature by its first line; bare DER is for files only.
  if (signatureMarker(signature) === undefined) {
    throw new GitsignError("ERR_PEM", "the signature header does not begin as git's signatures do")
  }
  return { ...parsed, signature }
}

/** Which program made a signature, told by its first line. */
function schemeOf(signature: Uint8Array): "keyless" | "openpgp" | "ssh" {
  const marker = signatureMarker(signature) ?? ""
  return marker.includes("SSH") ? "ssh" : marker.includes("PGP") ? "openpgp" : "keyless"
}

function checkSignature(payload: Uint8Array, signature: Uint8Array, trustedRoot: TrustedRoot): SignatureCheck {
  const strict = verifySignature({ payload, signature }, { trustedRoot })
  const isSct = strict.error?.code === "ERR_SCT" || strict.error?.code === "ERR_SCT_MISSING"
  if (!isSct || strict.error === undefined) return checkOf(strict, schemeOf(signature), undefined)
  // Whether that matters is for flags and policies to say, once everything else is known to hold.
  const without = verifySignature({ payload, signature }, { trustedRoot, ignoreSct: true })
  return checkOf(without.verdict === "failed" ? strict : without, "keyless", problemOf(strict.error))
}

/** A verification's result as plain data. */
export function checkOf(
  summary: VerificationSummary,
  scheme: SignatureCheck["scheme"],
  sctProblem: Problem | undefined,
): SignatureCheck {
  const { verdict, error, signer, logged } = summary
  const times = [logged?.time, ...summary.timestamps].filter((time) => time !== undefined)
  return {
    verdict,
    problem: error === undefined ? undefined : problemOf(error),
    scheme,
    signer: signer && {
      scheme: "keyless",
      identity: signer.identity,
      identities: signer.identities.map(({ type, value }) => ({ type, value })),
      issuer: signer.issuer,
      claims: { ...signer.claims },
      fingerprint: signer.fingerprint,
      notBefore: signer.certificate.notBefore,
      notAfter: signer.certificate.notAfter,
    },
    proven:
      verdict !== "verified" || signer === undefined
        ? undefined
        : {
            scheme: "keyless",
            identities: signer.identities.map(({ value }) => value),
            issuer: signer.issuer,
            claims: { ...signer.claims },
            mode: summary.mode,
            times,
            timestamped: summary.timestamps.length > 0,
            sct: sctProblem === undefined,
          },
    sctProblem,
    mode: summary.mode,
    log: logged && { origin: logged.origin, index: String(logged.index), time: logged.time },
    timestamps: summary.timestamps,
    claimedSigningTime: summary.claimedSigningTime,
    steps: summary.steps,
  }
}
