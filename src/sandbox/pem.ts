/**
 * Reads the PEM blocks (RFC 7468) that clients send to the sandbox's services.
 *
 * @module
 */

/** One PEM block. */
export interface PemBlock {
  readonly label: string
  readonly der: Buffer
}

/** Every PEM block of a text, in order; an empty list when there is none. Text around the blocks is ignored. */
export function decodePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = []
  for (const match of text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,64})-----([^-]*)-----END \1-----/g)) {
    const [, label, base64] = match
    if (label === undefined || base64 === undefined) continue
    blocks.push({ label, der: Buffer.from(base64.replace(/\s/g, ""), "base64") })
  }
  return blocks
}
