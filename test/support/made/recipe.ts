/**
 * One made fixture: what it expects and how its bytes come about. test/make-fixtures.ts writes them.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { ErrorCode } from "../../../src/errors.ts"
import { FIXTURES } from "../fixtures.ts"
import type { Entry } from "./log.ts"
import { armor, type CmsChanges, cms, commit, entryAttribute, entryOf, type Session, session } from "./signatures.ts"

export interface Recipe {
  readonly kind: "commits" | "tags" | "signatures"
  /** Without the ending `_fail`. */
  readonly name: string
  readonly expect: "verified" | ErrorCode
  readonly comment: string
  /** Further lines of case.txt; undefined takes one out. */
  readonly fields?: Readonly<Record<string, string | undefined>>
  /** The files of the case; names with `../` are shared trust files. */
  readonly files: () => Readonly<Record<string, Uint8Array | string>>
}

/** The folder of a recipe below fixtures/. */
export const folderOf = ({ kind, name, expect }: Recipe): string =>
  join(kind, `made-${name}${expect === "verified" ? "" : "_fail"}`)

/** The chains in the trusted root that was written first. */
export function trustedChains(): { fulcio: Buffer[]; tsa: Buffer[] } {
  const root = JSON.parse(readFileSync(join(FIXTURES, "trust", "made.json"), "utf8"))
  const chain = (authority: { certChain: { certificates: { rawBytes: string }[] } }): Buffer[] =>
    authority.certChain.certificates.map(({ rawBytes }) => Buffer.from(rawBytes, "base64"))
  return { fulcio: chain(root.certificateAuthorities[0]), tsa: chain(root.timestampAuthorities[0]) }
}

type Line = readonly [name: string, expect: Recipe["expect"], comment: string]

/** A commit whose bytes are made as told. */
export const object = (
  [name, expect, comment]: Line,
  make: () => Uint8Array,
  fields: Recipe["fields"] = {},
): Recipe => ({
  kind: "commits",
  name,
  expect,
  comment,
  fields,
  files: () => ({ object: make() }),
})

/** A commit in offline mode whose session, unsigned attributes and CMS are changed as told. */
export const offline = (
  line: Line,
  changes: {
    readonly session?: () => Session
    readonly change?: (entry: Entry) => void
    /** The attributes to store in place of the log entry's. */
    readonly entry?: (entry: Entry, one: Session) => readonly Uint8Array[]
    readonly attributes?: (one: Session) => readonly Uint8Array[]
    readonly cms?: (one: Session) => CmsChanges
    readonly der?: (der: Buffer, one: Session) => Buffer
    readonly text?: (armored: string) => string
  },
  fields: Recipe["fields"] = {},
): Recipe =>
  object(
    line,
    () => {
      const one = changes.session?.() ?? session()
      const entry = entryOf(one)
      changes.change?.(entry)
      const attributes = changes.entry?.(entry, one) ?? [entryAttribute(entry)]
      const plain = cms(one, [...attributes, ...(changes.attributes?.(one) ?? [])], changes.cms?.(one))
      const armored = armor(changes.der?.(plain, one) ?? plain)
      return commit(one.payload, changes.text?.(armored) ?? armored)
    },
    fields,
  )
