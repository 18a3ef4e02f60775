/**
 * What a sandbox is: its port, keys and certificates, in one private file that is written once.
 *
 * One file, so that a sandbox is either complete or not there at all: a crash while it is being made leaves nothing,
 * and of two processes that make it at once one wins and the other uses what the first one made.
 *
 * @module
 */

import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { chmod, link, mkdir, open, readdir, readFile, stat, unlink } from "node:fs/promises"
import { userInfo } from "node:os"
import { dirname, join } from "node:path"
import { GitsignError, reasonOf } from "../errors.ts"
import { encodePem } from "../formats/pem.ts"
import {
  encodeCertificate,
  type Issuer,
  issueIntermediate,
  issueRoot,
  issueTimestampSigner,
  parseCertificate,
} from "./certificates.ts"
import { syncDirectory } from "./durable-log.ts"
import { decodePem } from "./pem.ts"

/** The keys of the services. The two roots' private keys are thrown away once they have signed. */
const KEY_NAMES = ["fulcio", "timestampAuthority", "ctLog", "rekor", "openid", "tuf"] as const
type KeyName = (typeof KEY_NAMES)[number]

/** Chains in PEM, the issuing certificate first, the root last. */
const CHAIN_NAMES = ["fulcio", "timestampAuthority"] as const
type ChainName = (typeof CHAIN_NAMES)[number]

interface StateFile {
  readonly version: 1
  readonly created: string
  readonly port: number
  readonly treeId: string
  readonly controlSecret: string
  readonly keys: Readonly<Record<KeyName, string>>
  readonly chains: Readonly<Record<ChainName, string>>
}

/** A sandbox's identity, read and ready for use. */
export interface SandboxState {
  /** When the sandbox was made; its certificates and its trust in its logs begin a day before. */
  readonly validFrom: Date
  readonly validUntil: Date
  readonly port: number
  /** Rekor's tree id: a positive 63-bit number in decimal. */
  readonly treeId: string
  /** Whoever can read the state directory may stop the daemon. */
  readonly controlSecret: string
  readonly keys: Readonly<Record<KeyName, KeyObject>>
  /** DER, the issuing certificate first, the root last. */
  readonly chains: Readonly<Record<ChainName, readonly Buffer[]>>
  readonly fulcioIssuer: Issuer
  readonly timestampSigner: Issuer
}

const STATE_FILE = "state.json"
const DAY = 86_400_000
const TEN_YEARS = 3650 * DAY

/** Everything a sandbox puts into its directory; a directory with anything else in it is somebody's own. */
const OWN_NAMES =
  /^(state\.json(\..*)?|sandbox\.log|(rekor|ct)\.log|trusted_root\.json|signing_config\.v0\.2\.json|.*\.pem|.*\.pub|tuf.*|.*\.tmp)$/

const sandboxError = (message: string, options?: { cause?: unknown; hint?: string }): GitsignError =>
  new GitsignError("ERR_SANDBOX", message, options)

/**
 * Makes the state directory (mode 0700), or checks that an existing one is ours to use.
 *
 * @throws ERR_SANDBOX when it holds something else, or belongs to another user
 */
export async function prepareDirectory(directory: string): Promise<void> {
  try {
    await makeDirectory(directory)
    const foreign = (await readdir(directory)).find((name) => !OWN_NAMES.test(name))
    if (foreign !== undefined) {
      throw sandboxError(`${directory} holds something that is not a sandbox: ${foreign}`, {
        hint: "name an empty or a new directory with --dir",
      })
    }
    const { uid } = await stat(directory)
    const ownUid = userInfo().uid
    // Whoever owns the directory could plant keys in it, and the sandbox would make this user trust them.
    if (ownUid >= 0 && uid !== ownUid) throw sandboxError(`${directory} belongs to another user`)
    await chmod(directory, 0o700)
  } catch (error) {
    if (error instanceof GitsignError) throw error
    throw systemError(`${directory} cannot be used`, error)
  }
}

/** With those on the way to it. Not `recursive`, with which Node tries for ever where nothing can be made, as in /proc. */
async function makeDirectory(directory: string): Promise<void> {
  const make = (): Promise<unknown> =>
    mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    })
  try {
    await make()
  } catch (error) {
    if (!isMissing(error) || existsSync(dirname(directory))) throw error
    await makeDirectory(dirname(directory))
    await make()
  }
}

/**
 * Reads the state of the sandbox in `directory`; undefined when there is none.
 *
 * @throws ERR_SANDBOX when it cannot be read
 */
export async function readState(directory: string): Promise<SandboxState | undefined> {
  const path = join(directory, STATE_FILE)
  let text: string
  try {
    text = await readFile(path, "utf8")
  } catch (error) {
    if (isMissing(error)) return undefined
    throw systemError(`${path} cannot be read`, error)
  }
  try {
    return interpret(JSON.parse(text) as StateFile)
  } catch (error) {
    throw sandboxError(`${path} is damaged`, {
      cause: error,
      hint: `remove ${directory} to begin again; its old signatures then no longer verify`,
    })
  }
}

