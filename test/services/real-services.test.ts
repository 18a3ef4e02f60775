/**
 * The clients against a whole Sigstore: the sandbox, or the servers that the environment names with GITSIGN_TEST_ISSUER (an
 * issuer that logs everybody in at once), GITSIGN_TEST_FULCIO, GITSIGN_TEST_REKOR and GITSIGN_TEST_TSA.
 *
 * @module
 */

import { createHash, randomBytes, sign } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { encodeSequence, encodeUnsignedInteger, readAll } from "../../src/formats/der.ts"
import { hashedRekordBody } from "../../src/formats/log-entry.ts"
import { leafHash, rootFromInclusionProof } from "../../src/formats/merkle.ts"
import { parseTimeStampToken } from "../../src/formats/tsp.ts"
import { type Sandbox, startSandbox } from "../../src/sandbox/sandbox.ts"
import { createFulcioClient } from "../../src/services/fulcio.ts"
import type { HttpClient } from "../../src/services/http.ts"
import { browserToken } from "../../src/services/oidc/browser.ts"
import { getIdentityToken } from "../../src/services/oidc/provider.ts"
import { createRekorClient } from "../../src/services/rekor.ts"
import { createTimestampAuthority } from "../../src/services/timestamp-authority.ts"
import { testKey } from "./certificates.ts"
import { httpServer, testClient } from "./loopback.ts"

let issuer: string
let fulcio: string
let rekor: string
let tsa: string
/** Undefined where the environment names other servers. */
let sandbox: Sandbox | undefined

beforeAll(async () => {
  const { GITSIGN_TEST_ISSUER, GITSIGN_TEST_FULCIO, GITSIGN_TEST_REKOR, GITSIGN_TEST_TSA } = process.env
  if (GITSIGN_TEST_ISSUER && GITSIGN_TEST_FULCIO && GITSIGN_TEST_REKOR && GITSIGN_TEST_TSA) {
    issuer = GITSIGN_TEST_ISSUER
    fulcio = GITSIGN_TEST_FULCIO
    rekor = GITSIGN_TEST_REKOR
    tsa = GITSIGN_TEST_TSA
    return
  }
  sandbox = await startSandbox({ directory: mkdtempSync(join(tmpdir(), "gitsign-services-")) })
  issuer = sandbox.urls.issuer
  fulcio = sandbox.urls.fulcio
  rekor = sandbox.urls.rekor
  tsa = sandbox.urls.timestamp
})

afterAll(async () => {
  await sandbox?.close()
  if (sandbox !== undefined) rmSync(sandbox.directory, { recursive: true, force: true })
})

const key = testKey()
const now = () => new Date()

/** A certificate for `key` by logging in and asking the Fulcio at `url`. */
async function certificate(url: string): Promise<readonly Uint8Array[]> {
  const http = testClient({ timeoutMs: 10_000 })
  const token = await identityToken(http)
  const { certificates } = await createFulcioClient({ url, http, now })({
    identityToken: token,
    publicKeyPem: key.publicKeyPem,
    publicKeyDer: key.publicKeyDer,
    signProofOfPossession: (subject) => sign("sha256", Buffer.from(subject), key.privateKey),
  })
  return certificates
}

/** A token of the sandbox, or a login at an issuer that asks nothing. */
async function identityToken(http: HttpClient): Promise<string> {
  if (sandbox !== undefined) return sandbox.token({ email: "dev@example.com" })
  const openBrowser = async (address: string) => void (await fetch(address))
  const publication = () => ({ who: "", log: "", remarks: [], needsConsent: false })
  const browser = { http, issuer, clientID: "sigstore", openBrowser, notify: () => undefined, publication }
  const login = { env: {}, http, now, clientID: "sigstore", logIn: () => browserToken(browser) }
  const { token } = await getIdentityToken({ ...login, tokenProvider: "interactive" })
  return token
}

