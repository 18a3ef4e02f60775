/**
 * The keyring of the operating system through its native module: Secret Service on Linux, Keychain, Credential Manager.
 *
 * The calls of the module can block for as long as a question to unlock stays on the screen; see {@link startHelper}.
 *
 * @module
 */

import { messageOf } from "../errors.ts"

/** Why there is no answer: no keyring in this session, one that is locked and stays so, or anything else. */
export type KeyringTrouble = "absent" | "locked" | "failed"

/** One call. Everything is stored under the service name "gitsign". */
export type KeyringRequest =
  | { readonly verb: "get" | "delete"; readonly account: string }
  | { readonly verb: "set"; readonly account: string; readonly secret: string }
  | { readonly verb: "list" }

/** One stored secret. */
export interface KeyringItem {
  readonly account: string
  readonly secret: string
}

/** The answer to a {@link KeyringRequest}; `message` is one line for people. */
export type KeyringReply =
  | { readonly secret?: string; readonly existed?: boolean; readonly items?: readonly KeyringItem[] }
  | { readonly trouble: KeyringTrouble; readonly message: string }

const SERVICE = "gitsign"

/**
 * Without this the module puts secrets into the kernel's keyring when no Secret Service answers. Nobody could list them there,
 * and they would be read in a session that the person has locked.
 */
const SECRET_SERVICE = { linux: { store: "secret-service" } } as const

type Native = typeof import("@napi-rs/keyring")

/** How often a call is tried that another process may have spoilt. */
const ATTEMPTS = 4

/** Carries out one request; never rejects. */
export async function perform(request: KeyringRequest): Promise<KeyringReply> {
  let native: Native
  try {
    native = await import("@napi-rs/keyring")
  } catch {
    return { trouble: "absent", message: "this installation has no keyring module for this platform" }
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(native, request)
    } catch (error) {
      const said = messageOf(error)
      // The Secret Service is searched first and its item used then; another process may remove it in between. What it says of
      // that is in the language of the session.
      const mayBeRace = /\b(DBus|zbus) error\b/.test(said) && !LOCKED.test(said)
      if (!mayBeRace || attempt === ATTEMPTS) return describe(said)
    }
  }
}

async function call(native: Native, request: KeyringRequest): Promise<KeyringReply> {
  if (request.verb === "list") {
    const found = await native.findCredentialsAsync(SERVICE)
    return { items: found.map(({ account, password }) => ({ account, secret: password })) }
  }
  const entry = new native.AsyncEntry(SERVICE, request.account, SECRET_SERVICE)
  if (request.verb === "delete") return { existed: await entry.deletePassword() }
  if (request.verb === "set") {
    await entry.setPassword(request.secret)
    return {}
  }
  const secret = await entry.getPassword()
  return secret === null || secret === undefined ? {} : { secret }
}

const LOCKED = /IsLocked|locked (object|collection)|interaction is not allowed|-25308\b/i

/** What the systems say, by what it means; the first that fits counts. */
const MEANINGS: readonly (readonly [RegExp, KeyringTrouble, string])[] = [
  [/prompt was dismissed|user cancell?ed|-128\b/i, "locked", "the keyring is locked, and nobody has unlocked it"],
  [LOCKED, "locked", "the keyring is locked"],
  [/Secret Service: no result found/i, "absent", "this session has no keyring to put anything in"],
  [
    /DBus error|no secret service provider|zbus error: (failed to connect|.*(ServiceUnknown|NameHasNoOwner|address))|not activatable|\.service files/i,
    "absent",
    "this session has no keyring service",
  ],
  [/no default keychain|logon session does not exist/i, "absent", "this session has no keyring"],
]

function describe(said: string): KeyringReply {
  for (const [pattern, trouble, message] of MEANINGS) if (pattern.test(said)) return { trouble, message }
  // The module's messages name accounts at the most, never what is stored.
  return { trouble: "failed", message: `the keyring answered: ${said.replace(/\s+/g, " ").slice(0, 200)}` }
}
