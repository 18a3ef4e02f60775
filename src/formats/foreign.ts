/**
 * A tolerant look into signatures that gitsign did not make, only to say whose they are.
 *
 * S/MIME programs write BER with indefinite lengths (X.690 §8.1.3.6) that the strict reader refuses. What is found here
 * explains a refusal; nothing is ever accepted because of it.
 *
 * @module
 */

import { formatName, parseCertificate } from "./x509.ts"

const MAX_DEPTH = 12

interface Ber {
  readonly tag: number
  readonly children: Ber[]
  readonly raw: Uint8Array
  readonly end: number
}

/** Reads one BER value, or undefined when it makes no sense. */
function readBer(bytes: Uint8Array, start: number, depth: number): Ber | undefined {
  const tag = bytes[start]
  const first = bytes[start + 1]
  if (tag === undefined || first === undefined || depth > MAX_DEPTH || (tag & 0x1f) === 0x1f) return undefined
  let offset = start + 2
  let end: number | undefined
  if (first < 0x80) end = offset + first
  else if (first > 0x80) {
    let length = 0
    for (let i = 0; i < (first & 0x7f); i++) length = length * 256 + (bytes[offset++] ?? 0)
    end = offset + length
  }
  if (end !== undefined && end > bytes.length) return undefined
  const children: Ber[] = []
  if ((tag & 0x20) !== 0) {
    while (end === undefined ? !(bytes[offset] === 0 && bytes[offset + 1] === 0) : offset < end) {
      const child = readBer(bytes, offset, depth + 1)
      if (child === undefined) return undefined
      children.push(child)
      offset = child.end
    }
    if (end === undefined) offset += 2
    else if (offset !== end) return undefined
  }
  const stop = end ?? offset
  return { tag, children, raw: bytes.subarray(start, stop), end: stop }
}

/** A signer certificate found in a foreign signature. Untrusted text. */
export interface ForeignCertificate {
  readonly subject: string
  readonly issuer: string
  /** The DER of the issuer's Name. */
  readonly issuerName: Uint8Array
}

/** The end-entity certificates in a CMS signature of any maker, or none when it cannot be read at all. */
export function findForeignCertificates(cms: Uint8Array): ForeignCertificate[] {
  const signedData = readBer(cms, 0, 0)?.children[1]?.children[0]
  const set = signedData?.children.find(({ tag }) => tag === 0xa0)
  return (set?.children ?? []).flatMap(({ raw }) => {
    try {
      const certificate = parseCertificate(raw)
      if (certificate.isCa) return []
      return [
        {
          subject: formatName(certificate.subject),
          issuer: formatName(certificate.issuer),
          issuerName: certificate.issuer,
        },
      ]
    } catch {
      return []
    }
  })
}
