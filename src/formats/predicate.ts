/**
 * The in-toto statement that `gitsign show` prints about a git object (in-toto attestation framework v1, gitsign's
 * predicates git/v0.1 and tag/v0.1).
 *
 * It only retells the object and its signature; nothing in it is verified.
 *
 * @module
 */

import { isGitsignError } from "../errors.ts"
import { parseSignedData } from "./cms.ts"
import { type ObjectFormat, objectId, parseSignedObject, type SignedObjectType } from "./git-object.ts"
import { decodeSignatureArmor, encodePem } from "./pem.ts"
import { parseCertificate } from "./x509.ts"

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
const PREDICATE_TYPES = {
  commit: "https://gitsign.sigstore.dev/predicate/git/v0.1",
  tag: "https://gitsign.sigstore.dev/predicate/tag/v0.1",
} as const

/** Who did something to an object, and when. */
interface Person {
  readonly name: string
  readonly email: string
  /** RFC 3339, UTC. */
  readonly date: string
}

/** A statement, ready for JSON. */
export type Statement = Readonly<Record<string, unknown>>

/**
 * Describes a commit or tag.
 *
 * @param repository the URL that names the repository
 * @throws ERR_GIT_OBJECT or ERR_DUPLICATE_SIGNATURE when the object is malformed
 */
export function describeObject(
  type: SignedObjectType,
  raw: Uint8Array,
  objectFormat: ObjectFormat,
  repository: string,
): Statement {
  const { payload, signature } = parseSignedObject(type, raw, objectFormat)
  const id = objectId(type, raw, objectFormat)
  const text = Buffer.from(payload).toString("utf8")
  const blank = text.indexOf("\n\n")
  const headers = readHeaders(blank < 0 ? text : text.slice(0, blank))
  const message = blank < 0 ? "" : text.slice(blank + 2)
  const source = type === "commit" ? commitSource(headers, message) : tagSource(headers, message)
  const signerInfo = signature && readSignerInfo(signature)
  return {
    type: STATEMENT_TYPE,
    predicateType: PREDICATE_TYPES[type],
    subject: [
      { name: repository, digest: type === "commit" ? { [objectFormat]: id } : { [objectFormat]: id, gitTag: id } },
    ],
    predicate: {
      source,
      ...(signature === undefined ? {} : { signature: Buffer.from(signature).toString("utf8") }),
      ...(signerInfo === undefined ? {} : { signer_info: [signerInfo] }),
    },
    // The Go gitsign's command line prints the same value under this name.
    predicate_type: PREDICATE_TYPES[type],
  }
}

type Headers = readonly (readonly [string, string])[]

function readHeaders(text: string): Headers {
  return text
    .split("\n")
    .filter((line) => !line.startsWith(" "))
    .map((line) => {
      const space = line.indexOf(" ")
      return space < 0 ? ([line, ""] as const) : ([line.slice(0, space), line.slice(space + 1)] as const)
    })
}

const all = (headers: Headers, name: string): string[] =>
  headers.flatMap(([header, value]) => (header === name ? [value] : []))

const first = (headers: Headers, name: string): string => all(headers, name)[0] ?? ""

function commitSource(headers: Headers, message: string): Statement {
  const parents = all(headers, "parent")
  return {
    tree: first(headers, "tree"),
    ...(parents.length > 0 ? { parents } : {}),
    author: readPerson(first(headers, "author")),
    committer: readPerson(first(headers, "committer")),
    message,
  }
}

const tagSource = (headers: Headers, message: string): Statement => ({
  object: first(headers, "object"),
  object_type: first(headers, "type"),
  tag: first(headers, "tag"),
  tagger: readPerson(first(headers, "tagger")),
  message,
})

function readPerson(text: string): Person {
  const [, name = "", email = "", seconds = "0"] = /^([^<]*?) ?<([^>]*)> ?(\d*)/.exec(text) ?? []
  const date = new Date(Number(seconds) * 1000)
  return { name, email, date: Number.isNaN(date.getTime()) ? "" : date.toISOString().replace(".000Z", "Z") }
}

/** The signed attributes and the certificate of a gitsign signature; undefined for signatures of other makers. */
function readSignerInfo(signature: Uint8Array): Statement | undefined {
  try {
    const { signerInfo, certificates } = parseSignedData(decodeSignatureArmor(signature))
    const certificate = certificates.find((der) => {
      const { issuer, serialNumber } = parseCertificate(der)
      return (
        Buffer.compare(issuer, signerInfo.issuer) === 0 && Buffer.compare(serialNumber, signerInfo.serialNumber) === 0
      )
    })
    return {
      attributes: Buffer.from(signerInfo.signedAttrs).toString("base64"),
      ...(certificate === undefined ? {} : { certificate: encodePem("CERTIFICATE", certificate) }),
    }
  } catch (error) {
    if (isGitsignError(error)) return undefined
    throw error
  }
}
