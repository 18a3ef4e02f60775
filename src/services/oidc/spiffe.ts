/**
 * The JWT-SVID of a workload, from the SPIFFE Workload API (SPIFFE Workload API §6.2, FetchJWTSVID; SPIFFE Workload Endpoint §3, §5).
 *
 * @module
 */

import type { status as Status } from "@grpc/grpc-js"
import type { ServiceDefinition } from "@grpc/proto-loader"
import { GitsignError, isGitsignError, messageOf } from "../../errors.ts"
import { printable } from "../answer.ts"
import type { HttpClient } from "../http.ts"
import type { Environment } from "./provider.ts"
import { DEFAULT_SPIFFE_SOCKET, isOfOthers, type SpiffeAddress, spiffeAddress } from "./spiffe-detect.ts"

const TIMEOUT_MS = 10_000
const MAX_BYTES = 64 * 1024

/** What asking for a JWT-SVID takes. */
export interface SpiffeOptions {
  readonly env: Environment
  /** What the token's `aud` shall be. */
  readonly audience: string
  /** Not used: the Workload API is gRPC, on a socket of this machine. */
  readonly http: HttpClient
  readonly signal?: AbortSignal | undefined
}

/** workloadapi.proto of SPIFFE, as far as FetchJWTSVID needs it, in protobufjs' JSON. */
const WORKLOAD_API = {
  nested: {
    JWTSVIDRequest: {
      fields: {
        audience: { rule: "repeated", type: "string", id: 1 },
        spiffeId: { type: "string", id: 2 },
      },
    },
    JWTSVID: {
      fields: {
        spiffeId: { type: "string", id: 1 },
        svid: { type: "string", id: 2 },
        hint: { type: "string", id: 3 },
      },
    },
    JWTSVIDResponse: { fields: { svids: { rule: "repeated", type: "JWTSVID", id: 1 } } },
    SpiffeWorkloadAPI: {
      methods: { FetchJWTSVID: { requestType: "JWTSVIDRequest", responseType: "JWTSVIDResponse", comment: "" } },
    },
  },
}

/** Both libraries; bundled, a CommonJS package is only its default export. */
async function loadGrpc() {
  const [grpc, loader] = await Promise.all([import("@grpc/grpc-js"), import("@grpc/proto-loader")])
  return { grpc: grpc.default ?? grpc, fromJSON: (loader.default ?? loader).fromJSON }
}

/**
 * The workload's JWT-SVID for this audience, not yet looked at; the first where it has several identities, as the standard has it.
 *
 * @param defaultSocket where the Workload API is when SPIFFE_ENDPOINT_SOCKET is not set
 * @throws ERR_CONFIG when SPIFFE_ENDPOINT_SOCKET is no address; ERR_NO_TOKEN when the workload has no identity, or nobody answers at the
 * default socket; ERR_NETWORK when nobody answers at the one that is set; ERR_OIDC when the agent refuses; ERR_CANCELLED
 */
