/**
 * One way to be a signer, ready to be compared with who signed.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts"
import type { ClaimName } from "../formats/signer.ts"
import { matchSshPattern, matchSshPatternList } from "../formats/ssh-pattern.ts"
import type { ObjectFacts, ProvenSigner, ProvenSshLine } from "./facts.ts"
import { allowedSignersOf, GITHUB_KEYS, openpgpFingerprints } from "./key-files.ts"
import { type Disguise, lookalike } from "./lookalike.ts"
import type { SignerEntry } from "./model.ts"
import { compileOptional, compileText, type TextMatcher } from "./text-match.ts"

/** Why an entry does not have a signer, and how near it came. */
export interface Miss {
  /** The higher, the nearer; 0 for a stranger. */
  readonly rank: number
  readonly code: ErrorCode
  /** Continues `signed by X, `. */
  readonly message: string
  readonly hint: string
}

/** One compiled entry. */
export interface CompiledEntry {
  readonly entry: SignerEntry
  /** For people, such as `alice@example.com (https://accounts.google.com)`. */
  readonly shown: string
  /** Whether the signer is meant, and counts on such an object. */
  accepts(signer: ProvenSigner, object: Placed): boolean
  /** Whether the signer, whom it accepts, has this e-mail address. */
  isAddress(signer: ProvenSigner, email: string): boolean
  /** Why not; only for a signer that it does not accept, with what its names may pass for. */
  miss(signer: ProvenSigner, object: Placed, disguises: readonly Disguise[]): Miss
}

type Placed = Pick<ObjectFacts, "type" | "parents" | "cleanMerge">
type Keyless = ProvenSigner & { readonly scheme: "keyless" }

/** The refusal of somebody whom no entry comes near. */
export const STRANGER: Miss = {
  rank: 0,
  code: "ERR_IDENTITY",
  message: "",
  hint: "if this signer is right, name it in the policy, under signers",
}

/**
 * Compiles one entry.
 *
 * @param where what to call it in messages
 * @throws ERR_PATTERN, ERR_POLICY, ERR_POLICY_LIMIT
 */
export async function compileEntry(entry: SignerEntry, where: string): Promise<CompiledEntry> {
  if (entry.scheme === "keyless") return compileKeyless(entry, where)
  const { owns, isAddress } = entry.scheme === "openpgp" ? openpgpKeys(entry) : sshKeys(entry)
  const keys = entry.source === GITHUB_KEYS ? "GitHub's website" : entry.source
  return {
    entry,
    shown: `the ${entry.scheme === "openpgp" ? "OpenPGP" : "SSH"} keys of ${keys}`,
    accepts: (signer, object) => owns(signer) && wrongPlace(entry, object) === undefined,
    isAddress,
    miss: (signer, object) => (owns(signer) ? (wrongPlace(entry, object) ?? STRANGER) : STRANGER),
  }
}

interface Keys extends Pick<CompiledEntry, "isAddress"> {
  readonly owns: (signer: ProvenSigner) => boolean
}

/** Only fingerprints of primary keys count: whatever else is in a key file, its owner chose. */
function openpgpKeys(entry: SignerEntry & { readonly scheme: "openpgp" }): Keys {
  const fingerprints = openpgpFingerprints(entry.keys, entry.source)
  return {
    owns: (signer) =>
      signer.scheme === "openpgp" && signer.fingerprints.some((print) => fingerprints.includes(print.toUpperCase())),
    isAddress,
  }
}

const latin1 = (text: string): string => Buffer.from(text, "utf8").toString("latin1")

/** Only the very lines that were proven to accept the key count: another line for it, here or in another file, may have expired. */
function sshKeys(entry: SignerEntry & { readonly scheme: "ssh" }): Keys {
  const asked = latin1(entry.principals.join(","))
  const { digest, signers } = allowedSignersOf(entry.allowedSigners, entry.source)
  const byLine = new Map(signers.map((signer) => [signer.line, signer]))
  const isAsked = (name: string): boolean => asked === "" || matchSshPatternList(latin1(name), asked)
  const linesFor = (signer: ProvenSigner): readonly ProvenSshLine[] =>
    signer.scheme === "ssh" ? signer.lines.filter((one) => one.file === digest && one.principals.some(isAsked)) : []
  return {
    owns: (signer) => linesFor(signer).length > 0,
    isAddress: (signer, email) =>
      linesFor(signer).some(({ line, principals }) => {
        const allowed = byLine.get(line)
        if (allowed === undefined) return false
        if (allowed.isAuthority) return principals.includes(email)
        // The whole list of the line as well, since it may say who is not meant
        const address = latin1(email)
        const isNamed = principals.some((name) => matchSshPattern(address, latin1(name)))
        return isNamed && matchSshPatternList(address, allowed.principals)
      }),
  }
}

