/**
 * The keyring of the operating system, each wait for it bounded.
 *
 * @module
 */

import type { KeyringItem, KeyringReply, KeyringRequest, KeyringTrouble } from "./native.ts"
import { inParts } from "./parts.ts"

export type { KeyringTrouble } from "./native.ts"

const BRAND = Symbol.for("gitsign.keyring-unavailable")

/** The keyring cannot be used now. The message is one line for people and tells nothing of what is stored. */
export class KeyringUnavailable extends Error {
  readonly trouble: KeyringTrouble
  /** Marks the class across bundles, as that of GitsignError does. */
  readonly [BRAND] = true

  constructor(trouble: KeyringTrouble, message: string) {
    super(message)
    this.name = "KeyringUnavailable"
    this.trouble = trouble
  }
}

/** Whether `error` is a {@link KeyringUnavailable}, also one from another bundle of the same program. */
export function isKeyringUnavailable(error: unknown): error is KeyringUnavailable {
  return typeof error === "object" && error !== null && BRAND in error
}

/** What is stored for "gitsign". Each method rejects with {@link KeyringUnavailable} and with nothing else. */
export interface Keyring {
  readonly get: (account: string) => Promise<string | undefined>
  /** Replaces what is there. */
  readonly set: (account: string, secret: string) => Promise<void>
  /** Whether there was something to remove. */
  readonly delete: (account: string) => Promise<boolean>
  /** Everything; what others remove meanwhile may be missing. */
  readonly accounts: () => Promise<readonly KeyringItem[]>
}

/** How to open the keyring; all of it is for tests, and for callers that know how long a person has. */
export interface KeyringOptions {
  /** How long a keyring may take to answer at all, in milliseconds. */
  readonly answerMs?: number | undefined
  /** How long a person may take to unlock it, in milliseconds. */
  readonly unlockMs?: number | undefined
  /** The built helper, when it is not beside this code. */
  readonly helper?: URL | undefined
  /** Longer secrets are stored in several entries, in UTF-16 code units. */
  readonly maxLength?: number | undefined
}

const ANSWER_MS = 10_000
const UNLOCK_MS = 60_000

/** CRED_MAX_CREDENTIAL_BLOB_SIZE of Windows is 2560 bytes, and the module stores UTF-16. */
const MAX_LENGTH = process.platform === "win32" ? 1280 : Number.POSITIVE_INFINITY

/**
 * Opens the keyring of this session. A locked one opens; the calls that need it unlocked have the system ask the person.
 *
 * @throws KeyringUnavailable when there is none, or it does not answer within ten seconds
 */
export async function openKeyring(options: KeyringOptions = {}): Promise<Keyring> {
  const { answerMs = ANSWER_MS, unlockMs = UNLOCK_MS, maxLength = MAX_LENGTH } = options
  const { startHelper } = await import("./helper-channel.ts")
  const helper = startHelper(options.helper)

  const ask = async (request: KeyringRequest, limitMs: number, late: KeyringUnavailable) => {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<KeyringReply>((resolve) => {
      timer = setTimeout(() => resolve(late), limitMs)
    })
    const reply = await Promise.race([helper.ask(request), timeout])
    clearTimeout(timer)
    if (reply === late) helper.kill()
    if ("trouble" in reply) throw new KeyringUnavailable(reply.trouble, reply.message)
    return reply
  }
  const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`

  // Listing asks nobody to unlock anything there, so it shows whether somebody answers; Keychain may ask for each entry.
  if (process.platform === "linux") {
    const silent = new KeyringUnavailable("failed", `the keyring has not answered within ${seconds(answerMs)}`)
    try {
      await ask({ verb: "list" }, answerMs, silent)
    } catch (error) {
      if (!isKeyringUnavailable(error) || error.trouble !== "locked") {
        helper.kill()
        throw error
      }
    }
  }

  const unlock = (request: KeyringRequest) =>
    ask(
      request,
      unlockMs,
      new KeyringUnavailable("locked", `nobody has unlocked the keyring within ${seconds(unlockMs)}`),
    )
  const entries: Keyring = {
    get: async (account) => (await unlock({ verb: "get", account })).secret,
    set: async (account, secret) => void (await unlock({ verb: "set", account, secret })),
    delete: async (account) => (await unlock({ verb: "delete", account })).existed === true,
    accounts: async () => (await unlock({ verb: "list" })).items ?? [],
  }
  return inParts(entries, maxLength)
}
