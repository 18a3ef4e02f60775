/**
 * A sandbox seen from its directory: its addresses, tokens, and the environment that points programs at it.
 *
 * @module
 */

import { join, resolve } from "node:path"
import { instanceOf } from "./control.ts"
import { readState, type SandboxState } from "./state.ts"
import { mintToken, type TokenOptions } from "./token.ts"
import { type SandboxUrls, TRUST_FILES, urlsOf } from "./trust-files.ts"

/** The cache directory that is given to the Go programs. */
export const TUF_CACHE = "tuf-cache"

export interface EnvironmentOptions {
  /** Adds SIGSTORE_ID_TOKEN for this identity. */
  readonly token?: TokenOptions
  /** Adds the timestamp authority, so that signatures get a timestamp. */
  readonly timestamp?: boolean
}

/** What can be had of a sandbox from its directory alone, whether it runs or not. */
export interface SandboxFiles {
  readonly directory: string
  readonly urls: SandboxUrls
  readonly trustedRootPath: string
  /** An identity token. The caller MUST treat it as a secret until it expires. */
  token(options?: TokenOptions): Promise<string>
  /** The variables that point gitsign and the Go gitsign at the sandbox. */
  environment(options?: EnvironmentOptions): Record<string, string>
}

/** The sandbox of a directory without starting it; undefined when there is none. @throws ERR_SANDBOX when it is damaged */
export async function openSandboxFiles(
  directory: string,
): Promise<(SandboxFiles & { readonly controlSecret: string; readonly instance: string }) | undefined> {
  const state = await readState(resolve(directory))
  if (state === undefined) return undefined
  const { controlSecret } = state
  return { ...sandboxFiles(resolve(directory), state), controlSecret, instance: instanceOf(state) }
}

/** The sandbox with this state in this directory. */
export function sandboxFiles(directory: string, state: SandboxState): SandboxFiles {
  const urls = urlsOf(state.port)
  const path = (name: string): string => join(directory, name)
  const token = (options: TokenOptions = {}): string => mintToken(state.keys.openid, urls.issuer, options, new Date())
  return {
    directory,
    urls,
    trustedRootPath: path(TRUST_FILES.trustedRoot),
    token: async (options) => token(options),
    environment: (options = {}) => ({
      GITSIGN_FULCIO_URL: urls.fulcio,
      GITSIGN_REKOR_URL: urls.rekor,
      GITSIGN_OIDC_ISSUER: urls.issuer,
      GITSIGN_TRUSTED_ROOT: path(TRUST_FILES.trustedRoot),
      GITSIGN_FULCIO_ROOT: path(TRUST_FILES.fulcioChain),
      SIGSTORE_REKOR_PUBLIC_KEY: path(TRUST_FILES.rekorKey),
      SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: path(TRUST_FILES.ctLogKey),
      TUF_ROOT: path(TUF_CACHE),
      TUF_MIRROR: urls.tuf,
      TUF_ROOT_JSON: join(directory, "tuf", "root.json"),
      ...(options.timestamp ? timestampEnvironment(directory, urls) : {}),
      ...(options.token === undefined ? {} : { SIGSTORE_ID_TOKEN: token(options.token) }),
    }),
  }
}

/** The variables that make signatures carry a timestamp. */
export const timestampEnvironment = (directory: string, urls: SandboxUrls): Record<string, string> => ({
  GITSIGN_TIMESTAMP_SERVER_URL: urls.timestamp,
  GITSIGN_TIMESTAMP_CERT_CHAIN: join(directory, TRUST_FILES.timestampChain),
})
