/**
 * The Fulcio client: what it sends, what it accepts, and what it says when it is refused.
 *
 * @module
 */

import { sign, verify } from "node:crypto"
import { describe, expect, test } from "vitest"
import { encodePem } from "../../src/formats/pem.ts"
import { createFulcioClient } from "../../src/services/fulcio.ts"
import { testCertificate, testKey } from "./certificates.ts"
import { type Answer, httpServer, json, type SeenRequest, type TestServer, testClient } from "./loopback.ts"
import { testToken } from "./tokens.ts"

const REFUSED = { code: 3, message: "There was an error processing the identity token", details: [] }
const key = testKey()
const leaf = await testCertificate(key)
const issuer = await testCertificate(testKey())
const chain = [leaf, issuer].map((der) => encodePem("CERTIFICATE", der))
const v2 = (certificates: unknown = chain): Answer =>
  json({ signedCertificateEmbeddedSct: { chain: { certificates } } })

function issue(server: TestServer, identityToken = testToken(), now = new Date()) {
  const issueCertificate = createFulcioClient({ url: server.url, http: testClient(), now: () => now })
  return issueCertificate({
    identityToken,
    publicKeyPem: key.publicKeyPem,
    publicKeyDer: key.publicKeyDer,
    signProofOfPossession: (subject) => sign("sha256", Buffer.from(subject), key.privateKey),
  })
}

const isProofFor = (proof: string, subject: string): boolean =>
  verify("sha256", Buffer.from(subject), key.publicKeyPem, Buffer.from(proof, "base64"))

describe("a certificate", () => {
  test("is asked for with the v2 API", async () => {
    const server = await httpServer(() => v2())
    const { certificates } = await issue(server)
    expect(certificates.map((der) => Buffer.from(der))).toEqual([leaf, issuer])
    expect(server.seen).toHaveLength(1)
    const [{ path, body, headers }] = server.seen as [SeenRequest]
    expect(path).toBe("/api/v2/signingCert")
    expect(headers["content-type"]).toBe("application/json")
    const { credentials, publicKeyRequest } = JSON.parse(body.toString())
    expect(credentials).toEqual({ oidcIdentityToken: expect.stringContaining(".") })
    expect(publicKeyRequest.publicKey).toEqual({ algorithm: "ECDSA", content: key.publicKeyPem })
    expect(isProofFor(publicKeyRequest.proofOfPossession, "dev@example.com")).toBe(true)
  })

  test.each([404, 405, 501])("is asked for with the v1 API where v2 answers %i", async (status) => {
    const v1: Answer = {
      status: 201,
      headers: { "content-type": "application/pem-certificate-chain" },
      body: chain.join(""),
    }
    const server = await httpServer(({ path }) => (path === "/api/v1/signingCert" ? v1 : json({}, status)))
    const token = testToken()
    const { certificates } = await issue(server, token)
    expect(certificates.map((der) => Buffer.from(der))).toEqual([leaf, issuer])
    const [, { headers, body }] = server.seen as [SeenRequest, SeenRequest]
    expect(headers.authorization).toBe(`Bearer ${token}`)
    const { publicKey, signedEmailAddress } = JSON.parse(body.toString())
    expect(publicKey).toEqual({ content: key.publicKeyDer.toString("base64"), algorithm: "ecdsa" })
    expect(isProofFor(signedEmailAddress, "dev@example.com")).toBe(true)
  })

  test.each([
    [{}, "dev@example.com"],
    [{ email_verified: "true" }, "dev@example.com"],
    [{ email_verified: false }, "subject-1"],
    [{ email_verified: undefined }, "subject-1"],
    [{ email: undefined }, "subject-1"],
  ])("proves possession for the right subject: claims %j, subject %s", async (claims, subject) => {
    const server = await httpServer(() => v2())
    await issue(server, testToken(claims))
    const { publicKeyRequest } = JSON.parse(server.seen[0]?.body.toString() ?? "")
    expect(isProofFor(publicKeyRequest.proofOfPossession, subject)).toBe(true)
  })

  test("is asked for again when Fulcio is busy", async () => {
    const server = await httpServer(() => (server.seen.length === 1 ? { status: 503 } : v2()))
    await expect(issue(server)).resolves.toMatchObject({ certificates: [leaf, issuer] })
  })

  test("without a log's timestamp is taken: such a Fulcio has no log", async () => {
    const server = await httpServer(() => json({ signedCertificateDetachedSct: { chain: { certificates: chain } } }))
    await expect(issue(server)).resolves.toMatchObject({ certificates: [leaf, issuer] })
  })
})

