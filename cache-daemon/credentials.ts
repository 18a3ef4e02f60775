/**
 * The credentials of the agent: finds the one that a request may use, or has its client log in for a new one.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../src/errors.ts"
import type { TrustedRoot } from "../src/formats/trusted-root.ts"
import { printable } from "../src/services/answer.ts"
import type { HttpClient } from "../src/services/http.ts"
import type { Credential } from "../src/sign/sign.ts"
import type { Exchange } from "./exchange.ts"
import { Gate } from "./gate.ts"
import { issueCredential, namesCommitter } from "./issue.ts"
import { type Attempt, Logins } from "./logins.ts"
import type { CredentialLimits, RequestOf } from "./protocol.ts"
import { loginError, unexpectedError } from "./replies.ts"
import { CredentialStore, keyId, type StoredCredential } from "./store.ts"
import { TrustCache } from "./trust-cache.ts"

/** What the agent keeps with each credential. */
export interface HeldCredential {
  readonly credential: Credential
  /** What the client trusted for whom it was made; the restricted socket signs with this. */
  readonly trustedRoot: TrustedRoot
  /** A server that does not answer holds up nobody who signs with another credential, and another host nobody who signs here. */
  readonly signatures: Gate
  readonly forwarded: Gate
}

/** What the credentials work with. */
export interface CredentialsOptions {
  readonly http: HttpClient
  readonly now: () => Date
  /** The agent's own limits. */
  readonly limits: CredentialLimits
  /** How long a login may take, in milliseconds. */
  readonly patienceMs: number
  readonly log: (line: string) => void
}

/** A request that needs a credential. */
type Asking = RequestOf<"sign"> | RequestOf<"warm">

/** Signatures of one credential that are made at once, and that wait: together as many as the server has connections. */
const SIGNATURES = { what: "signatures", atOnce: 32, waiting: 480 } as const

/** The same for the restricted socket. */
const FORWARDED = { what: "signatures for a forwarded socket", atOnce: 4, waiting: 60 } as const

/** Clients that lead or wait for a login; the server lets no more connect. */
const MAX_CLIENTS = 512

export class Credentials {
  readonly #options: CredentialsOptions
  readonly #store: CredentialStore<HeldCredential>
  readonly #logins: Logins<StoredCredential<HeldCredential>>
  readonly #trust = new TrustCache()
  /** Goes up whenever all keys are dropped: one that is being made then is dropped too. */
  #epoch = 0

  constructor(options: CredentialsOptions) {
    this.#options = options
    this.#store = new CredentialStore(options.limits, options.now)
    this.#logins = new Logins({ waitMs: options.patienceMs, clients: MAX_CLIENTS })
  }

  /** Those that can be used for a new signature. */
  list(): readonly StoredCredential<HeldCredential>[] {
    return this.#store.list()
  }

