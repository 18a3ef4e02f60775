/**
 * The sandbox's Fulcio and CT log: what they issue, read by openssl and pkijs, and what they refuse.
 *
 * @module
 */

import { execFileSync } from "node:child_process"
import { createHash, createPublicKey, sign, verify } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Certificate, type Extension } from "pkijs"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { DerReader, readAll } from "../../src/formats/der.ts"
import { leafHash, rootFromInclusionProof } from "../../src/formats/merkle.ts"
import type { TokenOptions } from "../../src/sandbox/token.ts"
import { mintToken } from "../../src/sandbox/token.ts"
import { certify, get, newKey, pemOf, post, signingRequest, temporarySandbox } from "./client.ts"

let box: Awaited<ReturnType<typeof temporarySandbox>>
let url = ""
beforeAll(async () => {
  box = await temporarySandbox()
  url = `${box.sandbox.urls.fulcio}/api/v2/signingCert`
})
afterAll(() => box.remove())

const file = (name: string): string => join(box.sandbox.directory, name)
const openssl = (...args: string[]): string => execFileSync("openssl", args, { encoding: "utf8", stdio: "pipe" })

function parse(pem: string): Certificate {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64")
  return Certificate.fromBER(Uint8Array.from(der).buffer)
}

const extensionValue = (extension: Extension | undefined): Buffer =>
  Buffer.from(extension?.extnValue.valueBlock.valueHexView ?? [])

/** What 1.3.6.1.4.1.57264.1.* say, by their last number; from 8 on the text of the UTF8String. */
function claimsOf(certificate: Certificate): Record<string, string> {
  const claims: Record<string, string> = {}
  for (const extension of certificate.extensions ?? []) {
    const [, arc] = /^1\.3\.6\.1\.4\.1\.57264\.1\.(\d+)$/.exec(extension.extnID) ?? []
    if (arc === undefined) continue
    const value = extensionValue(extension)
    if (Number(arc) >= 8) expect([value[0], value[1]]).toEqual([0x0c, value.length - 2])
    claims[arc] = value.subarray(Number(arc) >= 8 ? 2 : 0).toString("utf8")
  }
  return claims
}