describe("an answer is refused", () => {
  const detached = { chain: { certificates: chain }, signedCertificateTimestamp: "e30=" }
  const v1 = (body: string, headers = {}): Answer => ({ status: 201, headers, body })

  test.each<[string, Answer, RegExp]>([
    ["nothing", { status: 200 }, /not a certificate: not JSON/],
    ["a page", { status: 200, body: "<html>" }, /not a certificate: not JSON/],
    ["null", json(null), /not a JSON object/],
    ["an empty object", json({}), /signedCertificateEmbeddedSct: not a JSON object/],
    ["an inherited name", json({ signedCertificateEmbeddedSct: "constructor" }), /not a JSON object/],
    ["a chain of numbers", v2([1]), /not a list of strings/],
    ["an empty chain", v2([]), /no certificate/],
    ["a chain without PEM", v2(["hello"]), /no CERTIFICATE block/],
    ["text around the PEM", v2([`${chain[0]}hello`]), /not a certificate chain/],
    ["PEM that is no base64", v2([String(chain[0]).replace("MII", "!!!")]), /not base64/],
    ["PEM that is no certificate", v2([encodePem("CERTIFICATE", Buffer.from("hello"))]), /cannot be read/],
    ["a certificate for another key", v2([String(chain[1])]), /certificate for another key/],
    ["a chain without end", v2(Array(11).fill(chain.join(""))), /more than ten certificates/],
    [
      "a separate SCT",
      json({ signedCertificateDetachedSct: detached }),
      /keeps its certificate timestamp \(SCT\) outside/,
    ],
    ["an unknown status", json({}, 204), /answered 204/],
    [
      "a redirect",
      { status: 302, headers: { location: "https://else.example/" } },
      /has moved to https:\/\/else\.example\//,
    ],
    [
      "an internal error",
      json({ message: "error communicating with CA backend" }, 500),
      /answered 500: error communicating with CA backend$/,
    ],
    ["a page with an error", { status: 500, body: "<h1>oops</h1>" }, /answered 500$/],
  ])("that is %s", async (_, answer, message) => {
    const server = await httpServer(() => answer)
    await expect(issue(server)).rejects.toMatchObject({ code: "ERR_FULCIO", message: expect.stringMatching(message) })
  })

  test.each<[string, Answer, RegExp]>([
    ["a separate SCT", v1(chain.join(""), { sct: "e30=" }), /keeps its certificate timestamp \(SCT\) outside/],
    ["nothing", v1(""), /no CERTIFICATE block/],
    ["another key's certificate", v1(String(chain[1])), /certificate for another key/],
    ["a refusal", json({ message: "no" }, 404), /answered 404: no$/],
  ])("of the v1 API that is %s", async (_, answer, message) => {
    const server = await httpServer(({ path }) => (path.startsWith("/api/v1/") ? answer : { status: 404 }))
    await expect(issue(server)).rejects.toMatchObject({ code: "ERR_FULCIO", message: expect.stringMatching(message) })
  })
})

