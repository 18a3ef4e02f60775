/**
 * What a policy judges: facts about one object, and what was proven about its signature.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts"
import type { ClaimName } from "../formats/signer.ts"

/** Who made a signature, after every check of it has passed. */
export type ProvenSigner =
  | {
      readonly scheme: "keyless"
      /** The names in the certificate; at least one. */
      readonly identities: readonly string[]
      readonly issuer: string
      readonly claims: Readonly<Partial<Record<ClaimName, string>>>
      readonly mode: "offline" | "online"
      /** All times that the log and timestamps prove. */
      readonly times: readonly Date[]
      readonly timestamped: boolean
      /** Whether the certificate was proven to be in a CT log. */
      readonly sct: boolean
    }
  | {
      readonly scheme: "openpgp"
      /** Of the primary key and of the key that signed, upper-case hex. */
      readonly fingerprints: readonly string[]
      /** Its user ids, such as `GitHub <noreply@github.com>`. */
      readonly userIds: readonly string[]
    }
  | {
      readonly scheme: "ssh"
      /** `SHA256:` and base64, as ssh-keygen prints it; of the key, and of the authority that certified it. */
      readonly fingerprints: readonly string[]
      /** The principal patterns of the lines in the allowed signers that accept the key now. */
      readonly principals: readonly string[]
      /** Which lines these are: another line for the same key, or one in another file, proves nothing. */
      readonly lines: readonly ProvenSshLine[]
    }

/** One line of allowed signers that accepts a key now. */
export interface ProvenSshLine {
  /** SHA-256 of the text that the line is in, hex. */
  readonly file: string
  /** Counted from 1. */
  readonly line: number
  /** Those of the signer's principals whom this line accepts. */
  readonly principals: readonly string[]
}

/** One commit or tag as the policy sees it. */
export interface ObjectFacts {
  readonly type: "commit" | "tag"
  /** Object id, lower-case hex. */
  readonly id: string
  /** E-mail address of the committer or tagger; nothing proves it. */
  readonly committerEmail: string
  readonly parents: readonly string[]
  /** What it changes; undefined when nobody asked, see {@link Needs}. */
  readonly paths: readonly string[] | undefined
  /** Those of them that are or were a link or a submodule; what these lead to is found below them. */
  readonly links?: readonly string[]
  /** For merges: whether git would have made it so; undefined when nobody asked. */
  readonly cleanMerge: boolean | undefined
}

/** What has to be known of an object to judge it by some rules; finding it out costs time. */
export interface Needs {
  readonly paths: boolean
  readonly cleanMerge: boolean
}

/** What a policy says about one object. */
export interface Judgement {
  readonly allowed: boolean
  /** Why not, with one of the codes of exit status 1. */
  readonly refusal:
    | { readonly code: ErrorCode; readonly message: string; readonly hint: string | undefined }
    | undefined
  /** The rules that were satisfied, by name. */
  readonly satisfied: readonly string[]
  /** The rule that refused. */
  readonly refusedBy: string | undefined
  /** For a refused signer: what came nearest, in words, such as `rule "main" names alice@example.com`. */
  readonly nearest: string | undefined
  /** Set when the object was not judged, or not by its signer, in words: why it is accepted all the same. */
  readonly exempt:
    | { readonly kind: "exempted" | "older" | "vouched for" | "no rule"; readonly reason: string }
    | undefined
}
