/**
 * Text inside ASN.1 values: UTF-8 and IA5, without the control characters that deceive whoever prints it.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { readAll, TAG } from "./der.ts"

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * Decodes UTF-8 text, given as it is or inside a DER UTF8String.
 *
 * @throws ERR_CERTIFICATE when it is not UTF-8 or holds control characters; ERR_DER when the UTF8String is not DER
 */
export function decodeUtf8String(bytes: Uint8Array, encoding: "raw" | "der", what: string): string {
  const content = encoding === "raw" ? bytes : readAll(bytes, what, (r) => r.expect(TAG.utf8String, what).content)
  let text: string
  try {
    text = utf8.decode(content)
  } catch (cause) {
    throw new GitsignError("ERR_CERTIFICATE", `${what}: not UTF-8`, { cause })
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a line feed in a claim would forge lines of output
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new GitsignError("ERR_CERTIFICATE", `${what}: control characters`)
  return text
}

/**
 * Decodes an IA5String's content: printable ASCII.
 *
 * @throws ERR_CERTIFICATE when it is anything else; a NUL or a line feed here has fooled verifiers before
 */
export function decodeIa5(content: Uint8Array, what: string): string {
  for (const octet of content) {
    if (octet < 0x20 || octet > 0x7e) throw new GitsignError("ERR_CERTIFICATE", `${what}: not printable ASCII`)
  }
  return Buffer.from(content).toString("latin1")
}
