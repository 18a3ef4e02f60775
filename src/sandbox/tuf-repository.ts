/**
 * The sandbox's trust as a TUF repository (TUF specification 1.0.31, consistent snapshots), for the Go gitsign and cosign,
 * which fetch trust from a mirror even when every key is named to them.
 *
 * @module
 */

import { createHash, type KeyObject, sign } from "node:crypto"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { encodePem } from "../formats/pem.ts"
import { spkiOf } from "./certificates.ts"
import type { Route } from "./http-server.ts"
import { type SandboxState, systemError } from "./state.ts"
import { readIfThere, type SandboxUrls, TRUST_FILES, trustFiles, writeFiles } from "./trust-files.ts"

/** Where the repository is in the state directory. */
const DIRECTORY = "tuf"

/** Names under which the older Go client looks for keys, with the use it is told (custom.sigstore.usage). */
const LEGACY_TARGETS = [
  [TRUST_FILES.fulcioRoot, "fulcio.crt.pem", "Fulcio"],
  [TRUST_FILES.fulcioIntermediate, "fulcio_intermediate_v1.crt.pem", "Fulcio"],
  [TRUST_FILES.rekorKey, "rekor.pub", "Rekor"],
  [TRUST_FILES.ctLogKey, "ctfe.pub", "CTFE"],
  [TRUST_FILES.timestampChain, "tsa.crt.pem", "TSA"],
] as const

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

interface Target {
  readonly name: string
  readonly content: string
  readonly custom?: Json
}

/** The repository: the root that a client begins with, and what is served below `/tuf/`. */
export interface TufRepository {
  /** The path of root.json, which a client is given as its first trust. */
  readonly rootPath: string
  readonly routes: readonly Route[]
}

/**
 * Makes the repository, or a new version of it when the targets changed; what clients have cached stays valid.
 *
 * @throws ERR_SANDBOX when it cannot be read or written
 */
export async function openTufRepository(
  directory: string,
  state: SandboxState,
  urls: SandboxUrls,
): Promise<TufRepository> {
  const path = join(directory, DIRECTORY)
  try {
    await mkdir(join(path, "targets"), { recursive: true, mode: 0o700 })
  } catch (error) {
    throw systemError(`${path} cannot be made`, error)
  }
  const targets = targetsOf(state, urls)
  const files = await readMetadata(path, targets)
  if (files.size === 0) {
    for (const [name, content] of makeMetadata(state, targets, (await currentVersion(path)) + 1))
      files.set(name, content)
    // timestamp.json names all the others, so it is written last: a crash before that leaves the old version whole.
    await writeFiles(path, files)
  }
  for (const { name, content } of targets) {
    for (const algorithm of ["sha256", "sha512"]) files.set(`targets/${digest(algorithm, content)}.${name}`, content)
    files.set(`targets/${name}`, content)
  }
  return { rootPath: join(path, "root.json"), routes: [serve(files)] }
}

const serve = (files: ReadonlyMap<string, string>): Route => ({
  method: "GET",
  path: "/tuf/",
  handle: ({ rest }) => {
    const body = files.get(rest)
    if (body === undefined) return { status: 404, body: "not found\n" }
    const type = rest.endsWith(".json") ? "application/json" : "application/octet-stream"
    return { status: 200, headers: { "content-type": type }, body }
  },
})

function targetsOf(state: SandboxState, urls: SandboxUrls): Target[] {
  const files = trustFiles(state, urls)
  const content = (name: string): string => files.get(name) ?? ""
  return [
    ...LEGACY_TARGETS.map(([file, name, usage]) => ({
      name,
      content: content(file),
      custom: { sigstore: { usage, status: "Active", uri: "" } },
    })),
    { name: TRUST_FILES.trustedRoot, content: content(TRUST_FILES.trustedRoot) },
    { name: TRUST_FILES.signingConfig, content: content(TRUST_FILES.signingConfig) },
  ]
}

