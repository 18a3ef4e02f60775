/**
 * What the sandbox's services say together, judged by others: @sigstore/verify on a bundle, our own strict readers on what
 * pkijs wrote, and the TUF client's workflow on the mirror.
 *
 * @module
 */

import { createHash, createPublicKey, verify } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { bundleFromJSON } from "@sigstore/bundle"
import { type TrustMaterial, toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { encodeTimeStampReq, parseTimeStampResp, parseTimeStampToken } from "../../src/formats/tsp.ts"
import { parseCertificate } from "../../src/formats/x509.ts"
import { startSandbox } from "../../src/sandbox/sandbox.ts"
import { loadTrustedRoot } from "../../src/trust/load.ts"
import { type Answer, certify, entryFor, get, onlyEntry, post, temporarySandbox } from "./client.ts"

let box: Awaited<ReturnType<typeof temporarySandbox>>
beforeAll(async () => {
  box = await temporarySandbox()
})
afterAll(() => box.remove())

const der = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64")

async function timestampOver(data: Uint8Array): Promise<{ response: Buffer; nonce: Buffer }> {
  const nonce = Buffer.alloc(16, 7)
  const query = encodeTimeStampReq({ digest: createHash("sha256").update(data).digest(), nonce })
  const answer = await fetch(box.sandbox.urls.timestamp, {
    method: "POST",
    headers: { "content-type": "application/timestamp-query" },
    body: Uint8Array.from(query),
  })
  return { response: Buffer.from(await answer.arrayBuffer()), nonce }
}

/** trusted_root.json as @sigstore/verify wants it: bytes, dates and the number of the key details. */
function trustMaterial(trustedRootPath: string): TrustMaterial {
  const revived = JSON.parse(readFileSync(trustedRootPath, "utf8"), (key, value) => {
    if (key === "rawBytes" || key === "keyId") return Buffer.from(value, "base64")
    if (key === "start") return new Date(value)
    if (key === "keyDetails") return value === "PKIX_ECDSA_P256_SHA_256" ? 5 : Number.NaN
    return value
  })
  return toTrustMaterial(revived)
}

/** A bundle (version 0.3) over an artifact, made of the services' answers. */
async function makeBundle(artifact: string): Promise<Parameters<typeof bundleFromJSON>[0]> {
  const { chain, privateKey } = await certify(box.sandbox)
  const proposed = entryFor(artifact, privateKey, chain[0]) as { spec: { signature: { content: string } } }
  const signature = proposed.spec.signature.content
  const { response } = await timestampOver(Buffer.from(signature, "base64"))
  const { entry } = onlyEntry(await post(`${box.sandbox.urls.rekor}/api/v1/log/entries`, proposed))
  const { inclusionProof, signedEntryTimestamp } = entry.verification
  const base64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64")
  return {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: {
      certificate: { rawBytes: der(chain[0]).toString("base64") },
      tlogEntries: [
        {
          logIndex: String(entry.logIndex),
          logId: { keyId: base64(entry.logID) },
          kindVersion: { kind: "hashedrekord", version: "0.0.1" },
          integratedTime: String(entry.integratedTime),
          inclusionPromise: { signedEntryTimestamp },
          inclusionProof: {
            logIndex: String(inclusionProof.logIndex),
            rootHash: base64(inclusionProof.rootHash),
            treeSize: String(inclusionProof.treeSize),
            hashes: inclusionProof.hashes.map(base64),
            checkpoint: { envelope: inclusionProof.checkpoint },
          },
          canonicalizedBody: entry.body,
        },
      ],
      timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: response.toString("base64") }] },
    },
    messageSignature: {
      messageDigest: { algorithm: "SHA2_256", digest: createHash("sha256").update(artifact).digest("base64") },
      signature,
    },
  } as Parameters<typeof bundleFromJSON>[0]
}

describe("a bundle of the services' answers", () => {
  const verifier = (trustedRootPath = box.sandbox.trustedRootPath): Verifier =>
    new Verifier(trustMaterial(trustedRootPath), { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 2 })

  test("is accepted by @sigstore/verify with SCT, log entry and timestamp all required", async () => {
    const bundle = bundleFromJSON(await makeBundle("an artifact"))
    const signer = verifier().verify(toSignedEntity(bundle, Buffer.from("an artifact")), {
      subjectAlternativeName: "dev@example.com",
      extensions: { issuer: box.sandbox.urls.issuer },
    })
    expect(signer.identity?.subjectAlternativeName).toBe("dev@example.com")
  })

  test("is refused for another artifact, and with another sandbox's trust", async () => {
    const bundle = bundleFromJSON(await makeBundle("an artifact"))
    expect(() => verifier().verify(toSignedEntity(bundle, Buffer.from("another")))).toThrow()
    const stranger = await temporarySandbox()
    const strangers = verifier(stranger.sandbox.trustedRootPath)
    await stranger.remove()
    expect(() => strangers.verify(toSignedEntity(bundle, Buffer.from("an artifact")))).toThrow()
  })
})

