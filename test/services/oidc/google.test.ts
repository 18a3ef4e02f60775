/**
 * Tokens of Google service accounts, from stand-ins that speak Google's protocols.
 *
 * @module
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, onTestFinished, test } from "vitest"
import { isGitsignError } from "../../../src/errors.ts"
import { googleImpersonationToken, googleWorkloadToken } from "../../../src/services/oidc/google.ts"
import { detectGoogleImpersonation, detectGoogleWorkload } from "../../../src/services/oidc/google-detect.ts"
import { parseIdentityToken } from "../../../src/services/oidc/token.ts"
import { closedPort, httpServer, rawServer, testClient } from "../loopback.ts"
import {
  AUTHORIZED_USER,
  apiError,
  ISSUER,
  MACHINE_ACCOUNT,
  metadataServer,
  SIGNER,
  serviceAccountKey,
  standInGoogle,
} from "./google-stand-in.ts"

const audience = "sigstore"

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "gitsign-google-"))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

/** An environment without anybody's credentials, and one with these. */
function environment(file?: unknown, more: Record<string, string> = {}): Record<string, string> {
  const home = directory()
  if (file === undefined) return { HOME: home, ...more }
  const path = join(home, "key.json")
  writeFileSync(path, typeof file === "string" ? file : JSON.stringify(file))
  return { HOME: home, GOOGLE_APPLICATION_CREDENTIALS: path, ...more }
}

const hostOf = (url: string): string => new URL(url).host

