/**
 * The HTTP client that all services share, made from the environment of the process.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { GitsignError, reasonOf } from "../errors.ts"
import { createHttpClient, type HttpClient } from "../services/http.ts"
import { VERSION } from "./version.ts"

/**
 * The HTTP client for all services, with the proxy and the private authorities of the environment.
 *
 * @throws ERR_CONFIG when SSL_CERT_FILE cannot be read
 */
export function httpClientOf(env: NodeJS.ProcessEnv): HttpClient {
  return createHttpClient({
    proxy: { httpsProxy: env.HTTPS_PROXY || env.https_proxy, noProxy: env.NO_PROXY || env.no_proxy },
    extraCa: extraAuthorities(env),
    userAgent: `gitsign/${VERSION}`,
  })
}

/** SSL_CERT_FILE, which Node ignores; and beside it NODE_EXTRA_CA_CERTS, which Node forgets once it is given others. */
function extraAuthorities(env: NodeJS.ProcessEnv): string | undefined {
  if (!env.SSL_CERT_FILE) return undefined
  return [env.SSL_CERT_FILE, env.NODE_EXTRA_CA_CERTS].map((file) => (file ? readPem(file) : "")).join("\n")
}

function readPem(file: string): string {
  try {
    return readFileSync(file, "utf8")
  } catch (cause) {
    throw new GitsignError("ERR_CONFIG", `cannot read the certificates in ${file}: ${reasonOf(cause)}`, { cause })
  }
}