/**
 * Makes a sandbox for `port` and returns its state, or that of another process that was faster.
 *
 * @throws ERR_SANDBOX when it cannot be written
 */
export async function createState(directory: string, port: number, now: Date): Promise<SandboxState> {
  const path = join(directory, STATE_FILE)
  const temporary = `${path}.${randomBytes(8).toString("hex")}`
  try {
    const file = await open(temporary, "wx", 0o600)
    try {
      await file.writeFile(`${JSON.stringify(generate(port, now), undefined, 1)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    try {
      // Unlike rename, link never replaces: the state that was there first stays.
      await link(temporary, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    } finally {
      await unlink(temporary)
    }
    await syncDirectory(directory)
  } catch (error) {
    throw systemError(`${path} cannot be written`, error)
  }
  const state = await readState(directory)
  if (state === undefined) throw sandboxError(`${path} disappeared`)
  return state
}

function interpret(file: StateFile): SandboxState {
  if (file.version !== 1) throw new Error("unknown version")
  if (!Number.isInteger(file.port) || !/^\d+$/.test(file.treeId) || file.controlSecret.length < 32)
    throw new Error("fields")
  const keys = recordOf(KEY_NAMES, (name) => createPrivateKey(file.keys[name]))
  const chains = recordOf(CHAIN_NAMES, (name) => decodePem(file.chains[name]).map(({ der }) => der))
  return {
    keys,
    chains,
    ...validity(new Date(file.created)),
    port: file.port,
    treeId: file.treeId,
    controlSecret: file.controlSecret,
    fulcioIssuer: issuerFrom(chains.fulcio[0], keys.fulcio),
    timestampSigner: issuerFrom(chains.timestampAuthority[0], keys.timestampAuthority),
  }
}

function issuerFrom(der: Buffer | undefined, privateKey: KeyObject): Issuer {
  if (der === undefined) throw new Error("empty chain")
  return { certificate: parseCertificate(der), privateKey }
}

/** A day is left at the beginning for clients whose clocks are behind. Whole seconds, as X.509 has them. */
function validity(created: Date): Pick<SandboxState, "validFrom" | "validUntil"> {
  const start = Math.floor((created.getTime() - DAY) / 1000) * 1000
  return { validFrom: new Date(start), validUntil: new Date(start + TEN_YEARS) }
}

function generate(port: number, now: Date): StateFile {
  const ecKey = (namedCurve: string): KeyObject => generateKeyPairSync("ec", { namedCurve }).privateKey
  const p256 = "P-256"
  const keys: Record<KeyName, KeyObject> = {
    fulcio: ecKey("P-384"),
    timestampAuthority: ecKey(p256),
    ctLog: ecKey(p256),
    rekor: ecKey(p256),
    openid: ecKey(p256),
    tuf: ecKey(p256),
  }
  const { validFrom: notBefore, validUntil: notAfter } = validity(now)
  const organization = "gitsign sandbox"
  const root = (commonName: string): Issuer => {
    const key = ecKey("P-384")
    return { privateKey: key, certificate: issueRoot({ organization, commonName, key, notBefore, notAfter }) }
  }
  const fulcioRoot = root("gitsign sandbox root")
  const timestampRoot = root("gitsign sandbox timestamp root")
  const fulcio = issueIntermediate(
    { organization, commonName: "gitsign sandbox intermediate", key: keys.fulcio, notBefore, notAfter },
    fulcioRoot,
  )
  const timestampSigner = issueTimestampSigner(
    { organization, commonName: "gitsign sandbox timestamps", key: keys.timestampAuthority, notBefore, notAfter },
    timestampRoot,
  )
  const chain = (...issuers: readonly Issuer["certificate"][]): string =>
    issuers.map((certificate) => encodePem("CERTIFICATE", encodeCertificate(certificate))).join("")
  return {
    version: 1,
    created: now.toISOString(),
    port,
    // Rekor's clients read it as a positive int64.
    treeId: (randomBytes(8).readBigUInt64BE() >> 1n || 1n).toString(),
    controlSecret: randomBytes(32).toString("hex"),
    keys: recordOf(KEY_NAMES, (name) => keys[name].export({ type: "pkcs8", format: "pem" }).toString()),
    chains: {
      fulcio: chain(fulcio, fulcioRoot.certificate),
      timestampAuthority: chain(timestampSigner, timestampRoot.certificate),
    },
  }
}

const recordOf = <K extends string, V>(names: readonly K[], make: (name: K) => V): Record<K, V> =>
  Object.fromEntries(names.map((name) => [name, make(name)])) as Record<K, V>

/** The id of a log: SHA-256 of its SubjectPublicKeyInfo, 32 bytes (RFC 6962 §3.2). */
export const logIdOf = (spki: Uint8Array): Buffer => createHash("sha256").update(spki).digest()

/** Whether an error says that a file is not there. */
export const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException | undefined)?.code === "ENOENT"

/** The error for what the system does not let the sandbox do with a file or directory of its own. */
export const systemError = (what: string, cause: unknown): GitsignError =>
  sandboxError(`${what}: ${reasonOf(cause)}`, {
    cause,
    hint: "see that this user may write there and that there is room, or name another directory with --dir",
  })
