/**
 * Secrets that are longer than an entry of the keyring can be, in several entries.
 *
 * @module
 */

import { createHash } from "node:crypto"
import type { Keyring } from "./keyring.ts"

/** The first entry of several: how many follow it and the digest of the whole. JSON never begins so. */
const HEAD = /^parts:(\d{1,2}):([0-9a-f]{64}):/
/** Further entries are `ACCOUNT~1` and so on. */
const FURTHER = /~\d+$/
const MAX_PARTS = 32

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex")

/**
 * The keyring with room for longer secrets. What one process reads while another writes is the old secret, the new one, or
 * nothing; never a mixture.
 */
export function inParts(keyring: Keyring, maxLength: number): Keyring {
  const join = (first: string | undefined, further: (part: number) => string | undefined): string | undefined => {
    const head = first === undefined ? null : HEAD.exec(first)
    if (first === undefined || head === null) return first
    const [prefix, count, digest] = head
    let whole = first.slice(prefix.length)
    for (let part = 1; part <= Math.min(Number(count), MAX_PARTS); part++) whole += further(part) ?? ""
    return digestOf(whole) === digest ? whole : undefined
  }
  const countOf = (first: string | undefined): number => Math.min(Number(HEAD.exec(first ?? "")?.[1] ?? 0), MAX_PARTS)
  const readFurther = async (account: string, first: string | undefined): Promise<Map<number, string>> => {
    const found = new Map<number, string>()
    for (let part = 1; part <= countOf(first); part++) {
      const text = await keyring.get(`${account}~${part}`)
      if (text !== undefined) found.set(part, text)
    }
    return found
  }
  const removeFurther = async (account: string, from: number, to: number): Promise<void> => {
    for (let part = from; part <= to; part++) await keyring.delete(`${account}~${part}`)
  }
  /** Without a bound nothing is ever split, and no call is spent on looking for parts. */
  const splits = Number.isFinite(maxLength)

  return {
    get: async (account) => {
      const first = await keyring.get(account)
      const further = await readFurther(account, first)
      return join(first, (part) => further.get(part))
    },
    set: async (account, secret) => {
      const before = splits ? countOf(await keyring.get(account)) : 0
      if (secret.length <= maxLength && !HEAD.test(secret)) {
        await keyring.set(account, secret)
        return removeFurther(account, 1, before)
      }
      const digest = digestOf(secret)
      // The head says at most "parts:32:", the digest and a colon.
      const room = splits ? maxLength - digest.length - 10 : secret.length
      const rest = secret.slice(room)
      const parts = splits ? Math.ceil(rest.length / maxLength) : 0
      for (let part = 1; part <= parts; part++) {
        await keyring.set(`${account}~${part}`, rest.slice((part - 1) * maxLength, part * maxLength))
      }
      await keyring.set(account, `parts:${parts}:${digest}:${secret.slice(0, room)}`)
      await removeFurther(account, parts + 1, before)
    },
    delete: async (account) => {
      const parts = splits ? countOf(await keyring.get(account)) : 0
      const existed = await keyring.delete(account)
      await removeFurther(account, 1, parts)
      return existed
    },
    accounts: async () => {
      const items = await keyring.accounts()
      const byAccount = new Map(items.map(({ account, secret }) => [account, secret]))
      return items.flatMap(({ account, secret }) => {
        if (FURTHER.test(account)) return []
        const whole = join(secret, (part) => byAccount.get(`${account}~${part}`))
        // A torn one is listed all the same: whoever reads it finds it damaged and removes it.
        return [{ account, secret: whole ?? "" }]
      })
    },
  }
}