/** Whether an address is the signer's, as text: no pattern is looked at. */
function isAddress(signer: ProvenSigner, email: string): boolean {
  switch (signer.scheme) {
    case "keyless":
      return signer.identities.includes(email)
    case "openpgp":
      return signer.userIds.some((userId) => (/<([^<>]*)>\s*$/.exec(userId)?.[1] ?? userId) === email)
    default:
      return signer.principals.includes(email)
  }
}

function wrongPlace({ on }: SignerEntry, object: Placed): Miss | undefined {
  if (on === "all") return undefined
  const isMerge = object.type === "commit" && object.parents.length > 1
  if (isMerge && (on === "merges" || object.cleanMerge === true)) return undefined
  const found = isMerge ? "this merge is not as git would have made it" : "this is no merge"
  const message = `who counts only on ${on === "merges" ? "merges" : "merges that git itself would have made so"}, and ${found}`
  const hint = "have it made and signed by a person whom the policy names"
  return { rank: 7, code: "ERR_MERGE_CHANGES", message, hint }
}

async function compileKeyless(
  entry: SignerEntry & { readonly scheme: "keyless" },
  where: string,
): Promise<CompiledEntry> {
  const issuer = await compileOptional(entry.issuer, `${where}: issuerRegExp`)
  const subject = await compileOptional(entry.subject, `${where}: subjectRegExp`)
  const claims = await Promise.all(
    entry.claims.map(async ({ claim, match }) => ({ claim, text: await compileText(match, where) })),
  )
  const shown = [subject?.shown ?? "anyone", issuer === undefined ? "" : ` (${issuer.shown})`].join("")
  // Only a policy that says `anyone: true` has an entry with neither, and it means keys as well
  const isAnyone = issuer === undefined && subject === undefined && claims.length === 0
  const isSubject = (signer: Keyless): boolean => subject === undefined || signer.identities.some(subject.matches)
  const isIssuer = (signer: Keyless): boolean => issuer === undefined || issuer.matches(signer.issuer)
  const isMeant = (signer: ProvenSigner): boolean =>
    isAnyone ||
    (signer.scheme === "keyless" &&
      isSubject(signer) &&
      isIssuer(signer) &&
      claims.every(({ claim, text }) => claimMiss(signer, claim, text) === undefined))
  return {
    entry,
    shown,
    accepts: (signer, object) => isMeant(signer) && wrongPlace(entry, object) === undefined,
    isAddress,
    miss: (signer, object, disguises) => {
      if (isMeant(signer)) return wrongPlace(entry, object) ?? STRANGER
      if (signer.scheme !== "keyless") return STRANGER
      if (subject !== undefined && !isSubject(signer)) return nearMiss(disguises, subject)
      if (!isIssuer(signer)) {
        const message = `whose issuer is ${signer.issuer || "missing"}, not ${issuer?.shown}`
        const hint = "if this issuer is right, name it in the policy, under signers"
        // Without a subject every stranger's issuer would be "nearly right"
        return subject === undefined ? STRANGER : { rank: 3, code: "ERR_ISSUER", message, hint }
      }
      const missed = claims.map(({ claim, text }) => claimMiss(signer, claim, text))
      return missed.find((miss) => miss !== undefined) ?? STRANGER
    },
  }
}

const LOOKALIKE: Omit<Miss, "message"> = {
  rank: 2,
  code: "ERR_LOOKALIKE",
  hint: "do not trust it unless you know why it differs; if it is right, name it in the policy as it is written here",
}

function nearMiss(disguises: readonly Disguise[], subject: TextMatcher): Miss {
  for (const disguise of disguises) {
    const near = lookalike(disguise, subject)
    if (near !== undefined) return { ...LOOKALIKE, message: `which is not ${near.name}: ${near.difference}` }
  }
  return STRANGER
}

/** Why a claim is not as asked for. */
export function claimMiss(signer: Keyless, claim: ClaimName, text: TextMatcher): Miss | undefined {
  const found = signer.claims[claim]
  if (found !== undefined && text.matches(found)) return undefined
  const has = found === undefined ? "is missing" : `is ${found}`
  const message = `whose claim ${claim} ${has}, not ${text.shown}`
  return { rank: 4, code: "ERR_CLAIM", message, hint: "see the claims of the certificate with: gitsign show REV" }
}
