/**
 * ASCII armor of OpenPGP (RFC 9580 section 6.2, RFC 4880 section 6.2): strict for signatures, tolerant for key files that people edit.
 *
 * @module
 */

import { type ErrorCode, GitsignError } from "../errors.ts"
import { decodeBase64 } from "./base64.ts"
import { latin1 } from "./der.ts"

/** Bytes; a signature has a few hundred. */
const MAX_SIGNATURE = 64 * 1024

const BEGIN = "-----BEGIN PGP SIGNATURE-----\n"
const END = "\n-----END PGP SIGNATURE-----"

const malformed = (what: string): GitsignError => new GitsignError("ERR_SIGNATURE_FORMAT", what)

/**
 * Decodes the armored signature of a commit or tag: one block, and nothing but line feeds behind it.
 *
 * Headers such as `Version` and `Comment` are passed over: gpg writes them when told to, and nobody signs them. Base64 has to be
 * canonical and the checksum, where there is one, right.
 *
 * @throws ERR_SIGNATURE_FORMAT when it is not that
 */
export function decodeOpenPgpSignature(armored: Uint8Array): Buffer {
  if (armored.length > MAX_SIGNATURE) throw malformed("the OpenPGP signature is larger than any real one")
  const text = latin1(armored)
  if (text.startsWith("-----BEGIN PGP MESSAGE-----")) throw malformed("it is an OpenPGP message, not a signature")
  const end = text.indexOf(END)
  if (!text.startsWith(BEGIN) || end < 0) throw malformed("the OpenPGP signature is not one armored block")
  if (!/^\n*$/.test(text.slice(end + END.length))) throw malformed("something follows the OpenPGP signature")
  const block = text.slice(BEGIN.length, end)
  const blank = block.startsWith("\n") ? 0 : block.indexOf("\n\n") + 1
  const headers = block.slice(0, blank).split("\n").slice(0, -1)
  const isHeader = (line: string): boolean => /^[A-Za-z][A-Za-z0-9-]*: [\x20-\x7e]*$/.test(line)
  if (!headers.every(isHeader) || (blank === 0 && !block.startsWith("\n"))) {
    throw malformed("the armor of the OpenPGP signature has headers that make no sense")
  }
  const decoded = decodeBody(block.slice(blank + 1).split("\n"))
  if (decoded === undefined) throw malformed("the armor of the OpenPGP signature is damaged")
  return decoded
}

/** Decodes lines of base64 and the checksum behind them; undefined when something is wrong. */
function decodeBody(lines: readonly string[]): Buffer | undefined {
  const checksum = lines.at(-1)?.startsWith("=") ? lines.at(-1)?.slice(1) : undefined
  const body = checksum === undefined ? lines : lines.slice(0, -1)
  if (body.some((line) => line === "")) return undefined
  const bytes = decodeBase64(body.join(""))
  if (bytes === undefined || bytes.length === 0) return undefined
  return checksum === undefined || checksum === crc24(bytes).toString("base64") ? bytes : undefined
}

/** The checksum of armor (RFC 9580 section 6.1.1), three octets. It tells damage, not attacks. */
function crc24(bytes: Uint8Array): Buffer {
  let crc = 0xb704ce
  for (const octet of bytes) {
    crc ^= octet << 16
    for (let bit = 0; bit < 8; bit++) {
      crc <<= 1
      if ((crc & 0x1000000) !== 0) crc ^= 0x1864cfb
    }
  }
  const octets = Buffer.alloc(3)
  octets.writeUIntBE(crc & 0xffffff, 0, 3)
  return octets
}

const KEY_BLOCK = /-----BEGIN PGP ([A-Z ]+)-----([\s\S]*?)-----END PGP \1-----/g

/**
 * Decodes all public key blocks of a text, one behind the other. Text around them, CRLF and trailing blanks are allowed.
 *
 * @param code what to throw, since these texts come from policies and from files
 * @throws `code` when there is none, when one is damaged, or when there is a secret key
 */
export function decodeOpenPgpKeys(text: string, code: ErrorCode, source: string): Buffer {
  const blocks = [...text.matchAll(KEY_BLOCK)]
  if (blocks.some(([, label]) => label === "PRIVATE KEY BLOCK")) {
    throw new GitsignError(code, `${source} has a secret key in it: publish the public one only, and revoke this one`)
  }
  const keys = blocks
    .filter(([, label]) => label === "PUBLIC KEY BLOCK")
    .map(([, , block = ""]) => decodeKeyBlock(block))
  if (keys.length === 0) throw new GitsignError(code, `${source} has no armored OpenPGP public key`)
  const decoded = keys.filter((key) => key !== undefined)
  if (decoded.length < keys.length) {
    throw new GitsignError(code, `an armored OpenPGP key in ${source} is damaged`)
  }
  return Buffer.concat(decoded)
}

function decodeKeyBlock(block: string): Buffer | undefined {
  const lines = block.split("\n").map((line) => line.trim())
  // Headers end at the first blank line; the first entry is what follows the line that begins the block
  const blank = lines.indexOf("", 1)
  return blank < 0 ? undefined : decodeBody(lines.slice(blank + 1).filter((line) => line !== ""))
}
