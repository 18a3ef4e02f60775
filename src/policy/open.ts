/**
 * Signers that are anybody: an entry that a stranger on the Internet could satisfy is refused unless the policy says so.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import type { ClaimName } from "../formats/signer.ts"
import type { SignerEntry } from "./model.ts"
import { compileText } from "./text-match.ts"

/** Names that nobody has any reason to mean: whoever can have one of them, could have any. */
const UNLIKELY_WORDS = ["q7vxk2jz", "zyqwhemu4", "x0-9k.wjq", "b"]
const UNLIKELY_ENDS = ["com", "org", "net", "io", "dev", "de", "invalid", "co.uk"]

const SUBJECTS: readonly string[] = UNLIKELY_WORDS.flatMap((word, index) => {
  const other = UNLIKELY_WORDS[(index + 1) % 3] ?? ""
  const workflow = `${word}/${other}/.github/workflows/${word}.yml@refs`
  return [
    ...UNLIKELY_ENDS.flatMap((end) => [`${word}@${other}.${end}`, `https://${other}.${end}/${word}`]),
    ...[`https://github.com/${workflow}/heads/main`, `https://github.com/${workflow}/tags/v1`],
    `https://gitlab.com/${word}/${other}//.gitlab-ci.yml@refs/heads/main`,
    word,
  ]
})

/** Login services of which anybody may have one, and say there who they are. */
const TENANTS = ["okta.com", "auth0.com", "onelogin.com", "b2clogin.com", "vercel.app", "github.io"]

const ISSUERS: readonly string[] = UNLIKELY_WORDS.flatMap((word) => [
  ...TENANTS.flatMap((service) => [`https://${word}.${service}`, `https://${word}.${service}/`]),
  `https://login.microsoftonline.com/${word}/v2.0`,
  ...UNLIKELY_ENDS.flatMap((end) => [
    `https://${word}.${end}`,
    `https://${word}.${end}/login/oauth`,
    `http://${word}.${end}`,
  ]),
])

/** Claims that are somebody's own: with one of them the subject may be whatever. */
const BINDING: readonly ClaimName[] = [
  "githubWorkflowRepository",
  "githubWorkflowSha",
  "buildSignerURI",
  "buildConfigURI",
  "sourceRepositoryURI",
  "sourceRepositoryDigest",
  "sourceRepositoryIdentifier",
  "sourceRepositoryOwnerURI",
  "sourceRepositoryOwnerIdentifier",
  "tokenSubject",
]

/** Where everybody can have an address. */
const PUBLIC_MAIL = [
  "gmail.com",
  "outlook.com",
  "hotmail.com",
  "yahoo.com",
  "icloud.com",
  "proton.me",
  "gmx.net",
  "qq.com",
]

/** What there is to know of an entry. */
export interface Examination {
  /** Instructions of its patterns. */
  readonly size: number
  /** An address that everybody can have and that it accepts; undefined: none that was tried. */
  readonly publicAddress: string | undefined
}

/**
 * Refuses an entry that accepts anybody: one without an issuer or a subject, or with a pattern for any of them that strangers match.
 *
 * @param what the entry in messages
 * @throws ERR_POLICY_OPEN; ERR_PATTERN, ERR_POLICY_LIMIT for its patterns
 */
export async function refuseOpen(entry: SignerEntry, what: string): Promise<Examination> {
  if (entry.scheme !== "keyless") return { size: 0, publicAddress: undefined }
  if (entry.issuer === undefined) throw open(what, "has no issuer, so that any login service would do")
  if (entry.subject === undefined) throw open(what, "has no subject, so that whoever can log in there would do")
  const issuer = await compileText(entry.issuer, `${what}: issuerRegExp`)
  const subject = await compileText(entry.subject, `${what}: subjectRegExp`)
  const isBound = entry.claims.some(({ claim }) => BINDING.includes(claim))
  const anyIssuer = issuer.exact === undefined ? ISSUERS.find(issuer.matches) : undefined
  if (anyIssuer !== undefined) throw open(what, `accepts any issuer, such as ${anyIssuer}`)
  const size = issuer.size + subject.size
  if (subject.exact !== undefined || isBound) return { size, publicAddress: undefined }
  const anybody = SUBJECTS.find(subject.matches)
  if (anybody !== undefined) throw open(what, `accepts anybody, such as ${anybody}`)
  const addresses = PUBLIC_MAIL.flatMap((domain) => UNLIKELY_WORDS.map((word) => `${word}@${domain}`))
  return { size, publicAddress: addresses.find(subject.matches) }
}

const open = (what: string, why: string): GitsignError => new GitsignError("ERR_POLICY_OPEN", `${what} ${why}`)
