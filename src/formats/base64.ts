/**
 * Canonical base64 (RFC 4648 §4, with padding): exactly one text for every byte string.
 *
 * @module
 */

/**
 * Decodes base64, or returns undefined when `text` is not the one canonical encoding of its bytes.
 *
 * Buffer.from ignores stray characters, missing padding and unused low bits; each would let someone change a signed
 * text without changing what it decodes to.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64")
  return bytes.toString("base64") === text ? bytes : undefined
}
