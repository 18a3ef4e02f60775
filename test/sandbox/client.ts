/**
 * A plain client of the sandbox's services for the tests: real sockets, no code of src/services.
 *
 * @module
 */

import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Sandbox, startSandbox } from "../../src/sandbox/sandbox.ts"

/** A folder of its own below the system's temporary one. */
export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), "gitsign-sandbox-test-"))

/** A sandbox for one test file, with what it logged. */
export async function temporarySandbox(): Promise<{ sandbox: Sandbox; logged: string[]; remove: () => Promise<void> }> {
  const directory = temporaryFolder()
  const logged: string[] = []
  const sandbox = await startSandbox({ directory, log: (line) => logged.push(line) })
  const remove = async (): Promise<void> => {
    await sandbox.close()
    rmSync(directory, { recursive: true, force: true })
  }
  return { sandbox, logged, remove }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON; undefined when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  readonly json: any
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  return { status: response.status, headers: response.headers, text, json }
}

export const get = async (url: string): Promise<Answer> => answerOf(await fetch(url))

export const post = async (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  answerOf(
    await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
  )

export interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export const newKey = (namedCurve = "P-256"): KeyPair => generateKeyPairSync("ec", { namedCurve })

export const pemOf = (key: KeyObject): string => key.export({ type: "spki", format: "pem" }).toString()

/** The body of a v2 signing request. */
export const signingRequest = (token: string, { privateKey, publicKey }: KeyPair, challenge: string): unknown => ({
  credentials: { oidcIdentityToken: token },
  publicKeyRequest: {
    publicKey: { algorithm: "ECDSA", content: pemOf(publicKey) },
    proofOfPossession: sign("sha256", Buffer.from(challenge), privateKey).toString("base64"),
  },
})

/** A certificate chain for a new key, leaf first, in PEM. */
export async function certify(
  sandbox: Sandbox,
  email = "dev@example.com",
): Promise<KeyPair & { readonly chain: readonly [string, string, string] }> {
  const key = newKey()
  const answer = await post(
    `${sandbox.urls.fulcio}/api/v2/signingCert`,
    signingRequest(await sandbox.token({ email }), key, email),
  )
  if (answer.status !== 200) throw new Error(answer.text)
  return { ...key, chain: answer.json.signedCertificateEmbeddedSct.chain.certificates }
}

/** A hashedrekord entry for `artifact`. */
export function entryFor(artifact: string, privateKey: KeyObject, pem: string): unknown {
  const value = createHash("sha256").update(artifact).digest("hex")
  const content = sign("sha256", Buffer.from(artifact), privateKey).toString("base64")
  return {
    apiVersion: "0.0.1",
    kind: "hashedrekord",
    spec: {
      data: { hash: { algorithm: "sha256", value } },
      signature: { content, publicKey: { content: Buffer.from(pem).toString("base64") } },
    },
  }
}

/** The one entry of an answer that maps its name to it. */
export function onlyEntry(answer: Answer): { uuid: string; entry: LogEntry } {
  const [pair, ...more] = Object.entries<LogEntry>(answer.json)
  if (pair === undefined || more.length > 0) throw new Error(`not one entry: ${answer.text}`)
  return { uuid: pair[0], entry: pair[1] }
}

export interface LogEntry {
  readonly body: string
  readonly integratedTime: number
  readonly logID: string
  readonly logIndex: number
  readonly verification: {
    readonly inclusionProof: {
      readonly checkpoint: string
      readonly hashes: readonly string[]
      readonly logIndex: number
      readonly rootHash: string
      readonly treeSize: number
    }
    readonly signedEntryTimestamp: string
  }
}
