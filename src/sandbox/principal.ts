/**
 * Who a token is about, and what the certificate says about it (Fulcio's oid-info.md, RFC 5280 §4.2.1.6).
 *
 * @module
 */

import { type ExtensionValue, subjectAltName, utf8String } from "./certificates.ts"
import type { Claims } from "./token.ts"

/** The subject of a certificate to be issued. */
export interface Principal {
  /** What the proof of possession is made over: the e-mail address, else the `sub` claim. */
  readonly challenge: string
  /** SubjectAltName, then 1.3.6.1.4.1.57264.1.* in Fulcio's order. */
  readonly extensions: readonly ExtensionValue[]
}

/**
 * Reads the principal of a verified token: a GitHub workflow, an e-mail address, or a URI as its subject.
 *
 * @throws Error with the reason, worded as Fulcio does
 */
export function principalOf(claims: Claims): Principal {
  const issuer = text(claims, "iss")
  const subject = text(claims, "sub")
  if ("job_workflow_ref" in claims || "repository" in claims) return githubPrincipal(claims, issuer, subject)
  if ("email" in claims) return emailPrincipal(claims, issuer, subject)
  if (!URL.canParse(subject)) throw new Error("token missing email claim")
  return {
    challenge: subject,
    extensions: [subjectAltName("uri", asciiUri(subject)), raw(1, issuer), utf8(8, issuer), utf8(24, subject)],
  }
}

function emailPrincipal(claims: Claims, issuer: string, subject: string): Principal {
  const email = text(claims, "email")
  if (claims.email_verified !== true && claims.email_verified !== "true")
    throw new Error("email_verified claim was false")
  // An rfc822Name is IA5String: anything else could not be written into the certificate.
  if (!/^[!-?A-~]+@[!-?A-~]+$/.test(email)) throw new Error("email address is not valid")
  return {
    challenge: email,
    extensions: [subjectAltName("email", email), raw(1, issuer), utf8(8, issuer), utf8(24, subject)],
  }
}

function githubPrincipal(claims: Claims, issuer: string, subject: string): Principal {
  const claim = (name: string): string => text(claims, name)
  const url = (path: string): string => `https://github.com/${path}`
  const jobWorkflow = url(claim("job_workflow_ref"))
  const run = `${claim("repository")}/actions/runs/${claim("run_id")}/attempts/${claim("run_attempt")}`
  return {
    challenge: subject,
    extensions: [
      subjectAltName("uri", asciiUri(jobWorkflow)),
      raw(1, issuer),
      raw(2, claim("event_name")),
      raw(3, claim("sha")),
      raw(4, claim("workflow")),
      raw(5, claim("repository")),
      raw(6, claim("ref")),
      utf8(8, issuer),
      utf8(9, jobWorkflow),
      utf8(10, claim("job_workflow_sha")),
      utf8(11, claim("runner_environment")),
      utf8(12, url(claim("repository"))),
      utf8(13, claim("sha")),
      utf8(14, claim("ref")),
      utf8(15, claim("repository_id")),
      utf8(16, url(claim("repository_owner"))),
      utf8(17, claim("repository_owner_id")),
      utf8(18, url(claim("workflow_ref"))),
      utf8(19, claim("workflow_sha")),
      utf8(20, claim("event_name")),
      utf8(21, url(run)),
      utf8(22, claim("repository_visibility")),
      utf8(24, subject),
    ],
  }
}

function text(claims: Claims, name: string): string {
  const value = claims[name]
  if (typeof value !== "string" || value === "") throw new Error(`missing ${name} claim in ID token`)
  return value
}

/** A URI as Go, and so Fulcio, writes it into a certificate: an IA5String has no other characters. */
const asciiUri = (uri: string): string => uri.replace(/[^\0-\x7f]+/g, encodeURIComponent)

const arc = (number: number): string => `1.3.6.1.4.1.57264.1.${number}`

/** The deprecated extensions hold the text as it is, without an ASN.1 type around it. */
const raw = (number: number, value: string): ExtensionValue => ({
  id: arc(number),
  critical: false,
  value: Buffer.from(value, "utf8"),
})

const utf8 = (number: number, value: string): ExtensionValue => ({
  id: arc(number),
  critical: false,
  value: utf8String(value),
})
