/**
 * What the sandbox's clients trust, as files: trusted_root.json 0.1, signing_config 0.2 (sigstore/protobuf-specs), PEM.
 *
 * @module
 */

import { randomBytes } from "node:crypto"
import { readFile, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { encodePem } from "../formats/pem.ts"
import { spkiOf } from "./certificates.ts"
import { HOST } from "./http-server.ts"
import { isMissing, logIdOf, type SandboxState, systemError } from "./state.ts"

/** The services' addresses. */
export interface SandboxUrls {
  /** The OpenID provider; the `iss` of its tokens and the issuer in the certificates. */
  readonly issuer: string
  readonly fulcio: string
  readonly rekor: string
  /** Where timestamp requests are sent, with its path. */
  readonly timestamp: string
  readonly tuf: string
  readonly ctLog: string
}

/** Every address of a sandbox on `port`. All services share one listener: their paths do not overlap. */
export function urlsOf(port: number): SandboxUrls {
  const base = `http://${HOST}:${port}`
  return {
    issuer: base,
    fulcio: base,
    rekor: base,
    timestamp: `${base}/api/v1/timestamp`,
    tuf: `${base}/tuf`,
    ctLog: base,
  }
}

/** The names of the files in the state directory. */
export const TRUST_FILES = {
  trustedRoot: "trusted_root.json",
  signingConfig: "signing_config.v0.2.json",
  fulcioChain: "fulcio-chain.pem",
  fulcioRoot: "fulcio-root.pem",
  fulcioIntermediate: "fulcio-intermediate.pem",
  rekorKey: "rekor.pub",
  ctLogKey: "ctfe.pub",
  timestampChain: "tsa-chain.pem",
} as const

/** The content of every trust file by its name. The same state always gives the same bytes. */
export function trustFiles(state: SandboxState, urls: SandboxUrls): Map<string, string> {
  const pem = (chain: readonly Uint8Array[]): string => chain.map((der) => encodePem("CERTIFICATE", der)).join("")
  const publicKey = (name: "rekor" | "ctLog"): string => encodePem("PUBLIC KEY", spkiOf(state.keys[name]))
  const { fulcio, timestampAuthority } = state.chains
  return new Map([
    [TRUST_FILES.trustedRoot, jsonText(trustedRoot(state, urls))],
    [TRUST_FILES.signingConfig, jsonText(signingConfig(state, urls))],
    [TRUST_FILES.fulcioChain, pem(fulcio)],
    [TRUST_FILES.fulcioRoot, pem(fulcio.slice(-1))],
    [TRUST_FILES.fulcioIntermediate, pem(fulcio.slice(0, -1))],
    [TRUST_FILES.rekorKey, publicKey("rekor")],
    [TRUST_FILES.ctLogKey, publicKey("ctLog")],
    [TRUST_FILES.timestampChain, pem(timestampAuthority)],
  ])
}

const jsonText = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

const timeText = (date: Date): string => date.toISOString().replace(".000Z", "Z")

function trustedRoot(state: SandboxState, urls: SandboxUrls): unknown {
  const validFor = { start: timeText(state.validFrom) }
  const log = (baseUrl: string, name: "rekor" | "ctLog"): unknown => {
    const spki = spkiOf(state.keys[name])
    return {
      baseUrl,
      hashAlgorithm: "SHA2_256",
      publicKey: { rawBytes: spki.toString("base64"), keyDetails: "PKIX_ECDSA_P256_SHA_256", validFor },
      logId: { keyId: logIdOf(spki).toString("base64") },
    }
  }
  const authority = (uri: string, commonName: string, chain: readonly Buffer[]): unknown => ({
    subject: { organization: "gitsign sandbox", commonName },
    uri,
    certChain: { certificates: chain.map((der) => ({ rawBytes: der.toString("base64") })) },
    validFor,
  })
  return {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: [log(urls.rekor, "rekor")],
    certificateAuthorities: [authority(urls.fulcio, "gitsign sandbox root", state.chains.fulcio)],
    ctlogs: [log(urls.ctLog, "ctLog")],
    timestampAuthorities: [
      authority(urls.timestamp, "gitsign sandbox timestamp root", state.chains.timestampAuthority),
    ],
  }
}

function signingConfig(state: SandboxState, urls: SandboxUrls): unknown {
  const service = (url: string): unknown[] => [
    { url, majorApiVersion: 1, validFor: { start: timeText(state.validFrom) }, operator: "gitsign sandbox" },
  ]
  return {
    mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    caUrls: service(urls.fulcio),
    oidcUrls: service(urls.issuer),
    rekorTlogUrls: service(urls.rekor),
    rekorTlogConfig: { selector: "ANY" },
    tsaUrls: service(urls.timestamp),
    tsaConfig: { selector: "ANY" },
  }
}

/**
 * Writes the files whose content is not there yet, each at once: a reader sees the old file or the new one.
 *
 * @throws ERR_SANDBOX when one cannot be written
 */
export async function writeFiles(directory: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [name, content] of files) {
    const path = join(directory, name)
    if ((await readIfThere(path)) === content) continue
    const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`
    try {
      await writeFile(temporary, content, { mode: 0o600 })
      await rename(temporary, path)
    } catch (error) {
      throw systemError(`${path} cannot be written`, error)
    }
  }
}

/** The text of a file, or undefined when there is none. @throws ERR_SANDBOX when it cannot be read */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8")
  } catch (error) {
    if (isMissing(error)) return undefined
    throw systemError(`${path} cannot be read`, error)
  }
}
