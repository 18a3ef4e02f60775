/**
 * Writes the fixtures of the made-up Sigstore instance that are not there yet: `npx bun test/make-fixtures.ts`.
 *
 * Signatures are randomised, so what is there stays as it is; remove a folder to have it made again.
 *
 * @module
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type ObjectFormat, objectId } from "../src/formats/git-object.ts"
import { FIXTURES } from "./support/fixtures.ts"
import { chains, IDENTITY, ISSUER, KEYS } from "./support/made/certificates.ts"
import { sha256, spkiOf } from "./support/made/keys.ts"
import { type Log, REKOR, REKOR2 } from "./support/made/log.ts"
import { folderOf, type Recipe } from "./support/made/recipe.ts"
import { RECIPES } from "./support/made/recipes/all.ts"

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** trusted_root.json 0.1 of the made-up instance. */
function trustedRoot(): string {
  const { fulcio, tsa } = chains()
  const validFor = { start: "2026-01-01T00:00:00Z" }
  const log = (baseUrl: string, { key, id }: Pick<Log, "key" | "id">, start = validFor.start): unknown => ({
    baseUrl,
    hashAlgorithm: "SHA2_256",
    publicKey: { rawBytes: base64(spkiOf(key)), keyDetails: "PKIX_ECDSA_P256_SHA_256", validFor: { start } },
    logId: { keyId: base64(id) },
  })
  const authority = (uri: string, chain: readonly Uint8Array[]): unknown => ({
    uri,
    certChain: { certificates: chain.map((der) => ({ rawBytes: base64(der) })) },
    validFor,
  })
  const root = {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: [
      log("https://rekor.fixtures.example", REKOR),
      log("https://log2026.fixtures.example", REKOR2, "2026-02-01T00:00:00Z"),
    ],
    certificateAuthorities: [authority("https://fulcio.fixtures.example", fulcio)],
    ctlogs: [log("https://ct.fixtures.example", { key: KEYS.ctLog, id: sha256(spkiOf(KEYS.ctLog)) })],
    timestampAuthorities: [authority("https://tsa.fixtures.example", tsa)],
  }
  return `${JSON.stringify(root, undefined, 2)}\n`
}

function write(recipe: Recipe): void {
  const folder = join(FIXTURES, folderOf(recipe))
  const files = recipe.files()
  mkdirSync(folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  const raw = files.object
  const id =
    raw === undefined
      ? undefined
      : objectId(
          recipe.kind === "tags" ? "tag" : "commit",
          Buffer.from(raw),
          (recipe.fields?.["object-format"] ?? "sha1") as ObjectFormat,
        )
  const fields = {
    expect: recipe.expect,
    origin: "made by test/make-fixtures.ts",
    "object-id": id,
    identity: IDENTITY,
    issuer: ISSUER,
    "trusted-root": "made.json",
    ...recipe.fields,
    comment: recipe.comment,
  }
  const lines = Object.entries(fields).flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}\n`]))
  writeFileSync(join(folder, "case.txt"), lines.join(""))
}

const trust = join(FIXTURES, "trust", "made.json")
if (!existsSync(trust)) writeFileSync(trust, trustedRoot())
for (const recipe of RECIPES) if (!existsSync(join(FIXTURES, folderOf(recipe)))) write(recipe)
