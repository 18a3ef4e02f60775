/**
 * Reads the cases of `fixtures/`; fixtures/README.md tells their form.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { ERROR_CODES, type ErrorCode } from "../../src/errors.ts"
import type { TrustedRoot } from "../../src/formats/trusted-root.ts"
import { loadTrustedRoot } from "../../src/trust/load.ts"

/** The folder of all fixtures. */
export const FIXTURES = fileURLToPath(new URL("../../fixtures/", import.meta.url))

/** One folder of fixtures with its case.txt. */
export interface Case {
  /** The folder's name. */
  readonly name: string
  /** The folder's name below fixtures/, such as `commits`. */
  readonly kind: string
  readonly expect: "verified" | ErrorCode
  /** The lines of case.txt. */
  readonly fields: ReadonlyMap<string, string>
  /** The bytes of a file of this case. */
  readonly read: (file: string) => Buffer
  /** Whether the case has this file. */
  readonly has: (file: string) => boolean
}

/** Every line that case.txt may hold. A misspelt one would switch a check off. */
const KEYS = new Set([
  "expect",
  "origin",
  "sha256",
  "object-id",
  "object-format",
  "type",
  "identity",
  "issuer",
  "accept-identity",
  "accept-issuer",
  "accept-workflow-ref",
  "trusted-root",
  "fulcio-root",
  "rekor-public-key",
  "ct-log-public-key",
  "timestamp-cert-chain",
  "ignore-sct",
  "log-entry",
  "comment",
])

/** The lines of a case.txt. @throws Error when it is malformed or says the same twice */
function parseCaseFile(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.trimEnd().split("\n")) {
    const [, key, value] = /^([a-z0-9-]+): (.+)$/.exec(line) ?? []
    if (key === undefined || value === undefined) throw new Error(`not a "key: value" line: ${line}`)
    if (!KEYS.has(key) || fields.has(key)) throw new Error(`unknown or repeated key: ${key}`)
    fields.set(key, value)
  }
  for (const key of ["origin", "comment"]) if (!fields.has(key)) throw new Error(`case.txt says no ${key}`)
  return fields
}

/** The cases of one kind, by name. */
export function casesOf(kind: string): Case[] {
  const folder = join(FIXTURES, kind)
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => readCase(join(folder, name), kind))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function readCase(folder: string, kind: string): Case {
  const fields = parseCaseFile(readFileSync(join(folder, "case.txt"), "utf8"))
  const expect = fields.get("expect") ?? "verified"
  if (expect !== "verified" && !(expect in ERROR_CODES)) throw new Error(`${folder}: no such code: ${expect}`)
  return {
    name: basename(folder),
    kind,
    expect: expect as Case["expect"],
    fields,
    read: (file) => readFileSync(join(folder, file)),
    has: (file) => existsSync(join(folder, file)),
  }
}

/** One case by its kind and name. */
export const caseNamed = (kind: string, name: string): Case => readCase(join(FIXTURES, kind, name), kind)

const loaded = new Map<string, TrustedRoot>()

/** What a case trusts: the public-good instance, unless its case.txt names files of fixtures/trust. */
export function trustedRootOf({ fields }: Case): TrustedRoot {
  const path = (key: string): string | undefined => {
    const file = fields.get(key)
    return file === undefined ? undefined : join(FIXTURES, "trust", file)
  }
  const settings = {
    trustedRoot: path("trusted-root"),
    fulcioRoot: path("fulcio-root"),
    rekorPublicKey: path("rekor-public-key"),
    ctLogPublicKey: path("ct-log-public-key"),
    timestampCertChain: path("timestamp-cert-chain"),
  }
  const key = JSON.stringify(settings)
  const known = loaded.get(key) ?? loadTrustedRoot(settings)
  loaded.set(key, known)
  return known
}
