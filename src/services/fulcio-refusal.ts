/**
 * Why Fulcio refused: its one message for every bad token ("There was an error processing the identity token") is
 * explained by comparing the token with what the server says it accepts (fulcio.proto GetConfiguration).
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import { JsonReader, parseJson, printable, refusal, refusalText } from "./answer.ts"
import { endpoint, type HttpClient, type HttpResponse } from "./http.ts"
import { expiredToken, type IdentityTokenClaims } from "./oidc/token.ts"

export interface RefusalContext {
  readonly url: string
  readonly http: HttpClient
  readonly now: Date
  readonly signal?: AbortSignal | undefined
}

/** One issuer that a Fulcio accepts. */
interface AcceptedIssuer {
  /** An exact address, or one with `*` for any label. */
  readonly pattern: string
  readonly audience: string
  /** Whether the certificate will name the token's email address. */
  readonly wantsEmail: boolean
  readonly verifiesEmail: boolean
  /** Of an issuer of SPIFFE identities: the only trust domain that is accepted; else "". */
  readonly trustDomain: string
}

/**
 * The error for a refusal: ERR_TOKEN or ERR_TOKEN_EXPIRED when the token is to blame, else ERR_FULCIO. It asks the
 * server what it accepts; when that fails too, the explanation is less exact.
 */
export async function explainRefusal(
  response: HttpResponse,
  claims: IdentityTokenClaims,
  context: RefusalContext,
): Promise<GitsignError> {
  const { status, peer } = response
  const text = refusalText(response)
  if (status === 400 && /signature supplied in the request/i.test(text)) {
    return new GitsignError("ERR_FULCIO", `${peer} did not accept the proof of possession: ${text}`, {
      hint: "the server reads another subject from the token than gitsign does; ask its operator about the issuer's type",
    })
  }
  const aboutToken = status === 401 || status === 403 || (status === 400 && /token|email|issuer|audience/i.test(text))
  if (!aboutToken) return refusal(response, "ERR_FULCIO")
  // Within the minute of tolerance that was granted before it was sent.
  if (claims.expiresAt <= context.now) return expiredToken(claims)
  const issuers = await acceptedIssuers(context)
  return explainToken(peer, text, claims, issuers)
}

function explainToken(
  peer: string,
  text: string,
  claims: IdentityTokenClaims,
  issuers: readonly AcceptedIssuer[] | undefined,
): GitsignError {
  const issuer = issuers?.find(({ pattern }) => matchesPattern(claims.iss, pattern))
  if (issuers !== undefined && issuer === undefined) {
    const known = issuers.map(({ pattern }) => printable(pattern))
    const more = known.length > 5 ? ` and ${known.length - 5} more` : ""
    return new GitsignError(
      "ERR_TOKEN",
      `${peer} does not accept identity tokens of the issuer ${printable(claims.iss)}`,
      {
        hint: `it accepts tokens of ${known.slice(0, 5).join(", ") || "no issuer"}${more}`,
      },
    )
  }
  const audience = printable(issuer?.audience ?? "sigstore")
  if (!claims.aud.includes(audience)) {
    const found = printable(claims.aud.map((aud) => `"${aud}"`).join(", "))
    return new GitsignError(
      "ERR_TOKEN",
      `the identity token is for the audience ${found}, but ${peer} wants "${audience}"`,
      {
        hint: `ask the issuer for a token with the audience ${audience}; what gitsign asks for is in gitsign.clientID`,
      },
    )
  }
  if (claims.email === undefined && issuer?.wantsEmail) {
    return new GitsignError("ERR_TOKEN", `the identity token holds no email address, and ${peer} wants one`, {
      hint: `have ${printable(claims.iss)} put the address into its tokens (the scope or claim "email")`,
    })
  }
  const trustDomain = printable(issuer?.trustDomain ?? "")
  if (trustDomain !== "" && !claims.sub.startsWith(`spiffe://${trustDomain}/`)) {
    const message = `${peer} accepts SPIFFE identities of the trust domain ${trustDomain}, and this is ${printable(claims.sub)}`
    return new GitsignError("ERR_TOKEN", message, { hint: "sign with a workload of that trust domain" })
  }
  if (claims.email !== undefined && !claims.emailVerified && (issuer?.verifiesEmail ?? true)) {
    return new GitsignError("ERR_TOKEN", `the issuer has not verified the address ${printable(claims.email)}`, {
      hint: `verify the address at ${printable(claims.iss)}, then get a new identity token`,
    })
  }
  return new GitsignError("ERR_TOKEN", `${peer} did not accept the identity token${text === "" ? "" : `: ${text}`}`, {
    hint: "get a new identity token; this one may be damaged, or signed with a key that its issuer has withdrawn",
  })
}

/** What the server says it accepts, or undefined when it does not say. */
async function acceptedIssuers(context: RefusalContext): Promise<readonly AcceptedIssuer[] | undefined> {
  try {
    const { http, url, signal } = context
    const response = await http.request({ url: endpoint(url, "/api/v2/configuration"), timeoutMs: 5000, signal })
    if (response.status !== 200) return undefined
    const what = "configuration of Fulcio"
    const list = new JsonReader(parseJson(response.body, what, "ERR_FULCIO"), what, "ERR_FULCIO").get("issuers")
    return Array.isArray(list) ? list.map((item) => readIssuer(new JsonReader(item, what, "ERR_FULCIO"))) : undefined
  } catch (error) {
    // The refusal is the news; only the user's own Ctrl-C goes before it.
    if (isGitsignError(error) && error.code !== "ERR_CANCELLED") return undefined
    throw error
  }
}

const readIssuer = (issuer: JsonReader): AcceptedIssuer => ({
  pattern: issuer.optionalString("issuerUrl") || issuer.string("wildcardIssuerUrl"),
  audience: issuer.string("audience"),
  wantsEmail: issuer.optionalString("challengeClaim") === "email",
  trustDomain: issuer.optionalString("spiffeTrustDomain") ?? "",
  verifiesEmail: issuer.optionalString("challengeClaim") === "email" && issuer.get("skipEmailVerification") !== true,
})

/** Fulcio's wildcard: `*` is one or more letters, digits, `-` and `_` (fulcio pkg/config/config.go wildcardMatch). */
function matchesPattern(issuer: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
  // More than a few stars would make this expression slow, and the server is not trusted.
  return parts.length <= 4 && issuer.length < 500 && new RegExp(`^${parts.join("[-_a-zA-Z0-9]+")}$`).test(issuer)
}
