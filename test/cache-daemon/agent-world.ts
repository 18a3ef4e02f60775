/**
 * What the tests of the agent stand on: a Sigstore of their own, requests for it, and clients that remember all that they hear.
 *
 * @module
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, request as forward, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"
import type {
  CredentialKey,
  CredentialLimits,
  Reply,
  ReplyOf,
  Request,
  RequestOf,
  TrustFiles,
} from "../../cache-daemon/protocol.ts"
import type { TrustedRoot } from "../../src/formats/trusted-root.ts"
import { type Sandbox, startSandbox } from "../../src/sandbox/sandbox.ts"
import { trustedRootOf } from "../../src/trust/load.ts"
import { KEY } from "./credential-key.ts"

/** A connection to an agent, whatever it goes over. The hello has been said. */
export interface Client {
  send(request: Request): void
  /** The next reply; rejects when the connection has ended, or after 30 seconds. */
  receive(): Promise<Reply>
  close(): void
}

/** An agent that a test made. */
export interface AgentUnderTest {
  connect(options?: { readonly restricted?: boolean }): Promise<Client>
  /** All lines that it has logged. */
  logged(): string
  close(): Promise<void>
}

/** Makes an agent with these limits of its own. */
export type MakeAgent = (limits: CredentialLimits) => Promise<AgentUnderTest>

/** What a client answers when it is asked. */
export interface Answers {
  readonly token?: string | undefined
  readonly granted?: boolean | undefined
}

/** A whole request with all that was said because of it. */
export interface Told {
  /** The types of all replies, the last one included. */
  readonly types: readonly Reply["type"][]
  readonly replies: readonly Reply[]
  readonly last: Reply
}

export const PAYLOAD = Buffer.from(`tree ${"ab".repeat(20)}
author A Developer <dev@example.com> 1700000000 +0000
committer A Developer <dev@example.com> 1700000000 +0000

a commit
`)

export const NO_LIMITS: CredentialLimits = { signatures: 0, lifetime: 0 }

/** A sandbox and what is signed with it. */
export class World {
  readonly sandbox: Sandbox
  readonly trust: TrustFiles
  readonly trustedRoot: TrustedRoot
  /** What must be in no message and in no log. */
  readonly secrets: string[] = []
  /** Everything that the agents have said and logged, as text. */
  readonly heard: string[] = []

  static async start(): Promise<World> {
    return new World(await startSandbox({ directory: mkdtempSync(join(tmpdir(), "gitsign-agent-test-")) }))
  }

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox
    const trustedRoot = readFileSync(sandbox.trustedRootPath, "utf8")
    this.trust = {
      trustedRoot,
      fulcioRoot: undefined,
      rekorPublicKey: undefined,
      ctLogPublicKey: undefined,
      timestampCertChain: undefined,
    }
    this.trustedRoot = trustedRootOf(this.trust)
  }

  async close(): Promise<void> {
    await this.sandbox.close()
    rmSync(this.sandbox.directory, { recursive: true, force: true })
  }

  async token(email = "dev@example.com"): Promise<string> {
    const token = await this.sandbox.token({ email })
    // Each part by itself: a fragment of a token is a secret too.
    this.secrets.push(...token.split(".").slice(1))
    return token
  }

  key(changes: Partial<CredentialKey> = {}): CredentialKey {
    const { fulcio, rekor, issuer } = this.sandbox.urls
    return { ...KEY, fulcio, rekor, issuer, ...changes }
  }

  signRequest(changes: Partial<RequestOf<"sign">> = {}): RequestOf<"sign"> {
    return {
      type: "sign",
      key: this.key(),
      trust: this.trust,
      limits: NO_LIMITS,
      payload: PAYLOAD,
      detached: true,
      mode: "offline",
      confirm: false,
      context: undefined,
      ...changes,
    }
  }

  warmRequest(changes: Partial<RequestOf<"warm">> = {}): RequestOf<"warm"> {
    return { type: "warm", key: this.key(), trust: this.trust, limits: NO_LIMITS, ...changes }
  }

  /** How many entries the logs have: one in the CT log for each certificate, one in Rekor for each signature. */
  async entries(): Promise<{ readonly rekor: number; readonly ctLog: number }> {
    const response = await fetch(`${this.sandbox.urls.rekor}/sandbox/status`)
    const status = (await response.json()) as { entries: { rekor: number; ctLog: number } }
    return status.entries
  }

  /** Sends a request and answers what is asked until it is over. */
  async tell(client: Client, request: Request, answers: Answers = {}): Promise<Told> {
    client.send(request)
    const replies: Reply[] = []
    for (;;) {
      const reply = await client.receive()
      this.heard.push(textOf(reply))
      replies.push(reply)
      if (reply.type === "token_needed") {
        client.send({ type: "token", identityToken: answers.token ?? (await this.token()) })
      } else if (reply.type === "consent_needed") {
        client.send({ type: "consent", granted: answers.granted ?? true })
      } else if (reply.type !== "waiting" && reply.type !== "logging") {
        return { types: replies.map(({ type }) => type), replies, last: reply }
      }
    }
  }

  /** The next reply, remembered. */
  async hear(client: Client): Promise<Reply> {
    const reply = await client.receive()
    this.heard.push(textOf(reply))
    return reply
  }
}

/** Strings and bytes of a message, one after the other. */
const textOf = (reply: Reply): string =>
  JSON.stringify(reply, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value,
  )

/** The last reply, which has to be of this type. */
export function expectLast<T extends Reply["type"]>({ last }: Told, type: T): ReplyOf<T> {
  if (last.type === type) return last as ReplyOf<T>
  throw new Error(`not ${type} but ${JSON.stringify(last)}`)
}

/** A server in front of another one that holds requests up until it is told to let them through. */
export interface Barrier {
  readonly url: string
  /** Resolves when a request is there. */
  readonly reached: Promise<void>
  /** How many requests have come. */
  requests(): number
  open(): void
}

/** A barrier in front of the server at `target`, gone when the test ends. */
export async function barrier(target: string): Promise<Barrier> {
  let reach: () => void = () => undefined
  let open: () => void = () => undefined
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const base = new URL(target)
  let requests = 0
  const server = createServer(async (request: IncomingMessage, response) => {
    requests++
    reach()
    await opened
    const { method, headers, url = "/" } = request
    const onward = forward({ host: base.hostname, port: base.port, path: url, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    onward.on("error", () => response.destroy())
    request.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    open()
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}${base.pathname === "/" ? "" : base.pathname}`,
    reached,
    requests: () => requests,
    open,
  }
}

/** The address of a port on which nothing listens. */
export async function nowhere(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}
