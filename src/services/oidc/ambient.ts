/**
 * Which way to an identity token will be taken, told without taking it: nothing is asked of anybody.
 *
 * @module
 */

import { environmentToken, isGithubActions } from "./environment.ts"
import { filesystemToken } from "./filesystem.ts"
import type { Environment } from "./provider.ts"

/** What can be told before a token is asked for. */
export interface TokenSource {
  /** A name that `gitsign.tokenProvider` may have; whether it is known is not checked here. */
  readonly provider: string
  /** The token where it is at hand, not yet looked at. */
  readonly token: string | undefined
}

/**
 * The source that is configured, else the first that has a token: SIGSTORE_ID_TOKEN, a GitHub Actions job, the token file; else a login.
 *
 * @throws ERR_IO when the token file is there and cannot be read
 */
export function tokenSource(env: Environment, configured: string | undefined, tokenFile?: string): TokenSource {
  if (configured === "envvar") return { provider: "envvar", token: environmentToken(env) }
  if (configured === "filesystem") return { provider: "filesystem", token: filesystemToken(tokenFile) }
  if (configured) return { provider: configured, token: undefined }
  const fromEnvironment = environmentToken(env)
  if (fromEnvironment !== undefined) return { provider: "envvar", token: fromEnvironment }
  if (isGithubActions(env)) return { provider: "github-actions", token: undefined }
  const fromFile = filesystemToken(tokenFile)
  if (fromFile !== undefined) return { provider: "filesystem", token: fromFile }
  return { provider: "interactive", token: undefined }
}
