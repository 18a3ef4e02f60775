/**
 * Identity tokens of Google service accounts: of the machine's own one, and of one that the credentials at hand may impersonate
 * (cloud.google.com: "Verify VM identity", "Create short-lived credentials"; Application Default Credentials, AIP-4110).
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../../errors.ts"
import { JsonReader, parseJson } from "../answer.ts"
import type { HttpClient } from "../http.ts"
import { clientFor, impersonationTargetOf, readKeyFile } from "./google-credentials.ts"
import { serviceAccountMetadata } from "./google-metadata.ts"
import { loadGoogleAuth, type Transport, withGoogle } from "./google-transport.ts"
import type { Environment } from "./provider.ts"

/** What asking Google for a token takes. */
export interface GoogleOptions {
  readonly env: Environment
  /** What the token's `aud` shall be. */
  readonly audience: string
  readonly http: HttpClient
  readonly signal?: AbortSignal | undefined
}

/**
 * The token of the service account that the application default credentials name, else of the machine's own one; not yet looked at.
 *
 * @throws ERR_NO_TOKEN when there is no service account; ERR_CONFIG when a credentials file or GCE_METADATA_HOST cannot be used;
 * ERR_OIDC when Google refuses; ERR_NETWORK, ERR_CANCELLED, ERR_IO when asking failed
 */
export async function googleWorkloadToken(options: GoogleOptions): Promise<string> {
  const file = readKeyFile(options.env)
  if (file === undefined) return metadataToken(options)
  if (file.type === "service_account") {
    return withGoogle(options, {}, async (transport) => {
      const { JWT } = await loadGoogleAuth()
      const { email, key } = file.serviceAccount()
      return new JWT({ ...transport.clientOptions, email, key }).fetchIdToken(options.audience)
    })
  }
  const target = impersonationTargetOf(file)
  if (target === undefined) {
    throw new GitsignError("ERR_NO_TOKEN", `${file.name} names no service account`, {
      hint: "name a service account in GOOGLE_SERVICE_ACCOUNT_NAME to impersonate it, or use the machine's own one",
    })
  }
  return impersonatedToken(options, target.email, target.delegates, (transport) => clientFor(target.source, transport))
}

/**
 * The token of the service account in GOOGLE_SERVICE_ACCOUNT_NAME, which the application default credentials, or else the machine's own
 * service account, may impersonate; with its email address. Not yet looked at.
 *
 * @throws ERR_NO_TOKEN when GOOGLE_SERVICE_ACCOUNT_NAME is not set; ERR_CONFIG when it is not an address or a credentials file cannot
 * be used; ERR_OIDC when there are no credentials or Google refuses; ERR_NETWORK, ERR_CANCELLED, ERR_IO when asking failed
 */
export async function googleImpersonationToken(options: GoogleOptions): Promise<string> {
  const target = options.env.GOOGLE_SERVICE_ACCOUNT_NAME?.trim() ?? ""
  if (target === "") {
    throw new GitsignError("ERR_NO_TOKEN", "GOOGLE_SERVICE_ACCOUNT_NAME names no service account", {
      hint: NAME_ACCOUNT,
    })
  }
  // It becomes a part of an address.
  if (!/^[\w.+-]+@[\w.-]+$/.test(target)) {
    throw new GitsignError("ERR_CONFIG", "GOOGLE_SERVICE_ACCOUNT_NAME is not the address of a service account", {
      hint: NAME_ACCOUNT,
    })
  }
  const file = readKeyFile(options.env)
  return impersonatedToken(options, target, [], (transport) =>
    file === undefined ? machineClient(options, transport) : clientFor(file, transport),
  )
}

const NAME_ACCOUNT = "set it like this: GOOGLE_SERVICE_ACCOUNT_NAME=signer@my-project.iam.gserviceaccount.com"

async function metadataToken(options: GoogleOptions): Promise<string> {
  // format=full is what puts the email address in.
  const query = new URLSearchParams({ audience: options.audience, format: "full" })
  return serviceAccountMetadata(`identity?${query}`, options)
}

type SourceClient = Awaited<ReturnType<typeof clientFor>>

/** A client with an access token of the machine's own service account. */
async function machineClient(options: GoogleOptions, transport: Transport): Promise<SourceClient> {
  const text = await serviceAccountMetadata("token", options).catch((cause: unknown) => {
    if (!isGitsignError(cause) || cause.code !== "ERR_NO_TOKEN") throw cause
    // Not ERR_NO_TOKEN: an account was named, so that signing as somebody else would be a surprise.
    throw new GitsignError("ERR_OIDC", `there are no Google credentials here: ${cause.message}`, {
      cause,
      hint: "log in with: gcloud auth application-default login, or name a file in GOOGLE_APPLICATION_CREDENTIALS",
    })
  })
  const what = "the metadata server's access token"
  const answer = new JsonReader(parseJson(Buffer.from(text), what, "ERR_OIDC"), what, "ERR_OIDC")
  const { OAuth2Client } = await loadGoogleAuth()
  const client = new OAuth2Client(transport.clientOptions)
  client.setCredentials({
    access_token: answer.string("access_token"),
    expiry_date: Date.now() + Number(answer.integer("expires_in")) * 1000,
  })
  return client
}

function impersonatedToken(
  options: GoogleOptions,
  target: string,
  delegates: readonly string[],
  sourceClient: (transport: Transport) => Promise<SourceClient>,
): Promise<string> {
  const hints = {
    403: `give the credentials in use the role roles/iam.serviceAccountOpenIdTokenCreator on ${target}, and enable the API iamcredentials.googleapis.com`,
    404: `check that the service account ${target} exists`,
  }
  return withGoogle(options, hints, async (transport) => {
    const { Impersonated } = await loadGoogleAuth()
    const client = new Impersonated({
      ...transport.clientOptions,
      sourceClient: await sourceClient(transport),
      targetPrincipal: target,
      delegates: [...delegates],
    })
    return client.fetchIdToken(options.audience, { includeEmail: true })
  })
}