describe("Fulcio", () => {
  test("issues a certificate with the v2 API", async () => {
    expect((await certificate(fulcio)).length).toBeGreaterThan(1)
  })

  test("issues a certificate with the v1 API", async () => {
    // In front of the real one, a server that has no v2 API.
    const old = await httpServer(async ({ path, method, headers, body }) => {
      if (!path.startsWith("/api/v1/")) return { status: 501 }
      const { authorization = "" } = headers
      const sent = { "content-type": "application/json", authorization }
      const response = await fetch(fulcio + path, { method, headers: sent, body: new Uint8Array(body) })
      return { status: response.status, body: Buffer.from(await response.arrayBuffer()) }
    })
    expect((await certificate(old.url)).length).toBeGreaterThan(1)
    expect(old.seen.map(({ path }) => path)).toEqual(["/api/v2/signingCert", "/api/v1/signingCert"])
  })
})

describe("Rekor", () => {
  test("logs an entry, finds it again, and proves it", { timeout: 30_000 }, async () => {
    const [certificateDer = Buffer.alloc(0)] = await certificate(fulcio)
    const data = randomBytes(32)
    const digest = createHash("sha256").update(data).digest()
    const entry = { digest, signature: sign("sha256", data, key.privateKey), certificateDer }
    const log = createRekorClient({ url: rekor, http: testClient({ timeoutMs: 10_000 }) })
    const query = { digestCandidates: [digest], certificateDer }
    expect(await log.findLogEntry(query)).toBeUndefined()

    const uploaded = await log.uploadLogEntry(entry)
    expect(uploaded.canonicalizedBody).toEqual(hashedRekordBody(entry, "0.0.1"))
    const proof = uploaded.inclusionProof
    if (proof === undefined) return expect.unreachable("no inclusion proof")
    const root = rootFromInclusionProof(
      proof.logIndex,
      proof.treeSize,
      leafHash(uploaded.canonicalizedBody),
      proof.hashes,
    )
    expect(root).toEqual(proof.rootHash)

    expect((await log.uploadLogEntry(entry)).logIndex).toBe(uploaded.logIndex)
    expect((await log.findLogEntry(query))?.logIndex).toBe(uploaded.logIndex)
    expect(await log.searchByCertificate(certificateDer)).toHaveLength(1)
    expect((await log.logInfo()).treeSize).toBeGreaterThanOrEqual(proof.treeSize)
    await expect(log.uploadLogEntry({ ...entry, digest: Buffer.alloc(32) })).rejects.toMatchObject({
      code: "ERR_REKOR",
    })
  })

  test("finds the entry that will do among those that anyone can add", { timeout: 30_000 }, async () => {
    const [certificateDer = Buffer.alloc(0)] = await certificate(fulcio)
    const data = randomBytes(32)
    const digest = createHash("sha256").update(data).digest()
    const signature = sign("sha256", data, key.privateKey)
    const log = createRekorClient({ url: rekor, http: testClient({ timeoutMs: 10_000 }) })
    const first = await log.uploadLogEntry({ digest, signature, certificateDer })
    // ECDSA: (r, n - s) is as good a signature as (r, s), and needs no key.
    const twin = await log.uploadLogEntry({ digest, signature: withOtherS(signature), certificateDer })
    expect(twin.logIndex).not.toBe(first.logIndex)
    const query = { digestCandidates: [digest], certificateDer }
    for (const wanted of [first, twin]) {
      const found = await log.findLogEntry(query, ({ logIndex }) => logIndex === wanted.logIndex)
      expect(found?.logIndex).toBe(wanted.logIndex)
    }
    expect(await log.findLogEntry(query, () => false)).toBeDefined()
  })
})

/** The other signature that verifies wherever this one does. */
function withOtherS(signature: Uint8Array): Uint8Array {
  const order = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
  return readAll(signature, "signature", (outer) =>
    outer.sequence("signature", (r) => {
      const first = r.integerBytes("r")
      const s = BigInt(`0x${Buffer.from(r.integerBytes("s")).toString("hex")}`)
      const other = Buffer.from((order - s).toString(16).padStart(64, "0"), "hex")
      return encodeSequence(encodeUnsignedInteger(first), encodeUnsignedInteger(other))
    }),
  )
}

describe("the timestamp authority", () => {
  test("stamps a signature", async () => {
    const token = await createTimestampAuthority({ url: tsa, http: testClient() })(Buffer.from("signature"))
    const { genTime } = parseTimeStampToken(token).tstInfo
    expect(Math.abs(genTime.getTime() - Date.now())).toBeLessThan(60_000)
  })
})