describe("a token that cannot be used is not sent", () => {
  const now = new Date("2026-11-21T10:00:00Z")
  const at = (seconds: number): number => now.getTime() / 1000 + seconds

  test.each([
    ["not a token", "ERR_TOKEN", /is not a JSON Web Token/],
    [testToken({ exp: at(-61) }, now), "ERR_TOKEN_EXPIRED", /expired at 2026-11-21 09:58:59 UTC/],
    [
      testToken({ nbf: at(61) }, now),
      "ERR_TOKEN",
      /not valid before 2026-11-21 10:01:01 UTC, and it is 2026-11-21 10:00:00 UTC here/,
    ],
  ])("%#", async (token, code, message) => {
    const server = await httpServer(() => v2())
    await expect(issue(server, token, now)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    expect(server.seen).toHaveLength(0)
  })

  test("while a minute of clock difference is allowed", async () => {
    const server = await httpServer(() => v2())
    await issue(server, testToken({ exp: at(-59) }, now), now)
    await issue(server, testToken({ nbf: at(59) }, now), now)
    expect(server.seen).toHaveLength(2)
  })
})

describe("a refused token is explained", () => {
  const configuration = {
    issuers: [
      { issuerUrl: "https://issuer.example.com", wildcardIssuerUrl: "", audience: "sigstore", challengeClaim: "email" },
      { wildcardIssuerUrl: "https://*.ci.example.com/x", audience: "special", challengeClaim: "sub" },
      { issuerUrl: "https://spire.example.com", audience: "sigstore", spiffeTrustDomain: "example.com" },
    ],
  }
  const refusing = (config: Answer = json(configuration), refusal: Answer = json(REFUSED, 400)) =>
    httpServer(({ path }) => (path === "/api/v2/configuration" ? config : refusal))

  test.each([
    [
      { iss: "https://other.example.com" },
      /does not accept identity tokens of the issuer https:\/\/other\.example\.com/,
      /accepts tokens of https:\/\/issuer\.example\.com, https:\/\/\*\.ci/,
    ],
    [{ iss: "https://a.b.ci.example.com/x" }, /does not accept identity tokens of the issuer/, /accepts tokens of/],
    [
      { iss: "https://a.ci.example.com/x" },
      /is for the audience "sigstore", but localhost:\d+ wants "special"/,
      /audience special/,
    ],
    [
      { iss: "https://a.ci.example.com/x", aud: "special", email_verified: false },
      /did not accept the identity token: There was/,
      /get a new identity token/,
    ],
    [{ aud: ["a", "b"] }, /is for the audience "a", "b", but localhost:\d+ wants "sigstore"/, /audience sigstore/],
    [
      { email_verified: false },
      /has not verified the address dev@example\.com/,
      /verify the address at https:\/\/issuer/,
    ],
    [
      { email: undefined },
      /holds no email address, and localhost:\d+ wants one$/,
      /have https:\/\/issuer\.example\.com put the address/,
    ],
    [
      { iss: "https://spire.example.com", sub: "spiffe://example.com.evil.example/a", email: undefined },
      /SPIFFE identities of the trust domain example\.com, and this is spiffe:\/\/example\.com\.evil/,
      /of that trust domain/,
    ],
    [
      { iss: "https://spire.example.com", sub: "spiffe://example.com/a", email: undefined },
      /did not accept the identity token/,
      /get a new identity token/,
    ],
    [{}, /did not accept the identity token: There was an error processing/, /get a new identity token/],
  ])("claims %j", async (claims, message, hint) => {
    const server = await refusing()
    await expect(issue(server, testToken(claims))).rejects.toMatchObject({
      code: "ERR_TOKEN",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    })
  })

  test.each<[string, Answer]>([
    ["is missing", { status: 404 }],
    ["is garbage", { status: 200, body: "garbage" }],
    ["is something else", json({ issuers: [{ audience: 1 }] })],
    ["is no list", json({ issuers: 5 })],
  ])("also when the configuration %s", async (_, config) => {
    const server = await refusing(config)
    await expect(issue(server, testToken({ aud: "other" }))).rejects.toMatchObject({
      code: "ERR_TOKEN",
      message: expect.stringMatching(/audience "other", but localhost:\d+ wants "sigstore"/),
    })
    await expect(issue(server, testToken({ email_verified: false }))).rejects.toMatchObject({
      message: expect.stringMatching(/has not verified/),
    })
  })

  test("as expired, when it is so within the minute of tolerance", async () => {
    const server = await refusing()
    const now = new Date("2026-11-21T10:00:00Z")
    const token = testToken({ exp: now.getTime() / 1000 - 30 }, now)
    await expect(issue(server, token, now)).rejects.toMatchObject({ code: "ERR_TOKEN_EXPIRED" })
  })

  test("and a refused proof of possession is not the token's fault", async () => {
    const message = "The signature supplied in the request could not be verified"
    const server = await refusing(json(configuration), json({ code: 3, message }, 400))
    await expect(issue(server)).rejects.toMatchObject({ code: "ERR_FULCIO", message: expect.stringContaining(message) })
  })

  test("without showing a token that the server sends back", async () => {
    const token = testToken()
    const server = await refusing(json(configuration), json({ message: `bad token ${token} \u001b[31m\n!` }, 401))
    await expect(issue(server, token)).rejects.toMatchObject({
      code: "ERR_TOKEN",
      message: expect.stringMatching(/^localhost:\d+ did not accept the identity token: bad token \(token\) \[31m !$/),
    })
  })

  test("and a pattern of the server cannot make the explanation slow", async () => {
    const pattern = `${"*-".repeat(30)}x`
    const slow = { issuers: [{ wildcardIssuerUrl: pattern, audience: "sigstore" }] }
    const server = await refusing(json(slow))
    const start = performance.now()
    await expect(issue(server, testToken({ iss: "-".repeat(400) }))).rejects.toMatchObject({ code: "ERR_TOKEN" })
    expect(performance.now() - start).toBeLessThan(4000)
  })
})
