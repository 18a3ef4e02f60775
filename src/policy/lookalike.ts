/**
 * Addresses made to be taken for another (Unicode UTS #39; punycode is RFC 3492). They are strangers like all others; this only tells a
 * person what the eye does not see.
 *
 * @module
 */

import type { TextMatcher } from "./text-match.ts"

/** Whom an address looks like. */
export interface Lookalike {
  /** The address or, between slashes, the pattern that the policy has. */
  readonly name: string
  /** What differs, in words, with code points. */
  readonly difference: string
}

/** Letters of other alphabets that look like Latin ones, after NFKC and without marks: pairs of a letter and what it looks like. */
const CONFUSABLE: ReadonlyMap<string, string> = new Map(
  [
    // capitals first, whose small letters look like something else
    "ΝnΗhΡpΥyΖzΒbΜmΧxΑaΕeΙiΚkΟoΤtВbНhТtМmРpСcКkХxУyАaЕeОo",
    "аaвbсcԁdеeһhіiјjӏlкkмmнhоoрpԛqѕsтtуyхxѵvԝwгrпnьbѡwԍgӕæ",
    "αaβbεeηnιiκkνvοoρpτtυuχxωwγyσoςcμuϲcϳj",
    "ɑaɡgıiȷjɩiƒfđdħhłløoŧtɛeɴnʀrðdþpᴀaᴄcᴅdᴇeᴊjᴋkᴍmᴏoᴘpᴛtᴜuᴠvᴡwᴢz",
    "օoսuհhոnցgյjքpզqաw",
  ].flatMap((pairs) => {
    const letters = Array.from(pairs)
    return letters.flatMap((letter, index) => (index % 2 === 0 ? [[letter, letters[index + 1] ?? ""] as const] : []))
  }),
)

const PUNCTUATION: ReadonlyMap<string, string> = new Map([
  ...["\u3002", "\u06d4", "\u0701", "\u0702", "\ua4f8"].map((dot) => [dot, "."] as const),
  ...["\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212", "\u02d7", "\u06d4"].map(
    (dash) => [dash, "-"] as const,
  ),
  ...["\u2044", "\u2215", "\u29f8", "\u3033"].map((slash) => [slash, "/"] as const),
])

const MAX_ADDRESS = 2000

/** What the address looks like in plain Latin letters, case kept for the most part. */
function plain(text: string): string {
  const decomposed = decodeDomains(decodeEscapes(text)).normalize("NFKC").normalize("NFD")
  const visible = decomposed.replace(/[\p{M}\p{Cc}\p{Default_Ignorable_Code_Point}\s]/gu, "")
  const mapped = Array.from(visible, (letter) => CONFUSABLE.get(letter) ?? PUNCTUATION.get(letter) ?? letter).join("")
  return mapped.replace(/\.+$/, "")
}

/** What looks alike has the same one, also where all letters are Latin. */
export const skeleton = (text: string): string =>
  Array.from(plain(text).toLowerCase(), (letter) => CONFUSABLE.get(letter) ?? letter)
    .join("")
    .replaceAll("rn", "m")
    .replaceAll("vv", "w")
    .replaceAll("cl", "d")
    .replaceAll("0", "o")
    .replace(/[1i|]/g, "l")

/** What an address would be if it were honest: without the domains that it puts before or behind another. */
function otherDomains(address: string): readonly string[] {
  const [, before = "", host = "", behind = ""] =
    /^([^@/]+@)([^@/]+)()$/.exec(address) ?? /^([a-z]+:\/\/)([^/]+)(\/.*)$/i.exec(address) ?? []
  const labels = (host.split("@").at(-1) ?? "").split(".")
  const hosts = [host.split("@")[0] ?? ""]
  for (let at = 1; at < Math.min(labels.length, 20); at++) {
    hosts.push(labels.slice(at).join("."), labels.slice(0, at).join("."))
  }
  const tagless = before.replace(/\+[^@]*@$/, "@")
  const found = hosts.filter((name) => name.includes(".") && name !== host).map((name) => `${tagless}${name}${behind}`)
  return tagless === before ? found : [`${tagless}${host}`, ...found]
}