/** The metadata of the newest version when it is for exactly these targets; otherwise nothing. */
async function readMetadata(path: string, targets: readonly Target[]): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  const version = await currentVersion(path)
  for (const name of metadataNames(version)) {
    const content = await readIfThere(join(path, name))
    if (content === undefined) return new Map()
    files.set(name, content)
  }
  const described = parseMetadata(files.get(`${version}.targets.json`))?.signed?.targets
  return canonical(described ?? null) === canonical(describe(targets)) ? files : new Map()
}

interface SignedMetadata {
  readonly signed?: { readonly version?: number; readonly targets?: Json }
}

/** Metadata of our own, or undefined when a crash left something else; it is then made anew. */
function parseMetadata(text: string | undefined): SignedMetadata | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as SignedMetadata)
  } catch {
    return undefined
  }
}

const metadataNames = (version: number): string[] => [
  "1.root.json",
  "root.json",
  `${version}.targets.json`,
  "targets.json",
  `${version}.snapshot.json`,
  "snapshot.json",
  "timestamp.json",
]

const currentVersion = async (path: string): Promise<number> =>
  parseMetadata(await readIfThere(join(path, "timestamp.json")))?.signed?.version ?? 0

/** Every metadata file in the order in which it is to be written. */
function makeMetadata(state: SandboxState, targets: readonly Target[], version: number): Map<string, string> {
  const key = tufKey(state.keys.tuf)
  const common = { spec_version: "1.0.31", expires: state.validUntil.toISOString().replace(".000Z", "Z") }
  const signed = (metadata: { readonly [name: string]: Json }): string =>
    signMetadata({ ...common, ...metadata }, state.keys.tuf)
  const role = { keyids: [key.keyid], threshold: 1 }
  const root = signed({
    _type: "root",
    version: 1,
    consistent_snapshot: true,
    keys: { [key.keyid]: key.value },
    roles: { root: role, targets: role, snapshot: role, timestamp: role },
  })
  const targetsText = signed({ _type: "targets", version, targets: describe(targets) })
  const snapshot = signed({ _type: "snapshot", version, meta: { "targets.json": metaOf(targetsText, version) } })
  const timestamp = signed({ _type: "timestamp", version, meta: { "snapshot.json": metaOf(snapshot, version) } })
  const contents = [root, root, targetsText, targetsText, snapshot, snapshot, timestamp]
  return new Map(metadataNames(version).map((name, i) => [name, contents[i] ?? ""]))
}

const describe = (targets: readonly Target[]): { readonly [name: string]: Json } =>
  Object.fromEntries(
    targets.map(({ name, content, custom }) => [
      name,
      { ...lengthAndHashes(content), ...(custom === undefined ? {} : { custom }) },
    ]),
  )

const metaOf = (text: string, version: number): Json => ({ version, ...lengthAndHashes(text) })

const lengthAndHashes = (text: string): { readonly [name: string]: Json } => ({
  length: Buffer.byteLength(text),
  hashes: { sha256: digest("sha256", text), sha512: digest("sha512", text) },
})

const digest = (algorithm: string, text: string): string => createHash(algorithm).update(text).digest("hex")

/** The key as TUF writes it, and its id: the hash of that. */
function tufKey(key: KeyObject): { keyid: string; value: Json } {
  const value = {
    keytype: "ecdsa",
    scheme: "ecdsa-sha2-nistp256",
    keyval: { public: encodePem("PUBLIC KEY", spkiOf(key)) },
  }
  return { keyid: digest("sha256", canonical(value)), value }
}

function signMetadata(signed: Json, key: KeyObject): string {
  const sig = sign("sha256", Buffer.from(canonical(signed)), key).toString("hex")
  return `${JSON.stringify({ signatures: [{ keyid: tufKey(key).keyid, sig }], signed }, undefined, 1)}\n`
}

/** Canonical JSON as TUF has it (OLPC): members sorted, only quotes and backslashes escaped, no white space. */
function canonical(value: Json): string {
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`
  if (typeof value !== "object" || value === null) return String(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  const members = Object.entries(value as { readonly [name: string]: Json }).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${canonical(name)}:${canonical(member)}`).join(",")}}`
}
