/**
 * The application default credentials of Google: which file holds them, and a client for what is in it (AIP-4110 to AIP-4117).
 *
 * The library's own search for them is not used: it runs gcloud through a shell and reads the environment by itself.
 *
 * @module
 */

import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import type { AuthClient } from "google-auth-library"
import { GitsignError, reasonOf } from "../../errors.ts"
import { JsonReader, parseJson } from "../answer.ts"
import { homeDirectory } from "../home-directory.ts"
import { loadGoogleAuth, type Transport } from "./google-transport.ts"
import type { Environment } from "./provider.ts"

const MAX_FILE_BYTES = 64 * 1024
const CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"

/** One credential, from a file or from inside of another. */
export interface KeyFile {
  /** For messages. */
  readonly name: string
  /** Such as `service_account` or `authorized_user`. */
  readonly type: string
  readonly json: Readonly<Record<string, unknown>>
  /** Its members by type; what is wrong is ERR_CONFIG. */
  readonly reader: JsonReader
  /** @throws ERR_CONFIG when it is not a service account's */
  readonly serviceAccount: () => { readonly email: string; readonly key: string }
}

/**
 * The credentials that GOOGLE_APPLICATION_CREDENTIALS names, else those that `gcloud auth application-default login` left; undefined
 * when there are none.
 *
 * @throws ERR_IO when the file cannot be read, also when it is named and not there; ERR_CONFIG when it holds no credentials
 */
export function readKeyFile(env: Environment): KeyFile | undefined {
  const named = env.GOOGLE_APPLICATION_CREDENTIALS?.trim()
  const path = named || wellKnownFile(env)
  if (path === undefined) return undefined
  const name = `the Google credentials file ${path}`
  let bytes: Buffer
  try {
    const status = statSync(path, { throwIfNoEntry: false })
    if (status === undefined && !named) return undefined
    if (status === undefined) throw new Error("it is not there")
    if (!status.isFile() || status.size > MAX_FILE_BYTES) throw new Error("not a file of at most 64 KiB")
    bytes = readFileSync(path)
  } catch (cause) {
    throw new GitsignError("ERR_IO", `${name} cannot be read: ${reasonOf(cause)}`, { cause })
  }
  return keyFile(parsed(bytes, name), name)
}

/** JSON.parse shows a piece of the text in its error, and that may be a key. */
function parsed(bytes: Buffer, name: string): unknown {
  try {
    return parseJson(bytes, name, "ERR_CONFIG")
  } catch {
    throw new GitsignError("ERR_CONFIG", `${name}: not JSON`)
  }
}

function wellKnownFile(env: Environment): string | undefined {
  const directory = env.CLOUDSDK_CONFIG?.trim() || gcloudDirectory(env)
  return directory === undefined ? undefined : join(directory, "application_default_credentials.json")
}

function gcloudDirectory(env: Environment): string | undefined {
  if (process.platform === "win32" && env.APPDATA) return join(env.APPDATA, "gcloud")
  const home = homeDirectory(env)
  return home === undefined ? undefined : join(home, ".config", "gcloud")
}

function keyFile(value: unknown, name: string): KeyFile {
  const reader = new JsonReader(value, name, "ERR_CONFIG")
  return {
    name,
    type: reader.string("type"),
    json: value as Readonly<Record<string, unknown>>,
    reader,
    serviceAccount: () => ({ email: reader.string("client_email"), key: reader.string("private_key") }),
  }
}

/** A service account that a credential is made to impersonate, and what impersonates it. */
export interface ImpersonationTarget {
  readonly email: string
  readonly delegates: readonly string[]
  readonly source: KeyFile
}

/**
 * Whom the credential itself impersonates; undefined when nobody.
 *
 * @throws ERR_CONFIG when it does not say whom
 */
export function impersonationTargetOf(file: KeyFile): ImpersonationTarget | undefined {
  const { json, name, reader, type } = file
  if (type === "impersonated_service_account") {
    const delegates = reader.get("delegates") === undefined ? [] : reader.strings("delegates")
    const source = keyFile(reader.get("source_credentials"), `${name}: source_credentials`)
    return { email: targetEmail(reader), delegates, source }
  }
  if (type === "external_account" && reader.get("service_account_impersonation_url") !== undefined) {
    const source = Object.fromEntries(Object.entries(json).filter(([key]) => !key.startsWith("service_account_imp")))
    return { email: targetEmail(reader), delegates: [], source: keyFile(source, name) }
  }
  return undefined
}

function targetEmail(reader: JsonReader): string {
  const url = reader.string("service_account_impersonation_url")
  const [, email] = /\/serviceAccounts\/([\w.+-]+@[\w.-]+):generate(?:AccessToken|IdToken)$/.exec(url) ?? []
  return email ?? reader.fail("service_account_impersonation_url names no service account")
}

/**
 * A client that gets access tokens with the credential, for Google's APIs; nothing is asked of anybody yet.
 *
 * @throws ERR_CONFIG when its type is not one that gitsign can use
 */
export async function clientFor(file: KeyFile, transport: Transport, depth = 0): Promise<AuthClient> {
  const google = await loadGoogleAuth()
  const options = transport.clientOptions
  const { name, reader, type } = file
  switch (type) {
    case "service_account":
      return new google.JWT({ ...options, ...file.serviceAccount(), scopes: [CLOUD_PLATFORM] })
    case "authorized_user": {
      const quotaProjectId = reader.optionalString("quota_project_id")
      return new google.UserRefreshClient({
        ...options,
        clientId: reader.string("client_id"),
        clientSecret: reader.string("client_secret"),
        refreshToken: reader.string("refresh_token"),
        ...(quotaProjectId === undefined ? {} : { quotaProjectId }),
      })
    }
    case "impersonated_service_account": {
      const target = impersonationTargetOf(file)
      if (target === undefined || depth > 3) return unusable(name, "credentials are nested too deeply")
      return new google.Impersonated({
        ...options,
        sourceClient: await clientFor(target.source, transport, depth + 1),
        targetPrincipal: target.email,
        delegates: [...target.delegates],
        targetScopes: [CLOUD_PLATFORM],
      })
    }
    case "external_account": {
      // Its requests would need a TLS client certificate, which gitsign's HTTP client does not send.
      if (reader.object("credential_source").get("certificate") !== undefined) {
        return unusable(name, "federation with a client certificate is not supported")
      }
      const json = file.json as unknown as Parameters<typeof google.ExternalAccountClient.fromJSON>[0]
      const client = google.ExternalAccountClient.fromJSON({ ...json, ...options })
      if (client === null) return unusable(name, "not a federated credential")
      client.scopes = [CLOUD_PLATFORM]
      // Its exchange of tokens is made with a transport of its own, which knows neither our limits nor our authorities.
      const { stsCredential } = client as unknown as { stsCredential: { transporter: unknown } }
      stsCredential.transporter = options.transporter
      return client
    }
    default:
      return unusable(name, `credentials of the type "${type}" are not supported`)
  }
}

const unusable = (name: string, why: string): never => {
  throw new GitsignError("ERR_CONFIG", `${name}: ${why}`, {
    hint: "name another file in GOOGLE_APPLICATION_CREDENTIALS, such as a service account's key",
  })
}
