/**
 * The metadata server of Google's machines (cloud.google.com: "About VM metadata", "Verify VM identity").
 *
 * @module
 */

import { request } from "node:http"
import { GitsignError, isGitsignError } from "../../errors.ts"
import { printable } from "../answer.ts"
import { describeNetworkError } from "../network-error.ts"
import type { Environment } from "./provider.ts"

/** Link-local: only the machine's own hypervisor, or an agent on it, answers there. */
const METADATA_ADDRESS = "169.254.169.254"

/** A server that is there answers at once; on a machine without one every commit would wait this long. */
const TIMEOUT_MS = 5_000
const MAX_BYTES = 64 * 1024
const MAX_TRIES = 3
const BUSY: ReadonlySet<number> = new Set([429, 503])

/** One plain HTTP exchange. */
export interface PlainAnswer {
  readonly status: number
  /** Names in lower case; a repeated one is left out. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface PlainRequest {
  readonly url: URL
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** What asking the metadata server takes. */
export interface MetadataOptions {
  readonly env: Environment
  readonly signal?: AbortSignal | undefined
}

/**
 * What the metadata server has under `instance/service-accounts/default/`, as text.
 *
 * GCE_METADATA_HOST (`host` or `host:port`) is asked instead of the usual address where it is set.
 *
 * @throws ERR_NO_TOKEN when there is no metadata server, or it has no such thing; ERR_CONFIG when GCE_METADATA_HOST is not a host;
 * ERR_CANCELLED when the signal says so
 */
export async function serviceAccountMetadata(path: string, options: MetadataOptions): Promise<string> {
  const url = metadataUrl(options.env, `instance/service-accounts/default/${path}`)
  for (let attempt = 1; ; attempt++) {
    const headers = { "metadata-flavor": "Google" }
    const answer = await askPlainly({ url, headers, signal: options.signal }).catch(absent)
    if (attempt < MAX_TRIES && BUSY.has(answer.status)) {
      await new Promise((resolve) => setTimeout(resolve, 200 * attempt))
      continue
    }
    const server = `the metadata server ${url.host}`
    if (answer.status === 404) {
      throw new GitsignError("ERR_NO_TOKEN", `${server} knows no service account for this machine`, {
        hint: "give the machine or the pod a service account; on GKE turn on Workload Identity",
      })
    }
    if (answer.status !== 200) {
      const text = printable(answer.body.toString("utf8").replace(/<[^>]*>/g, " "))
      throw new GitsignError("ERR_NO_TOKEN", `${server} answered ${answer.status}${text === "" ? "" : `: ${text}`}`, {
        hint: "check the service account of the machine or the pod, and what it may do",
      })
    }
    // A captive portal or a proxy answers anything with a page; the real server always says who it is.
    if (answer.headers["metadata-flavor"] !== "Google") {
      throw new GitsignError("ERR_NO_TOKEN", `${url.host} is not a metadata server of Google`, {
        hint: "check GCE_METADATA_HOST, and that no proxy or login page of the network answers in its place",
      })
    }
    return answer.body.toString("utf8").trim()
  }
}

/** Most machines have no metadata server, and another way to a token may do. */
function absent(error: unknown): never {
  if (!isGitsignError(error) || error.code !== "ERR_NETWORK") throw error
  throw new GitsignError("ERR_NO_TOKEN", `there is no metadata server: ${error.message}`, {
    cause: error,
    hint: "run it on a machine of Google Cloud that reaches its metadata server, or name that in GCE_METADATA_HOST",
  })
}

function metadataUrl(env: Environment, path: string): URL {
  const host = env.GCE_METADATA_HOST?.trim() || METADATA_ADDRESS
  const text = `http://${host}/computeMetadata/v1/${path}`
  if (!/^[\w.:[\]-]+$/.test(host) || !URL.canParse(text)) {
    throw new GitsignError("ERR_CONFIG", "GCE_METADATA_HOST is not the name of a host", {
      hint: "unset it, or set it like this: GCE_METADATA_HOST=metadata.google.internal:80",
    })
  }
  return new URL(text)
}

/**
 * Sends one request in plain HTTP, never through a proxy: for the link-local addresses of metadata servers, which `HttpClient`
 * does not talk to. Five seconds, 64 KiB.
 *
 * @throws ERR_NETWORK when nobody answers; ERR_CANCELLED when the signal says so
 */
export function askPlainly({ url, method, headers, body, signal }: PlainRequest): Promise<PlainAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (message: string, cause?: unknown): void => {
      finish()
      reject(new GitsignError("ERR_NETWORK", message, { cause }))
      sent.destroy()
    }
    const onAbort = (): void => {
      finish()
      reject(new GitsignError("ERR_CANCELLED", `cancelled while waiting for ${url.host}`))
      sent.destroy()
    }
    const timer = setTimeout(() => fail(`${url.host} did not answer within ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS)
    const finish = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener("abort", onAbort)
    }
    const onError = (error: unknown): void => fail(describeNetworkError(url.host, error).message, error)
    const sent = request(url, { method: method ?? "GET", headers: headers ?? {}, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      let size = 0
      answer.on("error", onError)
      answer.on("data", (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_BYTES) fail(`${url.host} answered with more than ${MAX_BYTES} bytes`)
        else chunks.push(chunk)
      })
      answer.on("end", () => {
        finish()
        const single = Object.entries(answer.headers).flatMap(([name, value]) =>
          typeof value === "string" ? [[name, value] as const] : [],
        )
        resolve({
          status: answer.statusCode ?? 0,
          headers: Object.fromEntries(single),
          body: Buffer.concat(chunks),
        })
      })
    })
    sent.on("error", onError)
    signal?.addEventListener("abort", onAbort, { once: true })
    if (signal?.aborted) onAbort()
    else sent.end(body)
  })
}
