/**
 * What git calls to sign: a payload in, a signature on stdout, status lines for git.
 *
 * Nothing is on stdout unless the finished signature has been verified.
 *
 * @module
 */

import type { Config } from "../config.ts"
import { GitsignError, messageOf } from "../errors.ts"
import { beginSigning, sigCreated } from "../formats/gpg-status.ts"
import { encodePem, SIGNATURE_LABEL } from "../formats/pem.ts"
import { closeEarly, connectEarly, type EarlyConnection, signWithAgent } from "./agent-client.ts"
import type { AgentTools } from "./agent-conversation.ts"
import type { GitCall } from "./git-arguments.ts"
import { type CommandIo, readInput, writeAll } from "./io.ts"
import type { Messages } from "./messages.ts"
import { Person } from "./person.ts"

const STDOUT = 1

/**
 * Signs what git hands over and writes the signature to stdout. The caller MUST have checked where that goes.
 *
 * @throws whatever stops it, and then nothing was written to stdout
 */
export async function gitSign(
  call: Extract<GitCall, { verb: "sign" }>,
  io: CommandIo,
  messages: Messages,
  reading: Promise<Config>,
): Promise<void> {
  const early = connectEarly(io)
  const payload = readInput(io, call.payloadFile)
  const person = new Person(messages)
  // Not before stdin was read: the handler cannot run while a read waits for a terminal.
  const progress: Progress = { uploading: false }
  const stopWatching = exitOnSignals(messages, progress)
  try {
    const config = await reading
    const made = await signPayload({ payload, detached: call.detached }, { config, io, person, early }, progress)
    messages.say(`logged in ${new URL(config.rekor).host} with index ${made.logIndex}`)
    const bytes = call.armor ? Buffer.from(encodePem(SIGNATURE_LABEL, made.signature), "latin1") : made.signature
    handOver(bytes, made.logIndex)
    if (call.statusFd !== undefined) {
      const status = beginSigning() + sigCreated({ detached: call.detached, ...made })
      writeAll(call.statusFd, Buffer.from(status, "latin1"), `descriptor ${call.statusFd}`)
    }
  } finally {
    stopWatching()
    closeEarly(early)
    person.close()
  }
}

/** Writes the signature. */
function handOver(bytes: Uint8Array, logIndex: number): void {
  try {
    writeAll(STDOUT, bytes, "stdout")
  } catch (cause) {
    const hint = `the log holds entry ${logIndex}, which nothing uses and which harms nothing; run the command again`
    throw new GitsignError("ERR_IO", messageOf(cause), { cause, hint })
  }
}

/** What has been reached that cannot be taken back. */
interface Progress {
  uploading: boolean
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/** Ends the process when somebody wants it to end, and says so; until the signature is written that leaves nothing behind. */
function exitOnSignals(messages: Messages, progress: Progress): () => void {
  const stop = (signal: NodeJS.Signals): void => {
    const hint = "the log may hold an entry for this signature already, which harms nothing; run the command again"
    const cancelled = new GitsignError("ERR_CANCELLED", `cancelled by ${signal}`, progress.uploading ? { hint } : {})
    process.exit(messages.error(cancelled))
  }
  for (const signal of SIGNALS) process.once(signal, stop)
  return () => {
    for (const signal of SIGNALS) process.removeListener(signal, stop)
  }
}

/** What git hands over, and how it wants it signed. */
export interface Signing {
  readonly payload: Uint8Array
  readonly detached: boolean
}

/** A finished signature, and what git and the person are told about it. */
export interface MadeSignature {
  /** The CMS, DER. */
  readonly signature: Uint8Array
  /** The object identifier of the algorithm that the certificate is signed with. */
  readonly signatureAlgorithm: string
  /** SHA-1 of the certificate, in hex. */
  readonly fingerprint: string
  readonly signingTime: Date
  readonly logIndex: number
}

/** Signs through the agent where one is switched on, and else, or where it cannot, in this process. */
async function signPayload(
  what: Signing,
  run: { config: Config; io: CommandIo; person: Person; early: EarlyConnection | undefined },
  progress: Progress,
): Promise<MadeSignature> {
  let token: Promise<string> | undefined
  const tools: AgentTools = {
    ...run,
    // One login, also when the agent ends after it.
    identityToken: () => {
      token ??= import("./login.ts").then(({ logIn }) => logIn(run))
      return token
    },
    logging: () => {
      progress.uploading = true
    },
  }
  const signed = run.config.credentialCache === undefined ? undefined : await signWithAgent(what, tools)
  if (signed !== undefined) return signed
  const { signHere } = await import("./sign-here.ts")
  return signHere(what, tools)
}
