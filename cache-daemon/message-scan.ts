/**
 * Looks over MessagePack (spec.md of the msgpack project) before it is read: only what messages are made of, and not too much of it.
 *
 * A few bytes can declare millions of values or a depth without end; a reader that believes them spends memory and time first.
 *
 * @module
 */

import { GitsignError } from "../src/errors.ts"

/** The largest message is a signature request with some thousand git objects; the deepest has a list in a map in a map. */
const MAX_VALUES = 16_384
const MAX_DEPTH = 6

const refuse = (why: string): never => {
  throw new GitsignError("ERR_AGENT", `the message is not MessagePack as the agent speaks it: ${why}`)
}

/**
 * Checks that bytes are exactly one value of nil, booleans, numbers, texts, bytes, lists and maps; no extension types.
 *
 * @throws ERR_AGENT when they are not, or are too many or too deep
 */
export function checkMessagePack(bytes: Uint8Array): void {
  /** How many values each open list or map still has; a map has two for each entry. */
  const open = [1]
  let at = 0
  let values = 0
  const number = (size: number): number => {
    if (at + size > bytes.length) return refuse("it is cut short")
    let value = 0
    for (const end = at + size; at < end; at++) value = value * 256 + (bytes[at] ?? 0)
    return value
  }
  const skip = (size: number): void => {
    if (size > bytes.length - at) refuse("it is cut short")
    at += size
  }
  const enter = (count: number): void => {
    if (count > bytes.length - at) refuse("it declares more values than it has")
    if (open.length > MAX_DEPTH) refuse("it is too deep")
    open.push(count)
  }
  for (let left = open.at(-1); left !== undefined; left = open.at(-1)) {
    if (left === 0) {
      open.pop()
      continue
    }
    open[open.length - 1] = left - 1
    if (++values > MAX_VALUES) refuse("it has too many values")
    const head = number(1)
    if (head < 0x80 || head >= 0xe0) continue
    if (head < 0x90) enter(2 * (head & 0x0f))
    else if (head < 0xa0) enter(head & 0x0f)
    else if (head < 0xc0) skip(head & 0x1f)
    else {
      const form = FORMS[head] ?? refuse("it has a type that messages do not use")
      if (form.kind === "plain") skip(form.size)
      else if (form.kind === "bytes") skip(number(form.size))
      else enter(number(form.size) * (form.kind === "map" ? 2 : 1))
    }
  }
  if (at !== bytes.length) refuse("there is something behind it")
}

interface Form {
  /** `plain`: `size` bytes follow; the others: a length of `size` bytes follows. */
  readonly kind: "plain" | "bytes" | "list" | "map"
  readonly size: number
}

const plain = (size: number): Form => ({ kind: "plain", size })
const bytes = (size: number): Form => ({ kind: "bytes", size })

/** The first bytes from 0xc0 to 0xdf. */
const FORMS: Readonly<Record<number, Form>> = {
  // nil, false, true
  192: plain(0),
  194: plain(0),
  195: plain(0),
  // bin 8, 16, 32
  196: bytes(1),
  197: bytes(2),
  198: bytes(4),
  // float 32, 64: also what large whole numbers are written as
  202: plain(4),
  203: plain(8),
  // uint 8 to 64
  204: plain(1),
  205: plain(2),
  206: plain(4),
  207: plain(8),
  // int 8 to 64
  208: plain(1),
  209: plain(2),
  210: plain(4),
  211: plain(8),
  // str 8, 16, 32
  217: bytes(1),
  218: bytes(2),
  219: bytes(4),
  220: { kind: "list", size: 2 },
  221: { kind: "list", size: 4 },
  222: { kind: "map", size: 2 },
  223: { kind: "map", size: 4 },
}