describe("a certificate", () => {
  test("has the form of Fulcio's: empty subject, critical name, ten minutes, extensions in their order", async () => {
    const before = Math.floor(Date.now() / 1000) * 1000
    const { chain, publicKey } = await certify(box.sandbox)
    const leaf = parse(chain[0])
    expect(leaf.version).toBe(2)
    expect(Buffer.from(leaf.subject.toSchema().toBER()).toString("hex")).toBe("3000")
    expect(leaf.notBefore.value.getTime()).toBeGreaterThanOrEqual(before)
    expect(leaf.notAfter.value.getTime() - leaf.notBefore.value.getTime()).toBe(600_000)
    expect(leaf.signatureAlgorithm.algorithmId).toBe("1.2.840.10045.4.3.3")
    expect(leaf.serialNumber.valueBlock.valueHexView.length).toBe(20)
    const spki = Buffer.from(leaf.subjectPublicKeyInfo.toSchema().toBER())
    expect(spki).toEqual(publicKey.export({ type: "spki", format: "der" }))
    expect(leaf.extensions?.map(({ extnID, critical }) => `${extnID}${critical ? " critical" : ""}`)).toEqual([
      "2.5.29.15 critical",
      "2.5.29.37",
      "2.5.29.14",
      "2.5.29.35",
      "2.5.29.17 critical",
      "1.3.6.1.4.1.57264.1.1",
      "1.3.6.1.4.1.57264.1.8",
      "1.3.6.1.4.1.57264.1.24",
      "1.3.6.1.4.1.11129.2.4.2",
    ])
    expect(extensionValue(leaf.extensions?.[0]).toString("hex")).toBe("03020780")
    expect(extensionValue(leaf.extensions?.[1]).toString("hex")).toBe("300a06082b06010505070303")
    expect(claimsOf(leaf)).toEqual({
      1: box.sandbox.urls.issuer,
      8: box.sandbox.urls.issuer,
      24: `sandbox-${Buffer.from("dev@example.com").toString("base64url")}`,
    })
  })

  test("is verified by openssl up to the root, and its authorities are P-384", async () => {
    const { chain } = await certify(box.sandbox)
    writeFileSync(file("leaf.pem"), chain[0])
    writeFileSync(file("intermediate.pem"), chain[1])
    expect(
      openssl(
        "verify",
        "-x509_strict",
        "-CAfile",
        file("fulcio-root.pem"),
        "-untrusted",
        file("intermediate.pem"),
        file("leaf.pem"),
      ),
    ).toContain("OK")
    expect(openssl("x509", "-in", file("leaf.pem"), "-noout", "-ext", "subjectAltName")).toContain(
      "email:dev@example.com",
    )
    const text = openssl("x509", "-in", file("leaf.pem"), "-noout", "-text")
    expect(text).toMatch(/CT Precertificate SCTs/)
    for (const authority of chain.slice(1)) {
      expect(createPublicKey(authority).asymmetricKeyDetails?.namedCurve).toBe("secp384r1")
    }
    expect(`${chain[1]}${chain[2]}`).toBe(readFileSync(file("fulcio-chain.pem"), "utf8"))
  })

  test("carries a timestamp that the CT log's key signed over its precertificate, and the log has the entry", async () => {
    const { chain } = await certify(box.sandbox)
    const leaf = parse(chain[0])
    const extension = leaf.extensions?.pop()
    const list = readAll(extensionValue(extension), "SCT list", (reader) => reader.octetString("list"))
    const sct = Buffer.from(list).subarray(4)
    const timestamp = sct.subarray(33, 41)
    expect(sct[0]).toBe(0)
    expect(Math.abs(Number(timestamp.readBigUInt64BE()) - Date.now())).toBeLessThan(60_000)
    const key = createPublicKey(readFileSync(file("ctfe.pub")))
    const spki = key.export({ type: "spki", format: "der" })
    expect(sct.subarray(1, 33)).toEqual(createHash("sha256").update(spki).digest())

    const tbs = Buffer.from(leaf.encodeTBS().toBER())
    const issuerSpki = createPublicKey(chain[1]).export({ type: "spki", format: "der" })
    const length = Buffer.from([tbs.length >> 16, tbs.length >> 8, tbs.length])
    const entry = Buffer.concat([
      timestamp,
      Buffer.of(0, 1),
      createHash("sha256").update(issuerSpki).digest(),
      length,
      tbs,
      Buffer.of(0, 0),
    ])
    expect([...sct.subarray(43, 45)]).toEqual([4, 3])
    expect(verify("sha256", Buffer.concat([Buffer.of(0, 0), entry]), key, sct.subarray(47))).toBe(true)

    const base = box.sandbox.urls.ctLog
    const sth = (await get(`${base}/ct/v1/get-sth`)).json
    const hash = leafHash(Buffer.concat([Buffer.of(0, 0), entry]))
    const query = `hash=${encodeURIComponent(Buffer.from(hash).toString("base64"))}&tree_size=${sth.tree_size}`
    const proof = (await get(`${base}/ct/v1/get-proof-by-hash?${query}`)).json
    const path = proof.audit_path.map((node: string) => Buffer.from(node, "base64"))
    const root = rootFromInclusionProof(BigInt(proof.leaf_index), BigInt(sth.tree_size), hash, path)
    expect(Buffer.from(root).toString("base64")).toBe(sth.sha256_root_hash)
    const index = proof.leaf_index
    const { entries } = (await get(`${base}/ct/v1/get-entries?start=${index}&end=${index}`)).json
    expect(entries[0].leaf_input).toBe(Buffer.concat([Buffer.of(0, 0), entry]).toString("base64"))
  })

  test("of a GitHub Actions job names the workflow and carries its claims", async () => {
    const key = newKey()
    const token = await box.sandbox.token({ github: "example/project", claims: { ref: "refs/tags/v1" } })
    const challenge = "repo:example/project:ref:refs/heads/main"
    const answer = await post(url, signingRequest(token, key, challenge))
    const leaf = parse(answer.json.signedCertificateEmbeddedSct.chain.certificates[0])
    const workflow = "https://github.com/example/project/.github/workflows/release.yml@refs/heads/main"
    const name = readAll(extensionValue(leaf.extensions?.[4]), "names", (reader) =>
      reader.sequence("names", (names) => names.any()),
    )
    expect([name.tag, Buffer.from(name.content).toString()]).toEqual([0x86, workflow])
    const sha = expect.stringMatching(/^[0-9a-f]{40}$/)
    const number = expect.stringMatching(/^\d+$/)
    const claims = claimsOf(leaf)
    expect(claims).toEqual({
      1: box.sandbox.urls.issuer,
      2: "push",
      3: sha,
      4: "release",
      5: "example/project",
      6: "refs/tags/v1",
      8: box.sandbox.urls.issuer,
      9: workflow,
      10: sha,
      11: "github-hosted",
      12: "https://github.com/example/project",
      13: sha,
      14: "refs/tags/v1",
      15: number,
      16: "https://github.com/example",
      17: number,
      18: workflow,
      19: sha,
      20: "push",
      21: `https://github.com/example/project/actions/runs/${claims[21]?.split("/")[7]}/attempts/1`,
      22: "public",
      24: challenge,
    })
  })

  test("of a URI subject has the URI as its name", async () => {
    const key = newKey()
    const token = await box.sandbox.token({ subject: "spiffe://example.com/builder" })
    const answer = await post(url, signingRequest(token, key, "spiffe://example.com/builder"))
    writeFileSync(file("uri.pem"), answer.json.signedCertificateEmbeddedSct.chain.certificates[0])
    expect(openssl("x509", "-in", file("uri.pem"), "-noout", "-ext", "subjectAltName")).toContain(
      "URI:spiffe://example.com/builder",
    )
  })
})