/** What an address may pass for. */
export interface Disguise {
  readonly address: string
  /** What it looks like, in plain letters. */
  readonly looks: readonly string[]
  /** What part of it says. */
  readonly parts: readonly string[]
  /** The skeletons of both. */
  readonly skeletons: ReadonlyMap<string, "looks" | "parts">
}

/** Finds out once what an address may pass for; comparing it with every name of a policy is then cheap. */
export function disguiseOf(address: string): Disguise {
  if (address.length > MAX_ADDRESS) return { address, looks: [], parts: [], skeletons: new Map() }
  const bare = plain(address)
  const parts = otherDomains(address)
  const looks = new Set([bare, address.toLowerCase(), bare.toLowerCase()])
  const skeletons = new Map<string, "looks" | "parts">(parts.map((part) => [skeleton(part), "parts"]))
  return { address, looks: [...looks], parts, skeletons: skeletons.set(skeleton(address), "looks") }
}

/** Whether an address that a text or pattern of a policy does not match only looks as if it did. */
export function lookalike({ address, looks, parts, skeletons }: Disguise, named: TextMatcher): Lookalike | undefined {
  const { exact, shown: name } = named
  if (exact !== undefined) {
    const how = skeletons.get(named.skeleton)
    if (how === undefined) return undefined
    return { name, difference: how === "looks" ? difference(address, exact) : partly(exact) }
  }
  const look = looks.find(named.matches)
  if (look !== undefined) return { name, difference: difference(address, look) }
  const part = parts.find((one) => named.matches(one) || named.matches(plain(one).toLowerCase()))
  return part === undefined ? undefined : { name, difference: partly(part) }
}

const partly = (part: string): string => `it is not the same address, only part of it is ${part}`

function difference(address: string, expected: string): string {
  if (address.toLowerCase() === expected.toLowerCase()) return "only upper and lower case differ"
  const found = Array.from(address)
  const wanted = Array.from(expected)
  const at = found.findIndex((letter, index) => letter !== wanted[index])
  if (at < 0) return `it ends before ${shown(wanted[found.length])}`
  return `its character ${at + 1} is ${shown(found[at])}, not ${shown(wanted[at])}`
}

function shown(letter: string | undefined): string {
  if (letter === undefined) return "the end"
  const code = `U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`
  return /^[!-~]$/.test(letter) ? `${code} (${letter})` : code
}

/** Percent-encoded letters of other alphabets, which a URI in a certificate cannot have otherwise; what is no UTF-8 stays. */
const decodeEscapes = (text: string): string =>
  text.replace(/(?:%[89a-f][0-9a-f])+/gi, (escapes) => {
    const decoded = Buffer.from(escapes.replaceAll("%", ""), "hex").toString("utf8")
    return decoded.includes("\ufffd") ? escapes : decoded
  })

const decodeDomains = (text: string): string =>
  text.replace(/xn--([a-z0-9-]{1,63})/gi, (label, encoded: string) => decodePunycode(encoded.toLowerCase()) ?? label)

/** RFC 3492 section 6.2; undefined for what is none. */
function decodePunycode(encoded: string): string | undefined {
  const split = encoded.lastIndexOf("-")
  const output = split > 0 ? Array.from(encoded.slice(0, split), (letter) => letter.codePointAt(0) ?? 0) : []
  let code = 128
  let index = 0
  let bias = 72
  let at = split > 0 ? split + 1 : 0
  while (at < encoded.length) {
    const before = index
    for (let weight = 1, k = 36; ; k += 36) {
      const digit = "abcdefghijklmnopqrstuvwxyz0123456789".indexOf(encoded[at++] ?? "-")
      if (digit < 0) return undefined
      index += digit * weight
      const threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias
      if (digit < threshold) break
      weight *= 36 - threshold
      if (index > 0x10ffff * 64) return undefined
    }
    const length = output.length + 1
    bias = adapt(index - before, length, before === 0)
    code += Math.floor(index / length)
    index %= length
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined
    output.splice(index++, 0, code)
  }
  return String.fromCodePoint(...output)
}

function adapt(delta: number, length: number, isFirst: boolean): number {
  let rest = Math.floor(delta / (isFirst ? 700 : 2))
  rest += Math.floor(rest / length)
  let k = 0
  for (; rest > 455; k += 36) rest = Math.floor(rest / 35)
  return k + Math.floor((36 * rest) / (rest + 38))
}