describe("our own readers", () => {
  test("take every certificate of the sandbox and see the same in it", async () => {
    const { chain, publicKey } = await certify(box.sandbox)
    const [leaf, intermediate, root] = chain.map((pem) => parseCertificate(der(pem)))
    expect(leaf?.subjectAltNames).toEqual([{ type: "email", value: "dev@example.com" }])
    expect(leaf?.extKeyUsage).toEqual(["1.3.6.1.5.5.7.3.3"])
    expect([leaf?.isCa, intermediate?.isCa, root?.isCa]).toEqual([false, true, true])
    expect(leaf?.issuer).toEqual(intermediate?.subject)
    expect(intermediate?.issuer).toEqual(root?.subject)
    expect(Buffer.from(leaf?.subjectPublicKeyInfo ?? [])).toEqual(publicKey.export({ type: "spki", format: "der" }))
  })

  test("take a timestamp and see the same in it", async () => {
    const data = Buffer.from("timestamped")
    const { response, nonce } = await timestampOver(data)
    const { status, token } = parseTimeStampResp(response)
    expect(status).toBe(0)
    const { tstInfo, certificates } = parseTimeStampToken(token ?? Buffer.of())
    expect(Buffer.from(tstInfo.messageImprint.hashedMessage)).toEqual(createHash("sha256").update(data).digest())
    expect(Buffer.from(tstInfo.nonce ?? [])).toEqual(nonce)
    expect(Math.abs(tstInfo.genTime.getTime() - Date.now())).toBeLessThan(60_000)
    expect(certificates.map((bytes) => parseCertificate(bytes).extKeyUsage)).toEqual([["1.3.6.1.5.5.7.3.8"]])
  })

  test("take trusted_root.json and the single files alike", () => {
    const { environment, trustedRootPath } = box.sandbox
    const variables = environment({ timestamp: true })
    const [fromRoot, fromFiles] = [
      loadTrustedRoot({ trustedRoot: trustedRootPath }),
      loadTrustedRoot({
        fulcioRoot: variables.GITSIGN_FULCIO_ROOT,
        rekorPublicKey: variables.SIGSTORE_REKOR_PUBLIC_KEY,
        ctLogPublicKey: variables.SIGSTORE_CT_LOG_PUBLIC_KEY_FILE,
        timestampCertChain: variables.GITSIGN_TIMESTAMP_CERT_CHAIN,
      }),
    ]
    const idsOf = (logs: readonly { logId: Uint8Array }[]): string[] =>
      logs.map(({ logId }) => Buffer.from(logId).toString("hex"))
    expect(idsOf(fromRoot.transparencyLogs)).toEqual(idsOf(fromFiles.transparencyLogs))
    expect(idsOf(fromRoot.ctLogs)).toEqual(idsOf(fromFiles.ctLogs))
  })
})

describe("the TUF mirror", () => {
  interface Signed {
    readonly signatures: readonly { keyid: string; sig: string }[]
    // biome-ignore lint/suspicious/noExplicitAny: metadata of four kinds
    readonly signed: any
  }

  /** Canonical JSON (OLPC), written a second time here. */
  const canonical = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
    if (typeof value === "object" && value !== null) {
      const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
      return `{${members.map(([key, member]) => `${canonical(key)}:${canonical(member)}`).join(",")}}`
    }
    return typeof value === "string" ? `"${value.replace(/[\\"]/g, "\\$&")}"` : String(value)
  }

  const fetchText = async (path: string): Promise<Answer> => get(`${box.sandbox.urls.tuf}/${path}`)
  const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

  function check(role: string, text: string, root: Signed["signed"]): Signed["signed"] {
    const { signatures, signed } = JSON.parse(text) as Signed
    const [signature] = signatures
    expect(root.roles[role].keyids).toEqual([signature?.keyid])
    const key = root.keys[signature?.keyid ?? ""]
    expect(sha256(canonical(key))).toBe(signature?.keyid)
    const publicKey = createPublicKey(key.keyval.public)
    expect(verify("sha256", Buffer.from(canonical(signed)), publicKey, Buffer.from(signature?.sig ?? "", "hex"))).toBe(
      true,
    )
    expect(Date.parse(signed.expires)).toBeGreaterThan(Date.now() + 365 * 86_400_000)
    return signed
  }

  test("serves targets that its root's keys vouch for, down to trusted_root.json", async () => {
    const rootText = readFileSync(box.sandbox.environment().TUF_ROOT_JSON ?? "", "utf8")
    expect((await fetchText("1.root.json")).text).toBe(rootText)
    expect((await fetchText("2.root.json")).status).toBe(404)
    const root = check("root", rootText, JSON.parse(rootText).signed)
    const timestamp = check("timestamp", (await fetchText("timestamp.json")).text, root)
    const { version, hashes, length } = timestamp.meta["snapshot.json"]
    const snapshotText = (await fetchText(`${version}.snapshot.json`)).text
    expect([sha256(snapshotText), snapshotText.length]).toEqual([hashes.sha256, length])
    const meta = check("snapshot", snapshotText, root).meta["targets.json"]
    const targetsText = (await fetchText(`${meta.version}.targets.json`)).text
    expect(sha256(targetsText)).toBe(meta.hashes.sha256)
    const { targets } = check("targets", targetsText, root)
    const usages = Object.values<{ custom?: { sigstore: { usage: string } } }>(targets).map(
      ({ custom }) => custom?.sigstore.usage,
    )
    expect(new Set(usages)).toEqual(new Set(["Fulcio", "Rekor", "CTFE", "TSA", undefined]))
    for (const [name, target] of Object.entries<{ hashes: { sha256: string; sha512: string } }>(targets)) {
      const { text } = await fetchText(`targets/${target.hashes.sha256}.${name}`)
      expect(sha256(text)).toBe(target.hashes.sha256)
      expect((await fetchText(`targets/${target.hashes.sha512}.${name}`)).text).toBe(text)
    }
    const trustedRoot = `targets/${targets["trusted_root.json"].hashes.sha256}.trusted_root.json`
    expect((await fetchText(trustedRoot)).text).toBe(readFileSync(box.sandbox.trustedRootPath, "utf8"))
    expect((await fetchText("../state.json")).status).toBe(404)
    expect((await fetchText("..%2fstate.json")).status).toBe(404)
  })
})

