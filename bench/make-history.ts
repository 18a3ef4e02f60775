/**
 * Makes a repository with a long history of commits that are signed on the made-up Sigstore of test/support/made, for bench/range.mjs.
 * Usage: bun bench/make-history.ts FOLDER COMMITS COMMITS_PER_CERTIFICATE
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { createHash, sign } from "node:crypto"
import { mkdirSync } from "node:fs"
import { deflateSync } from "node:zlib"
import { leafCertificate } from "../test/support/made/certificates.ts"
import { freshKey } from "../test/support/made/keys.ts"
import {
  armor,
  cms,
  commit,
  entryAttribute,
  entryOf,
  type Session,
  signedAttrsOf,
} from "../test/support/made/signatures.ts"

const [folder = "", count = "10000", perCertificate = "1"] = process.argv.slice(2)

const EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
const PERSON = "Alice <alice@fixtures.example> 1772366400 +0000"

/** An entry of a pack (gitformat-pack(5)): type and size in 4 and then 7 bits, and the content. */
function packed(type: number, content: Buffer): Buffer {
  const header = [(type << 4) | (content.length & 15)]
  for (let rest = content.length >> 4; rest > 0; rest >>= 7) {
    header[header.length - 1] = (header.at(-1) ?? 0) | 0x80
    header.push(rest & 0x7f)
  }
  return Buffer.concat([Buffer.from(header), deflateSync(content, { level: 1 })])
}

let key = freshKey()
let leaf = leafCertificate({ key })
let parent = ""
const entries = [packed(2, Buffer.alloc(0))]
for (let i = 0; i < Number(count); i++) {
  if (i % Number(perCertificate) === 0) {
    key = freshKey()
    leaf = leafCertificate({ key })
  }
  const parents = parent === "" ? "" : `parent ${parent}\n`
  const payload = Buffer.from(`tree ${EMPTY_TREE}\n${parents}author ${PERSON}\ncommitter ${PERSON}\n\ncommit ${i}\n`)
  const signedAttrs = signedAttrsOf(payload)
  const one: Session = { key, leaf, payload, signedAttrs, signature: sign("sha256", signedAttrs, key) }
  const object = commit(payload, armor(cms(one, [entryAttribute(entryOf(one))])))
  parent = createHash("sha1").update(`commit ${object.length}\0`).update(object).digest("hex")
  entries.push(packed(1, object))
}
const header = Buffer.alloc(12)
header.write("PACK")
header.writeUInt32BE(2, 4)
header.writeUInt32BE(entries.length, 8)
const body = Buffer.concat([header, ...entries])
const pack = Buffer.concat([body, createHash("sha1").update(body).digest()])

mkdirSync(folder, { recursive: true })
const git = (args: readonly string[], input?: Buffer): void => {
  const ran = spawnSync("git", args, { cwd: folder, input, stdio: ["pipe", "ignore", "inherit"] })
  if (ran.status !== 0) throw new Error(`git ${args.join(" ")} exited ${ran.status}`)
}
git(["init", "-q", "-b", "main"])
git(["index-pack", "--stdin"], pack)
git(["update-ref", "refs/heads/main", parent])
