/**
 * The signing agent: holds keys that nobody can have, and signs with them for whoever may speak to it (PROTOCOL.md).
 *
 * It knows no sockets and no process; it reads no file and runs no program because of a request.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../src/errors.ts"
import { printable } from "../src/services/answer.ts"
import type { HttpClient } from "../src/services/http.ts"
import { askForConsent, type Confirm } from "./consent.ts"
import { Credentials, type HeldCredential } from "./credentials.ts"
import { type Conversation, Exchange } from "./exchange.ts"
import { PassPhraseLock } from "./pass-phrase-lock.ts"
import type { CredentialLimits, Reply, Request, RequestOf } from "./protocol.ts"
import { type QuietLog, quietLog } from "./quiet-log.ts"
import { errorReply, infoOf, signedReply, unexpectedError } from "./replies.ts"
import { CredentialEnded, makeSignature } from "./signature.ts"
import type { CredentialUse } from "./store.ts"
import { SuspendWatch } from "./suspend-watch.ts"

export type { Conversation } from "./exchange.ts"

/** What an agent is made with. */
export interface AgentOptions {
  /** Such as `gitsign 1.0.0`. */
  readonly program: string
  /** The one client for all services, made from the agent's own environment. */
  readonly http: HttpClient
  /** The agent's own settings; 0 is "no limit". */
  readonly limits: CredentialLimits
  /** Asks the person at the agent; undefined when the agent's settings do not ask for consent, or nobody can be asked there. */
  readonly confirm: Confirm | undefined
  /** Whether no signature is made without consent, whatever a client's settings say; without `confirm` its person is asked. */
  readonly mustConfirm?: boolean
  readonly now?: () => Date
  /** A clock that nobody can set, in milliseconds. */
  readonly monotonic?: () => number
  /** How long a person may take for a login or an answer, in milliseconds; five minutes when not given. */
  readonly patienceMs?: number
  /** Gets a line now and then; none holds a token, a key, a pass phrase or a payload. */
  readonly log: (line: string) => void
}

const PATIENCE_MS = 5 * 60_000

/** How many credentials may end one after the other before a signature comes to its turn with them. */
const MAX_TRIES = 3

/** For whose signature a person has consented to this request; undefined as long as nobody has been asked. */
interface Consent {
  by: string | undefined
}

/** The signing agent. */
export class Agent {
  readonly #options: AgentOptions
  readonly #now: () => Date
  readonly #patienceMs: number
  readonly #started: Date
  readonly #credentials: Credentials
  readonly #lock = new PassPhraseLock()
  readonly #watch: SuspendWatch
  readonly #quietLog: QuietLog
  #handling = 0

  constructor(options: AgentOptions) {
    const { http, limits, log, now = () => new Date(), monotonic = () => performance.now() } = options
    this.#options = options
    this.#now = now
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS
    this.#started = now()
    this.#credentials = new Credentials({ http, limits, log, now, patienceMs: this.#patienceMs })
    this.#quietLog = quietLog(log, monotonic)
    this.#watch = new SuspendWatch(() => now().getTime(), monotonic)
  }