const impersonated = (email: string, source: unknown, delegates?: readonly string[]) => ({
  type: "impersonated_service_account",
  service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${email}:generateAccessToken`,
  source_credentials: source,
  ...(delegates === undefined ? {} : { delegates }),
})

describe("whether it applies", () => {
  test.each([
    ["Google\n", true],
    ["Google Compute Engine\n", true],
    ["Google Chromebook\n", false],
    ["KVM\n", false],
  ])("to a machine whose product name is %j: %s", (name, applies) => {
    const file = join(directory(), "product_name")
    writeFileSync(file, name)
    expect(detectGoogleWorkload({ env: {}, audience }, file).applies).toBe(applies)
  })

  test("not to a machine without a product name", () => {
    const file = join(directory(), "product_name")
    expect(detectGoogleWorkload({ env: {}, audience }, file)).toEqual({
      applies: false,
      because: "this machine does not say that it is one of Google Cloud",
    })
    mkdirSync(file)
    expect(detectGoogleWorkload({ env: {}, audience }, file).applies).toBe(false)
  })

  test("impersonation, when an account is named", () => {
    const detect = (value: string) =>
      detectGoogleImpersonation({ env: { GOOGLE_SERVICE_ACCOUNT_NAME: value }, audience })
    expect(detect(SIGNER)).toEqual({ applies: true, because: "GOOGLE_SERVICE_ACCOUNT_NAME is set" })
    expect(detect(" ")).toEqual({ applies: false, because: "GOOGLE_SERVICE_ACCOUNT_NAME is not set" })
  })
})

describe("the machine's own service account", () => {
  const ask = (host: string) =>
    googleWorkloadToken({ env: environment(undefined, { GCE_METADATA_HOST: host }), audience, http: testClient() })

  test("its token has the audience and the email address", async () => {
    const server = await metadataServer()
    expect(parseIdentityToken(await ask(hostOf(server.url)))).toMatchObject({
      iss: ISSUER,
      aud: [audience],
      email: MACHINE_ACCOUNT,
      emailVerified: true,
    })
    expect(server.seen).toHaveLength(1)
  })

  test("a server that is still starting is asked again", async () => {
    let busy = 2
    const server = await metadataServer(() => (busy-- > 0 ? { status: 503 } : undefined))
    expect(parseIdentityToken(await ask(hostOf(server.url))).email).toBe(MACHINE_ACCOUNT)
    expect(server.seen).toHaveLength(3)
  })

  test.each([
    [404, "", /knows no service account for this machine$/],
    [
      403,
      "<html><b>Unable</b> to get token; IAM returned 403</html>",
      /answered 403: Unable to get token; IAM returned 403$/,
    ],
    [503, "", /answered 503$/],
  ])("a refusal with %s lets another way be tried", async (status, body, message) => {
    const server = await metadataServer(() => ({ status, body }))
    await expect(ask(hostOf(server.url))).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
      message: expect.stringMatching(message),
    })
  })

  test("no server, another server, and one that says too much", async () => {
    await expect(ask(`localhost:${await closedPort()}`)).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
      message: expect.stringMatching(/^there is no metadata server: localhost:\d+ refused the connection$/),
    })
    const portal = await httpServer(() => ({ body: "please log in" }))
    await expect(ask(hostOf(portal.url))).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
      message: `${hostOf(portal.url)} is not a metadata server of Google`,
    })
    const endless = await metadataServer(() => ({ body: "x".repeat(70_000) }))
    await expect(ask(hostOf(endless.url))).rejects.toThrow(/answered with more than 65536 bytes/)
    await expect(ask("user:secret@host/x")).rejects.toMatchObject({ code: "ERR_CONFIG" })
  })

  test("a server that never answers ends after five seconds, and at once when cancelled", async () => {
    const silent = await rawServer(() => undefined)
    const begun = performance.now()
    await expect(ask(`localhost:${silent.port}`)).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
      message: expect.stringMatching(/did not answer within 5 s$/),
    })
    expect(performance.now() - begun).toBeLessThan(9000)
    const env = environment(undefined, { GCE_METADATA_HOST: `localhost:${silent.port}` })
    const signal = AbortSignal.timeout(50)
    await expect(googleWorkloadToken({ env, audience, http: testClient(), signal })).rejects.toMatchObject({
      code: "ERR_CANCELLED",
    })
  }, 20_000)
})

describe("credentials in a file", () => {
  test("a service account's key gives its own token", async () => {
    const key = serviceAccountKey(SIGNER)
    const { http, asked } = await standInGoogle({ keys: [key] })
    const token = await googleWorkloadToken({ env: environment(key), audience, http })
    expect(parseIdentityToken(token)).toMatchObject({ iss: ISSUER, aud: [audience], email: SIGNER })
    expect(asked).toEqual(["oauth2.googleapis.com/token"])
  })

  test("so does a credential that impersonates one", async () => {
    const { http, asked, bodies } = await standInGoogle()
    const env = environment(impersonated(SIGNER, AUTHORIZED_USER, ["projects/-/serviceAccounts/a@example.com"]))
    expect(parseIdentityToken(await googleWorkloadToken({ env, audience, http })).email).toBe(SIGNER)
    expect(asked.map((address) => address.replace(/^.*:/, ""))).toEqual([
      "oauth2.googleapis.com/token",
      "generateIdToken",
    ])
    expect(bodies).toMatchObject([
      { audience, includeEmail: true, delegates: ["projects/-/serviceAccounts/a@example.com"] },
    ])
  })

  test("a person's own credential is no service account", async () => {
    const { http, asked } = await standInGoogle()
    const request = googleWorkloadToken({ env: environment(AUTHORIZED_USER), audience, http })
    await expect(request).rejects.toMatchObject({ code: "ERR_NO_TOKEN" })
    expect(asked).toEqual([])
  })

  test("a deleted key is refused, with what to do", async () => {
    const { http } = await standInGoogle()
    const request = googleWorkloadToken({ env: environment(serviceAccountKey(SIGNER)), audience, http })
    await expect(request).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: "oauth2.googleapis.com answered 400: Invalid JWT Signature.",
      hint: expect.stringMatching(/^log in again with: gcloud auth/),
    })
  })

  test.each([
    ["{", "ERR_CONFIG", /key\.json: not JSON$/],
    ['{"private_key": -----BEGIN SECRET', "ERR_CONFIG", /key\.json: not JSON$/],
    ["[]", "ERR_CONFIG", /not a JSON object$/],
    [{ type: "service_account", client_email: SIGNER }, "ERR_CONFIG", /private_key is not a string$/],
    [{ type: "service_account", client_email: SIGNER, private_key: "SECRET" }, "ERR_OIDC", /cannot be used/],
    [{ type: "magic" }, "ERR_NO_TOKEN", /names no service account$/],
    [
      { ...impersonated(SIGNER, AUTHORIZED_USER), service_account_impersonation_url: "https://x/" },
      "ERR_CONFIG",
      /names no service/,
    ],
    ["x".repeat(70_000), "ERR_IO", /not a file of at most 64 KiB$/],
  ])("%# that cannot be used", async (file, code, message) => {
    const { http } = await standInGoogle()
    try {
      await googleWorkloadToken({ env: environment(file), audience, http })
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
      expect(`${error} ${(error as Error).cause}`).not.toContain("SECRET")
    }
  })

  test("a file that is named and not there", async () => {
    const env = { HOME: directory(), GOOGLE_APPLICATION_CREDENTIALS: join(directory(), "none.json") }
    await expect(googleWorkloadToken({ env, audience, http: testClient() })).rejects.toMatchObject({ code: "ERR_IO" })
  })
})

describe("impersonation", () => {
  const named = { GOOGLE_SERVICE_ACCOUNT_NAME: SIGNER }

  test("by a person who logged in with gcloud", async () => {
    const { http, asked, bodies } = await standInGoogle()
    const env = environment(undefined, named)
    const gcloud = join(env.HOME ?? "", ".config", "gcloud")
    mkdirSync(gcloud, { recursive: true })
    writeFileSync(join(gcloud, "application_default_credentials.json"), JSON.stringify(AUTHORIZED_USER))
    for (const place of [env, { ...named, CLOUDSDK_CONFIG: gcloud }]) {
      const token = await googleImpersonationToken({ env: place, audience: "our-audience", http })
      expect(parseIdentityToken(token)).toMatchObject({ iss: ISSUER, aud: ["our-audience"], email: SIGNER })
    }
    expect(bodies[0]).toMatchObject({ audience: "our-audience", includeEmail: true })
    expect(asked.slice(0, 2)).toEqual([
      "oauth2.googleapis.com/token",
      `iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${SIGNER}:generateIdToken`,
    ])
  })

  test("by another service account's key, and by one that it impersonates in turn", async () => {
    const key = serviceAccountKey(MACHINE_ACCOUNT)
    const { http, asked } = await standInGoogle({ keys: [key] })
    for (const file of [key, impersonated("middle@example.com", key)]) {
      const token = await googleImpersonationToken({ env: environment(file, named), audience, http })
      expect(parseIdentityToken(token).email).toBe(SIGNER)
    }
    expect(asked.filter((address) => address.endsWith("middle@example.com:generateAccessToken"))).toHaveLength(1)
  })

  test("by the machine's own service account", async () => {
    const { http, asked } = await standInGoogle()
    const server = await metadataServer()
    const env = environment(undefined, { ...named, GCE_METADATA_HOST: hostOf(server.url) })
    expect(parseIdentityToken(await googleImpersonationToken({ env, audience, http })).email).toBe(SIGNER)
    expect([server.seen.length, asked.length]).toEqual([1, 1])
  })

  test("by a federated workload, whose token is exchanged", async () => {
    const { http, asked } = await standInGoogle()
    const subject = join(directory(), "subject-token")
    writeFileSync(subject, "the-subject-token")
    const federated = {
      type: "external_account",
      audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: "https://sts.googleapis.com/v1/token",
      credential_source: { file: subject },
    }
    const token = await googleImpersonationToken({ env: environment(federated, named), audience, http })
    expect(parseIdentityToken(token).email).toBe(SIGNER)
    expect(asked[0]).toBe("sts.googleapis.com/v1/token")
    const { service_account_impersonation_url } = impersonated("pool@example.com", {})
    const itself = { ...federated, service_account_impersonation_url }
    expect(parseIdentityToken(await googleWorkloadToken({ env: environment(itself), audience, http })).email).toBe(
      "pool@example.com",
    )
    const certificate = { ...federated, credential_source: { certificate: {} } }
    const refused = googleImpersonationToken({ env: environment(certificate, named), audience, http })
    await expect(refused).rejects.toMatchObject({ code: "ERR_CONFIG" })
  })

  test.each([
    [403, /serviceAccountOpenIdTokenCreator on signer@/],
    [404, /^check that the service account signer@\S+ exists$/],
  ])("that is refused with %s says what to do, and shows no token", async (status, hint) => {
    const refusal = apiError(status, "The caller does not have permission for ya29.x")
    const { http, secrets } = await standInGoogle({
      answer: (address) => (address.startsWith("iamcredentials.") ? refusal : undefined),
    })
    try {
      await googleImpersonationToken({ env: environment(AUTHORIZED_USER, named), audience, http })
      expect.unreachable()
    } catch (error) {
      expect(isGitsignError(error) && { code: error.code, hint: error.hint }).toEqual({
        code: "ERR_OIDC",
        hint: expect.stringMatching(hint),
      })
      const whole = `${error} ${(error as Error).cause} ${JSON.stringify(error)}`
      for (const secret of secrets) expect(whole).not.toContain(secret)
    }
  })

  test("a revoked login, an answer without a token, and a service that fails", async () => {
    const ask = async (answer: Parameters<typeof standInGoogle>[0], file: unknown = AUTHORIZED_USER) => {
      const { http } = await standInGoogle(answer)
      return googleImpersonationToken({ env: environment(file, named), audience, http })
    }
    await expect(ask({}, { ...AUTHORIZED_USER, refresh_token: "revoked" })).rejects.toMatchObject({
      code: "ERR_OIDC",
      hint: expect.stringMatching(/gcloud auth application-default login/),
    })
    const empty = { headers: { "content-type": "application/json" }, body: "{}" }
    await expect(ask({ answer: (address) => (address.startsWith("iam") ? empty : undefined) })).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: expect.stringMatching(/not an identity token$/),
    })
    await expect(
      ask({ answer: (address) => (address.startsWith("iam") ? apiError(400, "bad audience") : undefined) }),
    ).rejects.toMatchObject({ code: "ERR_OIDC", message: "iamcredentials.googleapis.com answered 400: bad audience" })
  })

  test("no credentials, no name, and a name that is none", async () => {
    const http = testClient()
    const none = environment(undefined, { ...named, GCE_METADATA_HOST: `localhost:${await closedPort()}` })
    await expect(googleImpersonationToken({ env: none, audience, http })).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: expect.stringMatching(/^there are no Google credentials here: there is no metadata server/),
    })
    await expect(googleImpersonationToken({ env: {}, audience, http })).rejects.toMatchObject({ code: "ERR_NO_TOKEN" })
    const env = environment(AUTHORIZED_USER, { GOOGLE_SERVICE_ACCOUNT_NAME: "../../x@example.com" })
    await expect(googleImpersonationToken({ env, audience, http })).rejects.toMatchObject({ code: "ERR_CONFIG" })
  })

  test("ends when it is cancelled, before and during", async () => {
    const silent = await rawServer(() => undefined)
    const http = testClient({ proxy: { httpsProxy: `http://localhost:${silent.port}` } })
    const env = environment(AUTHORIZED_USER, named)
    for (const signal of [AbortSignal.abort(), AbortSignal.timeout(100)]) {
      const begun = performance.now()
      await expect(googleImpersonationToken({ env, audience, http, signal })).rejects.toMatchObject({
        code: "ERR_CANCELLED",
      })
      expect(performance.now() - begun).toBeLessThan(4000)
    }
  })

  test("a name service or proxy that fails is told as such", async () => {
    const http = testClient({ proxy: { httpsProxy: `http://localhost:${await closedPort()}` } })
    const request = googleImpersonationToken({ env: environment(AUTHORIZED_USER, named), audience, http })
    await expect(request).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringMatching(/^the proxy localhost:\d+ refused the connection$/),
    })
  }, 30_000)
})
