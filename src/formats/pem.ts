/**
 * PEM text encoding (RFC 7468): strict for signatures, tolerant for certificate and key files that people edit.
 *
 * @module
 */

import { type ErrorCode, GitsignError } from "../errors.ts"
import { decodeBase64 } from "./base64.ts"
import { latin1 } from "./der.ts"

/** The label of an armored signature; git chooses its X.509 program by this line. */
export const SIGNATURE_LABEL = "SIGNED MESSAGE"

/** The label of a SubjectPublicKeyInfo (RFC 7468 §13). */
export const PUBLIC_KEY_LABEL = "PUBLIC KEY"

/** Encodes bytes as PEM with lines of 64 characters and a final line feed. */
export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der).toString("base64")
  const lines = base64.match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join("\n")}${lines.length > 0 ? "\n" : ""}-----END ${label}-----\n`
}

/**
 * Decodes an armored signature that is written the one way gitsign writes it; only line feeds may follow it.
 *
 * Anything more tolerant would let one signature have many texts, and so one commit many object ids.
 *
 * @throws ERR_PEM when it is not that; ERR_DUPLICATE_SIGNATURE when there is more than one block, as git hands over
 * for a commit with two signature headers
 */
export function decodeSignatureArmor(bytes: Uint8Array): Uint8Array {
  const text = latin1(bytes)
  const begin = `-----BEGIN ${SIGNATURE_LABEL}-----\n`
  const end = `-----END ${SIGNATURE_LABEL}-----\n`
  if (text.startsWith(begin) && text.includes(begin, 1)) {
    throw new GitsignError("ERR_DUPLICATE_SIGNATURE", "there is more than one signature block")
  }
  // git stores the block without the last line feed when it is at the end of a header; it hands it over with one.
  let stop = text.length
  while (text[stop - 1] === "\n") stop--
  const body = `${text.slice(0, stop)}\n`
  if (!body.startsWith(begin) || !body.endsWith(end)) {
    throw new GitsignError("ERR_PEM", `the signature is not one ${SIGNATURE_LABEL} block`)
  }
  const der = decodeBase64(body.slice(begin.length, -end.length).replaceAll("\n", ""))
  if (der === undefined || encodePem(SIGNATURE_LABEL, der) !== body) {
    throw new GitsignError("ERR_PEM", "the signature block is not canonical base64 in lines of 64 characters")
  }
  return der
}

/**
 * Decodes all blocks with this label from a PEM file. Text around the blocks, CRLF and other line lengths are allowed.
 *
 * @throws `code` when there is no such block, or one is not base64
 */
export function decodePemFile(text: string, label: string, code: ErrorCode): Uint8Array[] {
  const blocks = [...text.matchAll(new RegExp(`-----BEGIN ${label}-----([^-]*)-----END ${label}-----`, "g"))]
  if (blocks.length === 0) throw new GitsignError(code, `there is no ${label} block in the PEM text`)
  return blocks.map(([, body = ""]) => {
    const der = decodeBase64(body.replace(/\s+/g, ""))
    if (der === undefined || der.length === 0) throw new GitsignError(code, `a ${label} block is not base64`)
    return der
  })
}
