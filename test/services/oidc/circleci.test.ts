/**
 * The identity token of a CircleCI job, from a stand-in for the `circleci` program of its image.
 *
 * @module
 */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeEach, describe, expect, onTestFinished, test } from "vitest"
import { circleciToken } from "../../../src/services/oidc/circleci.ts"
import { getIdentityToken } from "../../../src/services/oidc/provider.ts"
import { testClient } from "../loopback.ts"
import { testToken } from "../tokens.ts"

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gitsign-circleci-"))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
})

const jobToken = (claims: Record<string, unknown> = {}) =>
  testToken({
    iss: "https://oidc.circleci.com/org/4ada2c32",
    sub: "org/4ada2c32/project/p-1/user/u-1",
    "oidc.circleci.com/project-id": "p-1",
    "oidc.circleci.com/pipeline-definition-id": "d-1",
    email: undefined,
    email_verified: undefined,
    ...claims,
  })

/** Puts a `circleci` program on the job's PATH, which understands `run oidc get --claims JSON` as the real one does. */
function program(body: string): Record<string, string> {
  const text = `#!${process.execPath}
const [run, oidc, get, flag, claims, ...more] = process.argv.slice(2)
if (run !== "run" || oidc !== "oidc" || get !== "get" || flag !== "--claims" || more.length > 0) {
  console.error("Error: unknown command")
  process.exit(255)
}
const { aud } = JSON.parse(claims)
${body}
`
  writeFileSync(join(directory, "circleci"), text)
  chmodSync(join(directory, "circleci"), 0o755)
  return { CIRCLECI: "true", PATH: directory }
}

/** Prints a token for the audience that it was asked for. */
const printing = (claims: Record<string, unknown> = {}) => {
  const [header, payload, signature] = jobToken(claims).split(".")
  return `
const payload = { ...JSON.parse(Buffer.from("${payload}", "base64url")), aud }
console.log(["${header}", Buffer.from(JSON.stringify(payload)).toString("base64url"), "${signature}"].join("."))`
}

const get = (env: Record<string, string>, clientID = "sigstore") =>
  getIdentityToken({
    env,
    http: testClient(),
    now: () => new Date(),
    tokenProvider: "circleci",
    clientID,
    logIn: () => Promise.reject(new Error("nobody is there")),
  })

describe.skipIf(process.platform === "win32")("a CircleCI job", () => {
  test("signs as its pipeline, with the audience that was asked for", async () => {
    expect(await get(program(printing()), 'a "quoted" one')).toMatchObject({
      provider: "circleci",
      claims: {
        aud: ['a "quoted" one'],
        workloadUri: "https://circleci.com/api/v2/projects/p-1/pipeline-definitions/d-1",
      },
    })
  })

  test("may have a token of the issuer of all organizations", async () => {
    expect(await get(program(printing({ iss: "https://oidc.circleci.com" })))).toMatchObject({ provider: "circleci" })
  })

  test.each([
    [
      "refuses",
      'console.error("Error: OIDC is not enabled"); process.exit(1)',
      "ERR_OIDC",
      /failed with status 1: Error: OIDC is not enabled$/,
    ],
    ["prints nothing", "", "ERR_TOKEN", /printed no identity token$/],
    ["prints help", 'console.log("Usage: circleci run")', "ERR_TOKEN", /not a JSON Web Token/],
    [
      "prints one of another issuer",
      printing({ iss: "https://oidc.circleci.com.evil.example" }),
      "ERR_TOKEN",
      /circleci has those of https:\/\/oidc\.circleci\.com$/,
    ],
  ])("whose program %s", async (_, body, code, message) => {
    await expect(get(program(body))).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test("whose program hangs is not waited for", async () => {
    const env = program("setInterval(() => {}, 1000)")
    await expect(circleciToken({ env, audience: "sigstore", timeoutMs: 1000 })).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: "circleci run oidc get did not finish within 1 s",
    })
    const signal = AbortSignal.timeout(300)
    await expect(circleciToken({ env, audience: "sigstore", signal })).rejects.toMatchObject({ code: "ERR_CANCELLED" })
  })

  test("that lacks the program has no token", async () => {
    await expect(get({ CIRCLECI: "true", PATH: directory })).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
      message: expect.stringMatching(/^this CircleCI job has no circleci program to ask for an identity token/),
    })
  })
})

test("outside CircleCI its program is not run", async () => {
  const env = { ...program('require("node:fs").writeFileSync("ran", "")'), CIRCLECI: "" }
  await expect(circleciToken({ env, audience: "sigstore", cwd: directory })).rejects.toMatchObject({
    code: "ERR_NO_TOKEN",
    message: "this is not a CircleCI job",
  })
})
