/**
 * Where the OpenID provider keeps codes, sessions and interactions: in memory, with an end to everything.
 *
 * A login that is cut off by a restart is simply begun again, so nothing of it goes to the disk.
 *
 * @module
 */

import type { Adapter, AdapterPayload } from "oidc-provider"

/** How many items are kept in all; the oldest goes when another one comes. */
const MAX_ITEMS = 2000

interface Item {
  readonly payload: AdapterPayload
  /** Milliseconds since 1970. */
  readonly expires: number
}

/** Makes the storage of one provider: a function from a model's name to its adapter, as oidc-provider asks for. */
export function createStorage(): (model: string) => Adapter {
  const items = new Map<string, Item>()

  const live = (key: string): AdapterPayload | undefined => {
    const item = items.get(key)
    if (item === undefined || item.expires > Date.now()) return item?.payload
    items.delete(key)
    return undefined
  }
  const search = (model: string, matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined => {
    for (const key of items.keys()) {
      const payload = key.startsWith(`${model}:`) ? live(key) : undefined
      if (payload !== undefined && matches(payload)) return payload
    }
    return undefined
  }

  return (model) => {
    const keyOf = (id: string): string => `${model}:${id}`
    return {
      async upsert(id, payload, expiresIn) {
        const expires = expiresIn === undefined ? Number.POSITIVE_INFINITY : Date.now() + expiresIn * 1000
        items.delete(keyOf(id))
        items.set(keyOf(id), { payload, expires })
        const [oldest] = items.keys()
        if (items.size > MAX_ITEMS && oldest !== undefined) items.delete(oldest)
      },
      async find(id) {
        return live(keyOf(id))
      },
      async findByUid(uid) {
        return search(model, (payload) => payload.uid === uid)
      },
      async findByUserCode(userCode) {
        return search(model, (payload) => payload.userCode === userCode)
      },
      async consume(id) {
        const item = items.get(keyOf(id))
        if (item !== undefined) {
          items.set(keyOf(id), { ...item, payload: { ...item.payload, consumed: Math.floor(Date.now() / 1000) } })
        }
      },
      async destroy(id) {
        items.delete(keyOf(id))
      },
      async revokeByGrantId(grantId) {
        for (const [key, { payload }] of items) {
          if (payload.grantId === grantId) items.delete(key)
        }
      },
    }
  }
}
