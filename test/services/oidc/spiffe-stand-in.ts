/**
 * A stand-in for a SPIFFE agent: a real gRPC server with the Workload API on a Unix socket or a port of this machine.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js"
import { onTestFinished } from "vitest"
import { testToken } from "../tokens.ts"

export const SPIFFE_ID = "spiffe://example.org/ns/ci/sa/signer"
export const ISSUER = "https://oidc-discovery.example.org"

/** The wire format by hand (protobuf encoding, proto3), so that the client's own schema is not what it is tested with. */
const field = (number: number, bytes: Uint8Array): Buffer => {
  const length: number[] = []
  let rest = bytes.length
  for (; rest > 127; rest >>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), bytes])
}

const audiencesOf = (request: Buffer): string[] => {
  const found: string[] = []
  for (let at = 0; at < request.length; ) {
    if (request[at] !== 0x0a) throw new Error("not a JWTSVIDRequest with audiences only")
    const length = request[at + 1] ?? 0
    found.push(request.subarray(at + 2, at + 2 + length).toString("utf8"))
    at += 2 + length
  }
  return found
}

const response = (svids: readonly string[]): Buffer =>
  Buffer.concat(
    svids.map((svid) => field(1, Buffer.concat([field(1, Buffer.from(SPIFFE_ID)), field(2, Buffer.from(svid))]))),
  )

export interface Agent {
  /** The path of the socket, or host:port. */
  readonly address: string
  readonly asked: { readonly audiences: readonly string[]; readonly metadata: Metadata }[]
}

export interface AgentOptions {
  /** 0.0.0.0 is never listened on: a port of 127.0.0.1 instead of a socket. */
  readonly tcp?: boolean
  /** The answer: JWT-SVIDs, an error as gRPC has it, or nothing at all. */
  readonly answer?: (audiences: readonly string[]) => readonly string[] | { code: status; details: string } | undefined
}

const usual = (audiences: readonly string[]): readonly string[] => [
  testToken({ iss: ISSUER, sub: SPIFFE_ID, aud: [...audiences], email: undefined, email_verified: undefined }),
]

/** Starts an agent, which is closed when the test ends. */
export async function spiffeAgent({ tcp = false, answer = usual }: AgentOptions = {}): Promise<Agent> {
  const asked: Agent["asked"] = []
  const server = new Server()
  const bytes = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value }
  const FetchJWTSVID = {
    path: "/SpiffeWorkloadAPI/FetchJWTSVID",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes.serialize,
    requestDeserialize: bytes.deserialize,
    responseSerialize: bytes.serialize,
    responseDeserialize: bytes.deserialize,
  } as const
  server.addService(
    { FetchJWTSVID },
    {
      FetchJWTSVID: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
        const audiences = audiencesOf(call.request)
        asked.push({ audiences, metadata: call.metadata })
        if (call.metadata.get("workload.spiffe.io").join() !== "true") {
          return callback({ code: status.INVALID_ARGUMENT, details: "security header missing from request" })
        }
        const given = answer(audiences)
        if (given === undefined) return
        if ("code" in given) return callback(given)
        callback(null, response(given))
      },
    },
  )
  const directory = mkdtempSync(join(tmpdir(), "gitsign-spiffe-"))
  const path = join(directory, "api.sock")
  onTestFinished(() => {
    server.forceShutdown()
    rmSync(directory, { recursive: true })
  })
  const target = tcp ? "127.0.0.1:0" : `unix:${path}`
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(target, ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error)
      else resolve(bound)
    })
  })
  return { address: tcp ? `127.0.0.1:${port}` : path, asked }
}
