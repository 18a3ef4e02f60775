/**
 * The lock of the agent: what is kept of the pass phrase is a salted scrypt hash (RFC 7914).
 *
 * @module
 */

import { randomBytes, scrypt, timingSafeEqual } from "node:crypto"
import { GitsignError } from "../src/errors.ts"
import { Gate } from "./gate.ts"

/** 32 MiB and a tenth of a second for each try. */
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const

/** The wait after the first wrong pass phrase, doubled by each further one up to the longest; in milliseconds. */
const FIRST_DELAY_MS = 250
const LONGEST_DELAY_MS = 4000

/** All tries in the queue have to fit into the minute that a client waits for its answer. */
const MAX_TRIES_WAITING = 8

export class PassPhraseLock {
  #hash: Promise<{ readonly salt: Uint8Array; readonly hash: Uint8Array }> | undefined
  #wrong = 0
  readonly #tries = new Gate({ what: "tries to unlock it", atOnce: 1, waiting: MAX_TRIES_WAITING })

  /** True from the moment in which {@link PassPhraseLock.lock} is called. */
  get isLocked(): boolean {
    return this.#hash !== undefined
  }

  /**
   * Locks; `onLocked` is called in the same moment.
   *
   * @throws ERR_AGENT_LOCKED when it is locked already; ERR_AGENT_REFUSED when the pass phrase is empty
   */
  async lock(passphrase: string, onLocked: () => void): Promise<void> {
    if (this.isLocked) throw new GitsignError("ERR_AGENT_LOCKED", "the agent is locked already")
    if (passphrase === "") {
      const hint = "choose a pass phrase; it is needed to unlock the agent"
      throw new GitsignError("ERR_AGENT_REFUSED", "an empty pass phrase locks nothing", { hint })
    }
    const salt = randomBytes(16)
    this.#wrong = 0
    this.#hash = derive(passphrase, salt).then((hash) => ({ salt, hash }))
    onLocked()
    try {
      await this.#hash
    } catch (cause) {
      // Without a hash nothing could ever open it again.
      this.#hash = undefined
      throw new GitsignError("ERR_AGENT", "the agent cannot be locked: there is no memory for it", { cause })
    }
  }

  /**
   * Unlocks. One try at a time; a wrong one is answered after a delay that grows.
   *
   * @throws ERR_AGENT_REFUSED when it is not locked or the pass phrase is wrong; ERR_AGENT when too many try at once
   */
  unlock(passphrase: string, gone: AbortSignal): Promise<void> {
    return this.#tries.pass(gone, async () => {
      const stored = this.#hash
      if (stored === undefined)
        throw new GitsignError("ERR_AGENT_REFUSED", "the agent is not locked", { hint: "use it" })
      const { salt, hash } = await stored
      if (timingSafeEqual(await derive(passphrase, salt), hash)) {
        this.#hash = undefined
        return
      }
      await delay(Math.min(FIRST_DELAY_MS * 2 ** Math.min(this.#wrong++, 16), LONGEST_DELAY_MS))
      const hint = "try again, or end the agent with: gitsign agent stop"
      throw new GitsignError("ERR_AGENT_REFUSED", "the pass phrase is wrong; the agent stays locked", { hint })
    })
  }
}

const derive = (passphrase: string, salt: Uint8Array): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    // Two ways to type the same letter are one pass phrase.
    scrypt(passphrase.normalize("NFC"), salt, 32, COST, (error, key) => (error ? reject(error) : resolve(key)))
  })

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
