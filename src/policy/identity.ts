/**
 * Whom a verification accepts: the identity flags of sigstore/gitsign, matched against a verified certificate.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import type { ClaimName, Signer } from "../formats/signer.ts"
import { compilePattern, type Matcher } from "./pattern.ts"

/** The claims of GitHub workflows that can be asked for, by the ending of their flag `--certificate-github-workflow-`. */
export const WORKFLOW_CLAIMS = {
  trigger: "githubWorkflowTrigger",
  sha: "githubWorkflowSha",
  name: "githubWorkflowName",
  repository: "githubWorkflowRepository",
  ref: "githubWorkflowRef",
} as const satisfies Record<string, ClaimName>

/** The identity flags as given; what is undefined is not asked for. */
export interface IdentityFlags {
  readonly certificateIdentity?: string | undefined
  readonly certificateIdentityRegexp?: string | undefined
  readonly certificateOidcIssuer?: string | undefined
  readonly certificateOidcIssuerRegexp?: string | undefined
  readonly workflow?: Readonly<Partial<Record<keyof typeof WORKFLOW_CLAIMS, string | undefined>>> | undefined
}

/** Says why a signer is not accepted, or undefined. */
export type Authorize = (
  signer: Pick<Signer, "identity" | "identities" | "issuer" | "claims">,
) => GitsignError | undefined

/** Whether the flags say who signed and at which issuer; one without the other would accept a stranger. */
export const namesSigner = (flags: IdentityFlags): boolean =>
  (flags.certificateIdentity ?? flags.certificateIdentityRegexp) !== undefined &&
  (flags.certificateOidcIssuer ?? flags.certificateOidcIssuerRegexp) !== undefined

/**
 * Makes the check for a signer from the flags. Exact texts are compared byte for byte; where an exact text and a pattern
 * are given both must hold, for an identity both on one and the same name of the certificate. The errors are ERR_CLAIM,
 * ERR_IDENTITY and ERR_ISSUER, in this order.
 *
 * What is not asked for is not checked: unless its user has said that anybody will do, the caller MUST see to it that
 * {@link namesSigner} holds. It MUST give verified certificates only.
 *
 * @throws ERR_PATTERN when a pattern is not RE2
 */
export async function identityCheck(flags: IdentityFlags): Promise<Authorize> {
  const identityPattern = await compileOptional(flags.certificateIdentityRegexp, "--certificate-identity-regexp")
  const issuerPattern = await compileOptional(flags.certificateOidcIssuerRegexp, "--certificate-oidc-issuer-regexp")
  const accepts = (value: string, exact: string | undefined, pattern: Matcher | undefined): boolean =>
    (exact === undefined || value === exact) && (pattern === undefined || pattern(value))

  return (signer) => {
    for (const [flag, claim] of Object.entries(WORKFLOW_CLAIMS)) {
      const expected = flags.workflow?.[flag as keyof typeof WORKFLOW_CLAIMS]
      const found = signer.claims[claim]
      if (expected === undefined || found === expected) continue
      const shown = found === undefined ? "has no such claim" : `has ${JSON.stringify(found)}`
      return new GitsignError(
        "ERR_CLAIM",
        `--certificate-github-workflow-${flag} asks for ${JSON.stringify(expected)}, the certificate ${shown}`,
      )
    }
    const names = signer.identities.map((name) => name.value)
    const isAsked = (flags.certificateIdentity ?? identityPattern) !== undefined
    if (isAsked && !names.some((name) => accepts(name, flags.certificateIdentity, identityPattern))) {
      const expected = asked(flags.certificateIdentity, flags.certificateIdentityRegexp)
      return new GitsignError("ERR_IDENTITY", `signed by ${names.join(", ") || "nobody"}, not by ${expected}`)
    }
    if (!accepts(signer.issuer, flags.certificateOidcIssuer, issuerPattern)) {
      const expected = asked(flags.certificateOidcIssuer, flags.certificateOidcIssuerRegexp)
      return new GitsignError(
        "ERR_ISSUER",
        `the identity comes from ${signer.issuer || "no issuer"}, not from ${expected}`,
      )
    }
    return undefined
  }
}

const compileOptional = (pattern: string | undefined, flag: string): Promise<Matcher | undefined> =>
  pattern === undefined ? Promise.resolve(undefined) : compilePattern(pattern, flag)

const asked = (exact: string | undefined, pattern: string | undefined): string =>
  [exact, pattern === undefined ? undefined : `/${pattern}/`].filter((part) => part !== undefined).join(" matching ")