describe("the ways to ask", () => {
  test("the v1 API answers 201 with the chain in PEM", async () => {
    const key = newKey()
    const proof = sign("sha256", Buffer.from("dev@example.com"), key.privateKey).toString("base64")
    const content = key.publicKey.export({ type: "spki", format: "der" }).toString("base64")
    const answer = await post(
      `${box.sandbox.urls.fulcio}/api/v1/signingCert`,
      { publicKey: { content, algorithm: "ecdsa" }, signedEmailAddress: proof, certificateSigningRequest: null },
      { authorization: `Bearer ${await box.sandbox.token({ email: "dev@example.com" })}` },
    )
    expect(answer.status).toBe(201)
    expect(answer.headers.get("content-type")).toBe("application/pem-certificate-chain")
    expect(answer.text.match(/BEGIN CERTIFICATE/g)).toHaveLength(3)
    const [leaf = ""] = answer.text.split(/(?<=END CERTIFICATE-----\n)/)
    expect(createPublicKey(leaf).equals(key.publicKey)).toBe(true)
  })

  test.each([
    ["ec", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]],
    ["p384", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-sha384"]],
    ["rsa", ["-newkey", "rsa:2048"]],
    ["ed25519", ["-newkey", "ed25519"]],
  ])("a certificate signing request that openssl made (%s) proves its own key", async (name, options) => {
    openssl(
      "req",
      "-new",
      ...options,
      "-nodes",
      "-subj",
      "/",
      "-keyout",
      file(`${name}.pem`),
      "-out",
      file(`${name}-csr.pem`),
    )
    const csr = readFileSync(file(`${name}-csr.pem`))
    const request = {
      credentials: { oidcIdentityToken: await box.sandbox.token() },
      certificateSigningRequest: csr.toString("base64"),
    }
    const answer = await post(url, request)
    const [leaf] = answer.json.signedCertificateEmbeddedSct.chain.certificates
    expect(createPublicKey(leaf).equals(createPublicKey(readFileSync(file(`${name}.pem`))))).toBe(true)

    const der = Buffer.from(csr.toString().replace(/-----[^-]+-----|\s/g, ""), "base64")
    const at = der.length - 5
    der[at] = (der[at] ?? 0) ^ 1
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`
    const refused = await post(url, { ...request, certificateSigningRequest: Buffer.from(forged).toString("base64") })
    expect(refused.status).toBe(400)
    expect(refused.json.message).toBe("The signature supplied in the request could not be verified")
  })

  test("trust bundle, configuration and root certificate are there", async () => {
    const base = box.sandbox.urls.fulcio
    const [chain] = (await get(`${base}/api/v2/trustBundle`)).json.chains
    expect(chain.certificates.join("")).toBe(readFileSync(file("fulcio-chain.pem"), "utf8"))
    expect((await get(`${base}/api/v1/rootCert`)).text).toBe(readFileSync(file("fulcio-chain.pem"), "utf8"))
    const [issuer] = (await get(`${base}/api/v2/configuration`)).json.issuers
    expect(issuer).toMatchObject({ issuerUrl: box.sandbox.urls.issuer, audience: "sigstore", challengeClaim: "email" })
  })
})

describe("refusals", () => {
  const TOKEN = "There was an error processing the identity token"
  const ask = async (options: TokenOptions, challenge = "dev@example.com"): ReturnType<typeof post> =>
    post(url, signingRequest(await box.sandbox.token(options), newKey(), challenge))

  test.each<[string, TokenOptions, string]>([
    ["expired", { ttlSeconds: -1 }, "token expired"],
    ["for another audience", { audience: "other" }, "token for another audience"],
    ["with an unverified address", { emailVerified: false }, "email_verified claim was false"],
    ["of another issuer", { claims: { iss: "http://127.0.0.1:1" } }, "token of another issuer"],
    ["that is not valid yet", { claims: { nbf: Math.floor(Date.now() / 1000) + 3600 } }, "token not valid yet"],
    ["without an address", { subject: "somebody" }, "token missing email claim"],
    ["with an address that is none", { email: "no address" }, "email address is not valid"],
    ["of a workflow without a sha", { github: "a/b", claims: { sha: undefined } }, "missing sha claim in ID token"],
  ])("a token %s", async (_name, options, reason) => {
    const answer = await ask(options)
    expect(answer.status).toBe(400)
    expect(answer.json).toEqual({ code: 3, message: TOKEN, details: [] })
    expect(box.logged.at(-1)).toContain(reason)
  })

  test("a token signed by another key, with the algorithm none, or changed", async () => {
    const key = newKey()
    const stranger = mintToken(newKey().privateKey, box.sandbox.urls.issuer, {}, new Date())
    const token = await box.sandbox.token()
    const [header = "", payload = "", signature = ""] = token.split(".")
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString())
    const none = `${part({ ...JSON.parse(Buffer.from(header, "base64url").toString()), alg: "none" })}.${payload}.`
    const other = `${header}.${part({ ...claims, email: "other@example.com" })}.${signature}`
    for (const forged of [stranger, none, `${none}AAAA`, other, "", "a.b", "a.b.c", `${token}x`]) {
      const answer = await post(url, signingRequest(forged, key, "dev@example.com"))
      expect(answer.json).toEqual({ code: 3, message: TOKEN, details: [] })
    }
  })

  test("a proof of possession over something else, or by another key", async () => {
    const message = "The signature supplied in the request could not be verified"
    expect((await ask({}, "other@example.com")).json).toEqual({ code: 3, message, details: [] })
    const [key, other] = [newKey(), newKey()]
    const request = signingRequest(
      await box.sandbox.token(),
      { ...key, privateKey: other.privateKey },
      "dev@example.com",
    )
    expect((await post(url, request)).json.message).toBe(message)
  })

  test("keys that are none or too weak, and bodies that are none", async () => {
    const token = await box.sandbox.token()
    const withKey = (content: string): unknown => ({
      credentials: { oidcIdentityToken: token },
      publicKeyRequest: { publicKey: { algorithm: "ECDSA", content }, proofOfPossession: "" },
    })
    const messageFor = async (body: unknown): Promise<string> => (await post(url, body)).json.message
    expect(await messageFor(withKey("x"))).toBe("The public key supplied in the request could not be parsed")
    expect(await messageFor(withKey(""))).toBe("The public key supplied in the request could not be parsed")
    expect(await messageFor(withKey(pemOf(newKey("secp256k1").publicKey)))).toBe(
      "The public key supplied in the request is insecure",
    )
    expect(await messageFor({ credentials: { oidcIdentityToken: token }, certificateSigningRequest: "AAAA" })).toBe(
      "The certificate signing request could not be parsed",
    )
    expect((await post(url, "{")).status).toBe(400)
    expect((await post(url, "[1]")).json.message).toBe(TOKEN)
  })

  test("no token reaches the sandbox's log", async () => {
    expect(box.logged.length).toBeGreaterThan(10)
    expect(box.logged.filter((line) => /eyJ/.test(line))).toEqual([])
  })

  test("unknown paths and names that are not loopback's", async () => {
    const answer = await get(`${box.sandbox.urls.fulcio}/api/v2/nothing`)
    expect([answer.status, answer.json.code]).toEqual([404, 404])
    const { hostname, port } = new URL(box.sandbox.urls.fulcio)
    const { request } = await import("node:http")
    const status = await new Promise((done) =>
      request({ hostname, port, path: "/sandbox/status", headers: { host: "attacker.example" } }, (response) => {
        response.resume()
        done(response.statusCode)
      }).end(),
    )
    expect(status).toBe(421)
  })
})

test("the serial numbers and key identifiers differ between certificates", async () => {
  const leaves = await Promise.all([1, 2, 3].map(() => certify(box.sandbox)))
  const serials = leaves.map(({ chain }) =>
    Buffer.from(parse(chain[0]).serialNumber.valueBlock.valueHexView).toString("hex"),
  )
  expect(new Set(serials).size).toBe(3)
  for (const { chain, publicKey } of leaves) {
    const leaf = parse(chain[0])
    const key = new DerReader(publicKey.export({ type: "spki", format: "der" })).sequence("spki", (reader) => {
      reader.any()
      return reader.bitStringOctets("key")
    })
    expect(extensionValue(leaf.extensions?.[2]).subarray(2)).toEqual(createHash("sha1").update(key).digest())
  }
})