describe("the state directory", () => {
  test("is private, and so is everything in it", () => {
    const { directory } = box.sandbox
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
      expect(statSync(join(directory, name)).mode & 0o077, name).toBe(0)
    }
  })

  test("keeps identity, names and metadata over a restart; damage is repaired or told", async () => {
    const first = await temporarySandbox()
    const { directory, urls } = first.sandbox
    const kept = ["trusted_root.json", "tuf/root.json", "tuf/timestamp.json", "tuf/1.targets.json", "state.json"]
    const read = (): string[] => kept.map((name) => readFileSync(join(directory, name), "utf8"))
    const before = read()
    await first.sandbox.close()
    rmSync(join(directory, "trusted_root.json"))
    writeFileSync(join(directory, "fulcio-chain.pem"), "half")
    const second = await startSandbox({ directory })
    expect(second.urls).toEqual(urls)
    expect(read()).toEqual(before)
    expect(readFileSync(join(directory, "fulcio-chain.pem"), "utf8")).toMatch(/^-----BEGIN CERTIFICATE/)
    await expect(startSandbox({ directory })).rejects.toMatchObject({ code: "ERR_SANDBOX" })
    await second.close()

    writeFileSync(join(directory, "tuf", "1.targets.json"), "{")
    const third = await startSandbox({ directory })
    const timestamp = (await get(`${third.urls.tuf}/timestamp.json`)).json
    expect(timestamp.signed.version).toBe(2)
    await third.close()

    const stateFile = join(directory, "state.json")
    writeFileSync(stateFile, readFileSync(stateFile, "utf8").slice(0, 500))
    await expect(startSandbox({ directory })).rejects.toMatchObject({ code: "ERR_SANDBOX" })
    rmSync(directory, { recursive: true })
  })

  test("two first starts at once make one sandbox", async () => {
    const directory = join(box.sandbox.directory, "..", `gitsign-sandbox-race-${process.pid}`)
    const results = await Promise.allSettled([startSandbox({ directory }), startSandbox({ directory })])
    const started = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []))
    expect(started).toHaveLength(1)
    expect(results.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "ERR_SANDBOX" } })
    expect(readdirSync(directory).filter((name) => name.startsWith("state.json."))).toEqual([])
    for (const sandbox of started) await sandbox.close()
    rmSync(directory, { recursive: true })
  })

  test("that holds something else is left alone", async () => {
    const directory = join(box.sandbox.directory, "..", `gitsign-sandbox-other-${process.pid}`)
    mkdirSync(directory)
    writeFileSync(join(directory, "thesis.tex"), "")
    await expect(startSandbox({ directory })).rejects.toMatchObject({ code: "ERR_SANDBOX" })
    expect(readdirSync(directory)).toEqual(["thesis.tex"])
    rmSync(directory, { recursive: true })
  })
})

test("a token's signature verifies with the published key", async () => {
  const token = await box.sandbox.token({ email: "a@example.com" })
  const [header = "", payload = "", signature = ""] = token.split(".")
  const { keys } = (await get(`${box.sandbox.urls.issuer}/jwks`)).json
  const key = createPublicKey({ key: keys[0], format: "jwk" })
  const bytes = Buffer.from(signature, "base64url")
  const data = Buffer.from(`${header}.${payload}`)
  expect(verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, bytes)).toBe(true)
  expect(keys[0]).not.toHaveProperty("d")
  expect(JSON.parse(Buffer.from(header, "base64url").toString()).kid).toBe(keys[0].kid)
})