export async function spiffeToken(
  { env, audience, signal }: SpiffeOptions,
  defaultSocket: string = DEFAULT_SPIFFE_SOCKET,
): Promise<string> {
  const address = spiffeAddress(env, defaultSocket)
  if (address === undefined) {
    throw new GitsignError("ERR_CONFIG", "SPIFFE_ENDPOINT_SOCKET is not an address that can be used", {
      hint: "set it like this: SPIFFE_ENDPOINT_SOCKET=unix:///run/spire/agent/api.sock, or tcp://127.0.0.1:8081",
    })
  }
  // gitsign.tokenProvider asks for SPIFFE, and not for whoever was first to put a socket into /tmp.
  if (!address.named && address.path !== undefined && isOfOthers(address.path)) {
    throw new GitsignError("ERR_NO_TOKEN", `the socket at ${address.path} belongs to another user`, {
      hint: "name it in SPIFFE_ENDPOINT_SOCKET to use it",
    })
  }
  const { grpc, fromJSON } = await loadGrpc()
  const service = fromJSON(WORKLOAD_API).SpiffeWorkloadAPI as ServiceDefinition
  const { path, requestSerialize, responseDeserialize } = service.FetchJWTSVID as ServiceDefinition[string]
  const client = new grpc.Client(address.target, grpc.credentials.createInsecure(), {
    "grpc.enable_http_proxy": 0,
    "grpc.enable_retries": 0,
    "grpc.service_config_disable_resolution": 1,
    "grpc.max_receive_message_length": MAX_BYTES,
  })
  const metadata = new grpc.Metadata()
  // The agent refuses a request without it: a service that can be talked into calling addresses could not send it.
  metadata.set("workload.spiffe.io", "true")
  const options = { deadline: Date.now() + TIMEOUT_MS }
  const query = { audience: [audience] }
  let cancel = (): void => undefined
  try {
    const answer = await new Promise<object>((resolve, reject) => {
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        query,
        metadata,
        options,
        (error, value) => {
          if (error) reject(error)
          else resolve(value ?? {})
        },
      )
      cancel = () => call.cancel()
      signal?.addEventListener("abort", cancel, { once: true })
      if (signal?.aborted) cancel()
    })
    return firstSvid(answer)
  } catch (error) {
    throw inWords(error, address, grpc.status)
  } finally {
    signal?.removeEventListener("abort", cancel)
    client.close()
  }
}

/** The first identity is the one to use unless a workload knows better (SPIFFE Workload API §6.3). */
function firstSvid(answer: object): string {
  const svids = "svids" in answer && Array.isArray(answer.svids) ? answer.svids : []
  const svid: unknown = svids[0]?.svid
  if (typeof svid === "string" && svid !== "") return svid
  throw new GitsignError("ERR_OIDC", "the SPIFFE Workload API answered with something that is not an identity token")
}

function inWords(error: unknown, address: SpiffeAddress, status: typeof Status): GitsignError {
  if (isGitsignError(error)) return error
  const where = `the SPIFFE Workload API at ${address.path ?? address.target}`
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  const details =
    typeof error === "object" && error !== null && "details" in error ? String(error.details) : messageOf(error)
  const text = printable(details)
  // Somebody who has not set the variable need not have heard of SPIFFE, and another way to a token may do.
  const absent = address.named ? "ERR_NETWORK" : "ERR_NO_TOKEN"
  const hint = "check that the SPIFFE agent runs, and SPIFFE_ENDPOINT_SOCKET"
  switch (code) {
    case status.CANCELLED:
      return new GitsignError("ERR_CANCELLED", `cancelled while waiting for ${where}`)
    case status.PERMISSION_DENIED:
      return new GitsignError(
        "ERR_NO_TOKEN",
        `${where} has no identity for this process${text === "" ? "" : `: ${text}`}`,
        {
          hint: "register the workload, with SPIRE: spire-server entry create -selector …; a new entry takes some seconds to arrive",
        },
      )
    case status.UNAVAILABLE:
      return new GitsignError(absent, `${where} does not answer: ${whyAbsent(text)}`, { hint })
    case status.DEADLINE_EXCEEDED:
      return new GitsignError(absent, `${where} did not answer within ${TIMEOUT_MS / 1000} s`, { hint })
    case status.UNIMPLEMENTED:
      return new GitsignError("ERR_OIDC", `${where} gives no JWT-SVIDs: ${text}`, { hint })
    default:
      return new GitsignError("ERR_OIDC", `${where} refused: ${text}`, { hint: "see the log of the SPIFFE agent" })
  }
}

/** gRPC tells of a failed connection in a sentence with the system's error inside. */
function whyAbsent(text: string): string {
  if (text.includes(" ENOENT ")) return "there is no such socket"
  if (text.includes(" EACCES ")) return "this user may not use the socket"
  if (text.includes(" ECONNREFUSED ")) return "nobody listens there"
  return text
}