  /**
   * Answers one request completely: sends all its replies, the last one included, and never throws. The caller MUST answer `hello`
   * itself, and `stop` too, when everything has ended; here that only drops the keys.
   */
  async handle(request: Request, conversation: Conversation): Promise<void> {
    const exchange = new Exchange(conversation)
    this.#handling++
    try {
      this.#noticeSuspend()
      await this.#answer(request, exchange)
    } catch (error) {
      await exchange.say(errorReply(isGitsignError(error) ? error : unexpectedError(error, this.#options.log)))
    }
    this.#handling--
  }

  /** Forgets what has ended, and everything when the machine slept. To be called every five seconds. */
  tick(): void {
    this.#noticeSuspend()
    this.#credentials.expire()
  }

  /** Drops every credential and ends every login. */
  forget(why: string): void {
    const error = new GitsignError("ERR_AGENT", `the agent has dropped its keys: ${why}`, { hint: "try again" })
    this.#credentials.drop(error, { why, logins: true })
  }

  /** Whether nothing would be lost if it ended now: no credential, not locked, no request going on. */
  get isIdle(): boolean {
    return this.#handling === 0 && !this.#lock.isLocked && this.#credentials.list().length === 0
  }

  async #answer(request: Request, exchange: Exchange): Promise<void> {
    const { restricted } = exchange.conversation
    if (restricted && request.type !== "sign" && request.type !== "status") {
      const hint = "do it on the machine where the agent runs"
      throw new GitsignError("ERR_AGENT_REFUSED", `the restricted socket does not take "${request.type}"`, { hint })
    }
    switch (request.type) {
      case "sign":
        return this.#sign(request, exchange)
      case "stop":
        return this.forget("it was told to stop")
      default:
        await exchange.say(await this.#reply(request, exchange))
    }
  }

  async #reply(request: Request, exchange: Exchange): Promise<Reply> {
    switch (request.type) {
      case "warm":
        return { type: "ready", credential: infoOf(await this.#obtain(request, exchange)) }
      case "status":
        return this.#status(exchange.conversation.restricted)
      case "list":
        return { type: "list", credentials: this.#credentials.list().map(infoOf) }
      case "lock":
        await this.#lock.lock(request.passphrase, () => {
          const error = new GitsignError("ERR_AGENT_LOCKED", "the agent has been locked")
          this.#credentials.drop(error, { why: "locked", logins: true })
        })
        return { type: "done" }
      case "unlock":
        await this.#lock.unlock(request.passphrase, exchange.gone)
        return { type: "done" }
      case "clear": {
        const error = new GitsignError("ERR_AGENT", "the agent was told to drop its keys", { hint: "try again" })
        this.#credentials.drop(error, { why: "clear", logins: false })
        return { type: "done" }
      }
      default:
        throw new GitsignError("ERR_AGENT", `"${request.type}" means nothing here`, { hint: "use gitsign itself" })
    }
  }

  #status(restricted: boolean): Reply {
    const credentials = this.#credentials.list().length
    return {
      type: "status",
      state: this.#lock.isLocked ? "locked" : credentials > 0 ? "warm" : "cold",
      credentials,
      program: this.#options.program,
      pid: process.pid,
      started: Math.floor(this.#started.getTime() / 1000),
      restricted,
    }
  }

  async #sign(request: RequestOf<"sign">, exchange: Exchange): Promise<void> {
    const consent: Consent = { by: undefined }
    for (let tries = 1; ; tries++) {
      const use = await this.#reserve(request, exchange, consent)
      try {
        return await this.#signWith(use, request, exchange)
      } catch (error) {
        if (!(error instanceof CredentialEnded)) throw error
        if (tries < MAX_TRIES) continue
        const hint = "gitsign.agentLifetime may be too short for these servers"
        throw new GitsignError("ERR_AGENT", "the key ended before the signature was made", { hint })
      }
    }
  }

  async #signWith(use: CredentialUse<HeldCredential>, request: RequestOf<"sign">, exchange: Exchange): Promise<void> {
    const { http } = this.#options
    const { stored } = use
    const progress = { logging: false }
    try {
      const trustedRoot = this.#credentials.trustedRootFor(request, exchange, stored)
      const onLogging = (): void => {
        progress.logging = true
      }
      const { signatures, forwarded } = stored.credential
      const gate = exchange.conversation.restricted ? forwarded : signatures
      const outcome = await gate.pass(exchange.gone, () =>
        makeSignature({ request, stored, trustedRoot, exchange, http, now: this.#now, onLogging }),
      )
      if (await exchange.say(signedReply(outcome))) return use.end("signed")
      use.end("unclaimed")
      this.#tellUnclaimed(`entry ${outcome.logEntry.logIndex} of ${printable(stored.key.rekor)}`, exchange)
    } catch (error) {
      use.end(progress.logging ? "signed" : "failed")
      throw error
    }
  }

  /** One line a minute for each socket: another host must not keep those of this one out of the log. */
  #tellUnclaimed(entry: string, { conversation }: Exchange): void {
    this.#quietLog(`${entry} is for a client that is gone`, `unclaimed, restricted: ${conversation.restricted}`)
  }

  /** A credential for one signature, and the consent for it where that is asked for. */
  async #reserve(
    request: RequestOf<"sign">,
    exchange: Exchange,
    consent: Consent,
  ): Promise<CredentialUse<HeldCredential>> {
    const { confirm, mustConfirm = false } = this.#options
    const isAsked = request.confirm || mustConfirm || confirm !== undefined
    for (;;) {
      const stored = await this.#obtain(request, exchange)
      const { identity, issuer } = stored.holder
      const signer = JSON.stringify([identity, issuer])
      if (isAsked && consent.by !== signer) {
        await askForConsent(request, identity, { exchange, confirm, patienceMs: this.#patienceMs })
        consent.by = signer
        // A person takes their time. They are asked again only when the next login is somebody else's.
        if (!stored.isUsable(this.#now(), request.limits)) continue
      }
      const use = stored.use(request.limits)
      if (use !== undefined) return use
    }
  }

  #obtain(request: RequestOf<"sign"> | RequestOf<"warm">, exchange: Exchange): ReturnType<Credentials["obtain"]> {
    if (this.#lock.isLocked) throw new GitsignError("ERR_AGENT_LOCKED", "the agent is locked")
    return this.#credentials.obtain(request, exchange)
  }

  #noticeSuspend(): void {
    if (!this.#watch.check()) return
    const why = "the machine slept, or its clock was moved"
    const error = new GitsignError("ERR_AGENT", `the agent has dropped its keys: ${why}`, { hint: "try again" })
    this.#credentials.drop(error, { why, logins: false })
  }
}