  /** Forgets those that have ended. */
  expire(): void {
    for (const stored of this.#store.expire()) this.#options.log(`the credential ${describe(stored)} has ended`)
  }

  /**
   * Drops every key at once, also from signatures that are being made: those fail with `error`.
   *
   * @param options.logins whether logins that are going on fail with it too
   */
  drop(error: GitsignError, options: { readonly why: string; readonly logins: boolean }): void {
    this.#epoch++
    const count = this.#store.revoke(error)
    if (count > 0) this.#options.log(`dropped ${count === 1 ? "1 credential" : `${count} credentials`}: ${options.why}`)
    if (options.logins) this.#logins.cancel(error)
  }

  /**
   * The credential for a request: the one that is held for its key, or the one that a login brings; on the restricted socket only one
   * that is held. It may have made all its signatures by the time it is used.
   *
   * @throws whatever the login or Fulcio fails with; ERR_TRUSTED_ROOT for what the client trusts; ERR_AGENT_COLD on the restricted
   * socket; ERR_AGENT, ERR_CANCELLED as {@link Logins.join}
   */
  async obtain(request: Asking, exchange: Exchange): Promise<StoredCredential<HeldCredential>> {
    if (exchange.conversation.restricted) return this.#existing(request)
    // Before anybody logs in for a signature that could not be verified.
    const trustedRoot = this.#trust.get(request.trust)
    const stored = this.#store.find(request.key, request.limits)
    if (stored !== undefined) return stored
    return this.#logins.join(keyId(request.key), {
      lead: (signal) => this.#lead(request, { exchange, trustedRoot, signal }),
      waiting: () => void exchange.say({ type: "waiting", for: "login" }),
      gone: exchange.gone,
    })
  }

  /** What a signature is verified with. The other end of the restricted socket has no say in what this machine trusts. */
  trustedRootFor(request: Asking, exchange: Exchange, stored: StoredCredential<HeldCredential>): TrustedRoot {
    return exchange.conversation.restricted ? stored.credential.trustedRoot : this.#trust.get(request.trust)
  }

  /** Where a request comes from another machine: what its settings ask for, as far as they mean the same here. */
  #existing({ key, limits }: Asking): StoredCredential<HeldCredential> {
    const matching = this.#store.list(limits).filter((stored) => {
      const servers = ["fulcio", "rekor", "timestampServer", "issuer", "clientID"] as const
      return (
        // One that is for a single repository is not for those of another machine.
        stored.key.repository === "" &&
        servers.every((field) => stored.key[field] === key[field]) &&
        namesCommitter(stored.credential.credential.signer, key)
      )
    })
    if (new Set(matching.map(describe)).size > 1) {
      const hint = "set gitsign.matchCommitter, which says whom to sign as"
      throw new GitsignError("ERR_AGENT_COLD", "the agent has credentials of more than one identity", { hint })
    }
    const [longest] = [...matching].sort((a, b) => b.expires.getTime() - a.expires.getTime())
    if (longest === undefined)
      throw new GitsignError("ERR_AGENT_COLD", "the agent has no credential for these settings")
    return longest
  }

  /** Has this client log in. Never throws. */
  async #lead(
    { key, limits }: Asking,
    { exchange, trustedRoot, signal }: { exchange: Exchange; trustedRoot: TrustedRoot; signal: AbortSignal },
  ): Promise<Attempt<StoredCredential<HeldCredential>>> {
    const { http, now, log, patienceMs } = this.#options
    let answer: RequestOf<"token"> | RequestOf<"no_token">
    try {
      answer = await exchange.ask({
        ask: { type: "token_needed" },
        answers: ["token", "no_token"],
        timeoutMs: patienceMs,
        late: "the login was not finished in time",
        signal,
      })
    } catch (error) {
      return { outcome: "lost", error: this.#known(error) }
    }
    if (answer.type === "no_token") return { outcome: answer.outcome, error: loginError(answer) }
    const epoch = this.#epoch
    try {
      // Not ended when this client goes: others wait for it, and the person has logged in.
      const credential = await issueCredential(key, answer.identityToken, { http, now, signal })
      if (epoch !== this.#epoch) {
        const hint = "run the command again"
        throw new GitsignError("ERR_AGENT", "the agent dropped its keys while this one was made", { hint })
      }
      const { identity, issuer, fingerprint, certificate } = credential.signer
      const value = this.#store.add(key, {
        credential: { credential, trustedRoot, signatures: new Gate(SIGNATURES), forwarded: new Gate(FORWARDED) },
        holder: { identity, issuer, fingerprint },
        notAfter: certificate.notAfter,
        limits,
      })
      log(`a new credential ${describe(value)}, until ${value.expires.toISOString()}`)
      return { outcome: "made", value }
    } catch (error) {
      return { outcome: "failed", error: this.#known(error) }
    }
  }

  #known(error: unknown): GitsignError {
    return isGitsignError(error) ? error : unexpectedError(error, this.#options.log)
  }
}

/** Whom a credential speaks for. */
function describe(stored: StoredCredential<HeldCredential>): string {
  const { identity, issuer } = stored.holder
  return `${printable(identity)} (${printable(issuer)})`
}
