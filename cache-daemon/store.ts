/**
 * The credentials that the agent holds, by what they depend on. It knows nothing of how one is made or used.
 *
 * @module
 */

import { GitsignError } from "../src/errors.ts"
import type { CredentialKey, CredentialLimits } from "./protocol.ts"

/** A certificate that ends sooner is not used: the signature has to be in the log while it is valid. In milliseconds. */
const MARGIN_MS = 30_000

/** So much of it has to be left when the upload to the log begins, in milliseconds. */
const UPLOAD_MARGIN_MS = 5000

/** Each has cost a login; over that the one that ends first makes room. */
export const MAX_CREDENTIALS = 64

/** No limit at all. */
const UNLIMITED: CredentialLimits = { signatures: 0, lifetime: 0 }

/** A key as text: two keys have the same one exactly when every field is the same. */
export const keyId = (key: CredentialKey): string =>
  JSON.stringify([
    key.fulcio,
    key.rekor,
    key.timestampServer,
    key.issuer,
    key.clientID,
    key.connectorID,
    key.tokenProvider,
    key.tokenIdentity,
    key.committerEmail,
    key.committerName,
    key.matchCommitter,
    key.repository,
  ])

/** Whom a credential speaks for, as its certificate says. */
export interface Holder {
  readonly identity: string
  readonly issuer: string
  /** SHA-1 of the certificate, 40 hex digits. */
  readonly fingerprint: string
}

/** What a credential is kept with. */
export interface NewCredential<C> {
  readonly credential: C
  readonly holder: Holder
  /** The certificate's end. */
  readonly notAfter: Date
  readonly limits: CredentialLimits
}

/** A credential that is held, with what has become of it. */
export class StoredCredential<C> {
  readonly key: CredentialKey
  readonly holder: Holder
  readonly created: Date
  readonly notAfter: Date
  /** The certificate's end, or the earlier one that a lifetime asks for. */
  readonly expires: Date
  /** How many signatures it may make in all; 0 is "no limit". */
  readonly maxSignatures: number
  readonly #lifetime: number
  #credential: C | undefined
  #revoked: GitsignError | undefined
  #made = 0
  #unclaimed = 0
  #uses = 0

  constructor(key: CredentialKey, made: NewCredential<C>, created: Date) {
    // A copy: texts that were cut out of a message would keep the whole message in memory.
    this.key = JSON.parse(JSON.stringify(key))
    this.holder = made.holder
    this.created = created
    this.notAfter = made.notAfter
    this.expires = this.#expiresBy(made.limits)
    this.#lifetime = made.limits.lifetime
    this.maxSignatures = made.limits.signatures
    this.#credential = made.credential
  }

