/**
 * What git calls to sign: a payload in, a signature on stdout, status lines for git.
 *
 * Nothing is on stdout unless the finished signature has been verified.
 *
 * @module
 */

import type { Config } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { beginSigning, sigCreated } from "../formats/gpg-status.ts"
import type { Signer } from "../formats/signer.ts"
import { createFulcioClient } from "../services/fulcio.ts"
import type { HttpClient } from "../services/http.ts"
import { describeIdentity, type IdentityTokenClaims } from "../services/oidc/token.ts"
import { createRekorClient } from "../services/rekor.ts"
import { createTimestampAuthority } from "../services/timestamp-authority.ts"
import { createCredential, type SignOutcome, sign } from "../sign/sign.ts"
import { checkDescriptor, wasClosed } from "./descriptors.ts"
import type { GitCall } from "./git-arguments.ts"
import { type CommandIo, readInput, writeAll } from "./io.ts"
import { identityTokenFor } from "./login.ts"
import type { Messages } from "./messages.ts"
import { httpClientOf } from "./network.ts"
import { Person } from "./person.ts"
import { loadConfig, trustOf } from "./settings.ts"

const STDOUT = 1

/**
 * Signs what git hands over and writes the signature to stdout.
 *
 * @throws whatever stops it, and then nothing was written to stdout
 */
export async function gitSign(
  call: Extract<GitCall, { verb: "sign" }>,
  io: CommandIo,
  messages: Messages,
): Promise<void> {
  // Nothing may be published for a signature that nobody can receive. Before anything is opened here: what is open now is
  // the caller's or the runtime's, and not a connection that will be closed again.
  checkDescriptor(STDOUT, "stdout")
  if (wasClosed(STDOUT)) throw new GitsignError("ERR_IO", "cannot write to stdout: it is closed")
  if (call.statusFd !== undefined) checkDescriptor(call.statusFd, `the descriptor of --status-fd ${call.statusFd}`)
  const reading = loadConfig(io, messages)
  // Handled where it is awaited; an input that cannot be read must not leave it unhandled until then.
  reading.catch(() => undefined)
  const payload = readInput(io, call.payloadFile)
  const person = new Person(messages)
  // Not before stdin was read: the handler cannot run while a read waits for a terminal.
  const progress: Progress = { uploading: false }
  const stopWatching = exitOnSignals(messages, progress)
  try {
    const config = await reading
    const http = httpClientOf(io.env)
    const outcome = await signPayload(payload, call.detached, { config, io, person, http, progress })
    const host = new URL(config.rekor).host
    messages.say(`logged in ${host} with index ${outcome.logEntry.logIndex}`)
    const { signer, signingTime } = outcome
    const created = {
      detached: call.detached,
      certificate: signer.certificate,
      fingerprint: signer.fingerprint,
      signingTime,
    }
    writeAll(STDOUT, call.armor ? Buffer.from(outcome.armored, "latin1") : outcome.der, "stdout")
    if (call.statusFd !== undefined) {
      const status = beginSigning() + sigCreated(created)
      writeAll(call.statusFd, Buffer.from(status, "latin1"), `descriptor ${call.statusFd}`)
    }
  } finally {
    stopWatching()
    person.close()
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

interface Tools {
  readonly config: Config
  readonly io: CommandIo
  readonly person: Person
  readonly http: HttpClient
  readonly progress: Progress
}

async function signPayload(payload: Uint8Array, detached: boolean, tools: Tools): Promise<SignOutcome> {
  const { config, io, person, http, progress } = tools
  const trustedRoot = trustOf(config)
  const now = (): Date => new Date()
  const { token, claims } = await identityTokenFor({ config, env: io.env, http, person, now })
  person.tell(announcement(claims, config))
  const issue = createFulcioClient({ url: config.fulcio, http, now })
  const upload = createRekorClient({ url: config.rekor, http }).uploadLogEntry
  const { timestampServerURL } = config
  const stamp =
    timestampServerURL === undefined ? undefined : createTimestampAuthority({ url: timestampServerURL, http })
  const waitFor = <A, R>(url: string, port: (argument: A) => Promise<R>) => {
    return (argument: A): Promise<R> => person.tellWhenSlow(`waiting for ${new URL(url).host}`, port(argument))
  }
  const credential = await createCredential(token, waitFor(config.fulcio, issue))
  if (config.matchCommitter) checkCommitter(credential.signer, config)
  return sign({
    payload,
    credential,
    detached,
    mode: config.rekorMode,
    // Asked again: before the certificate was issued it would have been too early.
    signingTime: now(),
    trustedRoot,
    logEntry: waitFor(config.rekor, (entry) => {
      progress.uploading = true
      return upload(entry)
    }),
    timestamp: stamp && timestampServerURL ? waitFor(timestampServerURL, stamp) : undefined,
  })
}

/** Said before anything is sent: a transparency log forgets nothing. */
const announcement = (claims: IdentityTokenClaims, config: Config): string =>
  `signing as ${describeIdentity(claims)}; this identity becomes public in ${new URL(config.rekor).host}`

/**
 * gitsign.matchCommitter: one of the certificate's e-mail addresses is `user.email`, or one of its URIs is `user.name`.
 *
 * @throws ERR_COMMITTER when neither is so
 */
function checkCommitter(signer: Signer, { committer }: Config): void {
  const matches = signer.identities.some(
    ({ type, value }) =>
      (type === "email" && value === committer.email) || (type === "uri" && value === committer.name),
  )
  if (matches) return
  const expected = `${committer.name ?? "no user.name"} <${committer.email ?? "no user.email"}>`
  throw new GitsignError(
    "ERR_COMMITTER",
    `gitsign.matchCommitter asks for ${expected}, and the certificate names ${signer.identity || "nobody"}`,
  )
}