  /** The credential itself. @throws the reason for which it was taken away */
  get credential(): C {
    if (this.#credential === undefined) throw this.#revoked ?? new GitsignError("ERR_AGENT", "the key is gone")
    return this.#credential
  }

  /** Signatures that are in the log, or may be. */
  get signatures(): number {
    return this.#made
  }

  /** Those of them that nobody took. */
  get unclaimed(): number {
    return this.#unclaimed
  }

  /** Signatures that are being made. */
  get uses(): number {
    return this.#uses
  }

  /** How many more signatures it may make; undefined is "no limit". */
  remaining(limits: CredentialLimits = UNLIMITED): number | undefined {
    const max = narrower(this.maxSignatures, limits.signatures)
    return max === 0 ? undefined : Math.max(0, max - this.#made - this.#uses)
  }

  /** Whether a new signature may begin with it at `now`. */
  isUsable(now: Date, limits: CredentialLimits = UNLIMITED): boolean {
    const end = Math.min(
      this.expires.getTime(),
      this.#expiresBy(limits).getTime(),
      // A lifetime that somebody has asked for is one to the second.
      this.notAfter.getTime() - MARGIN_MS,
    )
    return now.getTime() < end && this.#credential !== undefined && this.remaining(limits) !== 0
  }

  /**
   * Whether a signature that was reserved may still be made at `now`, which may be long after that. Where a certificate seemed to be at
   * its end as soon as it was made the clock is wrong, and the log and the verification have the say.
   */
  isInTime(now: Date, limits: CredentialLimits): boolean {
    const end = this.notAfter.getTime()
    const made = this.created.getTime()
    const lifetime = narrower(this.#lifetime, limits.lifetime)
    if (lifetime !== 0 && now.getTime() >= made + lifetime * 1000) return false
    return now.getTime() < end - UPLOAD_MARGIN_MS || made >= end - MARGIN_MS
  }

  /**
   * Reserves one signature; undefined when it may make no more. The caller MUST end the use with {@link CredentialUse.end}.
   * Whether it is too old is not asked: a fresh credential serves whoever waited for it.
   */
  use(limits: CredentialLimits): CredentialUse<C> | undefined {
    if (this.#credential === undefined || this.remaining(limits) === 0) return undefined
    this.#uses++
    let ended = false
    return {
      stored: this,
      end: (outcome) => {
        if (ended) return
        ended = true
        this.#uses--
        if (outcome !== "failed") this.#made++
        if (outcome === "unclaimed") this.#unclaimed++
      },
    }
  }

  /** Takes the credential away, also from signatures that are being made: they fail with `reason`. */
  revoke(reason: GitsignError): void {
    this.#credential = undefined
    this.#revoked ??= reason
  }

  #expiresBy({ lifetime }: CredentialLimits): Date {
    const end = this.notAfter.getTime()
    return new Date(lifetime === 0 ? end : Math.min(end, this.created.getTime() + lifetime * 1000))
  }
}

/** One signature that is being made with a credential. */
export interface CredentialUse<C> {
  readonly stored: StoredCredential<C>
  /** `failed`: nothing was logged; `signed`; `unclaimed`: it is in the log and its client is gone. */
  readonly end: (outcome: "failed" | "signed" | "unclaimed") => void
}

/** The smaller of two limits of which 0 is none. */
const narrower = (a: number, b: number): number => (a === 0 || b === 0 ? a + b : Math.min(a, b))

/** Credentials by their key. */
export class CredentialStore<C> {
  readonly #own: CredentialLimits
  readonly #now: () => Date
  readonly #byKey = new Map<string, StoredCredential<C>>()
  /** Those that have been replaced or have ended while signatures are being made with them. */
  readonly #retired = new Set<StoredCredential<C>>()

  /** @param own limits for every credential, whatever a client asks for */
  constructor(own: CredentialLimits, now: () => Date) {
    this.#own = own
    this.#now = now
  }

  /** How many can be used for a new signature. */
  get size(): number {
    return this.list().length
  }

  /** The credential of exactly this key, when it may make one more signature within `limits`. */
  find(key: CredentialKey, limits: CredentialLimits): StoredCredential<C> | undefined {
    const stored = this.#byKey.get(keyId(key))
    return stored?.isUsable(this.#now(), limits) ? stored : undefined
  }

  /** All that can be used for a new signature. */
  list(limits: CredentialLimits = UNLIMITED): readonly StoredCredential<C>[] {
    const now = this.#now()
    return [...this.#byKey.values()].filter((stored) => stored.isUsable(now, limits))
  }

  /** Keeps a credential in place of the one its key had. */
  add(key: CredentialKey, made: NewCredential<C>): StoredCredential<C> {
    const limits = {
      signatures: narrower(made.limits.signatures, this.#own.signatures),
      lifetime: narrower(made.limits.lifetime, this.#own.lifetime),
    }
    const stored = new StoredCredential(key, { ...made, limits }, this.#now())
    const id = keyId(key)
    this.#retire(id)
    if (this.#byKey.size >= MAX_CREDENTIALS) {
      const [first] = [...this.#byKey].sort(([, a], [, b]) => a.expires.getTime() - b.expires.getTime())
      if (first !== undefined) this.#retire(first[0])
    }
    this.#byKey.set(id, stored)
    return stored
  }

  /** Forgets what cannot be used any more, and returns it. Signatures that are being made go on. */
  expire(): readonly StoredCredential<C>[] {
    const now = this.#now()
    const ended = [...this.#byKey].filter(([, stored]) => stored.uses === 0 && !stored.isUsable(now))
    for (const [id] of ended) this.#retire(id)
    for (const stored of this.#retired) if (stored.uses === 0) this.#retired.delete(stored)
    return ended.map(([, stored]) => stored)
  }

  /** Forgets everything at once, also what signatures are being made with; returns how many credentials that were. */
  revoke(reason: GitsignError): number {
    const count = this.#byKey.size
    for (const stored of [...this.#byKey.values(), ...this.#retired]) stored.revoke(reason)
    this.#byKey.clear()
    this.#retired.clear()
    return count
  }

  #retire(id: string): void {
    const stored = this.#byKey.get(id)
    if (stored === undefined) return
    this.#byKey.delete(id)
    if (stored.uses > 0) this.#retired.add(stored)
    else stored.revoke(new GitsignError("ERR_AGENT", "the key has ended"))
  }
}
