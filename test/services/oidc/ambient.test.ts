/**
 * Which provider is chosen, from what is at hand alone, and what is said of the others.
 *
 * @module
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeEach, describe, expect, onTestFinished, test } from "vitest"
import { type Surroundings, surveyProviders, TOKEN_PROVIDERS, tokenSource } from "../../../src/services/oidc/ambient.ts"
import { testToken } from "../tokens.ts"

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gitsign-ambient-"))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
})

const TOKEN = testToken()

/** Surroundings where nothing applies. */
const nothing = (changes: Partial<Surroundings> = {}): Surroundings => ({
  audience: "sigstore",
  tokenFile: join(directory, "none"),
  ...changes,
  // The default socket of SPIRE may be there on the machine that runs the tests.
  env: { SPIFFE_ENDPOINT_SOCKET: join(directory, "no-socket"), ...changes.env },
})

function tokenFile(content: string = TOKEN): string {
  const path = join(directory, "token")
  writeFileSync(path, content)
  return path
}

const BUILDKITE = { BUILDKITE_AGENT_ACCESS_TOKEN: "secret-agent-token", BUILDKITE_JOB_ID: "job-1" }
const GITHUB = {
  GITHUB_ACTIONS: "true",
  ACTIONS_ID_TOKEN_REQUEST_URL: "https://runner.example/",
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "secret-request-token",
}
const GOOGLE = { GOOGLE_SERVICE_ACCOUNT_NAME: "signer@project.iam.gserviceaccount.com" }
const GITLAB = { GITLAB_CI: "true", CI_SERVER_URL: "https://gitlab.example.com" }
const CIRCLECI = { CIRCLECI: "true" }

describe("without a configured provider", () => {
  test("they are asked in one order, each when those before it are gone", () => {
    const everything = nothing({
      tokenCommand: ["print-token", "--secret=xyzzy"],
      tokenFile: tokenFile(),
      env: { ...BUILDKITE, SIGSTORE_ID_TOKEN: ` ${TOKEN}\n`, ...GITHUB, ...GOOGLE, ...GITLAB, ...CIRCLECI },
    })
    const chosen: string[] = []
    let surroundings = everything
    const without = (...names: string[]): Surroundings => {
      const env = Object.entries(surroundings.env).filter(([name]) => !names.includes(name))
      return { ...surroundings, env: Object.fromEntries(env) }
    }
    const next = (change: () => Surroundings): void => {
      chosen.push(tokenSource(surroundings, undefined).provider)
      surroundings = change()
    }
    next(() => ({ ...surroundings, tokenCommand: undefined }))
    next(() => without(...Object.keys(BUILDKITE)))
    next(() => without("SIGSTORE_ID_TOKEN"))
    next(() => ({ ...surroundings, tokenFile: join(directory, "none") }))
    next(() => without(...Object.keys(GITHUB)))
    next(() => without(...Object.keys(GOOGLE)))
    next(() => without(...Object.keys(GITLAB)))
    next(() => without(...Object.keys(CIRCLECI)))
    next(() => surroundings)
    expect(chosen).toEqual([
      "exec",
      "buildkite-agent",
      "envvar",
      "filesystem",
      "github-actions",
      "google-impersonation",
      "gitlab",
      "circleci",
      "interactive",
    ])
  })

  test("what a job has goes before what its machine has", () => {
    expect(TOKEN_PROVIDERS.slice(-6)).toEqual([
      "gitlab",
      "circleci",
      "google-workload-identity",
      "spiffe",
      "interactive",
      "device",
    ])
  })

  test("a token at hand is given, without the white space around it", () => {
    const env = { SIGSTORE_ID_TOKEN: ` ${TOKEN}\n` }
    expect(tokenSource(nothing({ env }), undefined)).toMatchObject({ provider: "envvar", token: TOKEN })
    expect(tokenSource(nothing({ tokenFile: tokenFile(`${TOKEN}\n`) }), "")).toMatchObject({
      provider: "filesystem",
      token: TOKEN,
    })
    expect(tokenSource(nothing({ env: GITHUB }), undefined)).toMatchObject({ token: undefined })
  })

  test.each([
    { ACTIONS_ID_TOKEN_REQUEST_URL: "https://runner.example/" },
    { SIGSTORE_ID_TOKEN: " " },
    { BUILDKITE_AGENT_ACCESS_TOKEN: "" },
    { GITLAB_CI: "false" },
    { CIRCLECI: "" },
    { GOOGLE_SERVICE_ACCOUNT_NAME: "" },
  ])("half of what a provider needs is not enough: %j", (env) => {
    expect(tokenSource(nothing({ env }), undefined)).toMatchObject({ provider: "interactive", token: undefined })
  })

  test("a token file that cannot be read is not passed over", () => {
    mkdirSync(join(directory, "folder"))
    const source = tokenSource(nothing({ tokenFile: join(directory, "folder") }), undefined)
    expect(source).toMatchObject({
      provider: "filesystem",
      token: undefined,
      because: expect.stringMatching(/cannot be read/),
    })
  })
})

describe("with a configured provider", () => {
  test("it is that one, with its token where it is at hand", () => {
    const surroundings = nothing({ env: { SIGSTORE_ID_TOKEN: TOKEN, ...GITHUB }, tokenFile: tokenFile("x") })
    expect(tokenSource(surroundings, "filesystem")).toMatchObject({ provider: "filesystem", token: "x" })
    expect(tokenSource(surroundings, "envvar")).toMatchObject({ provider: "envvar", token: TOKEN })
    expect(tokenSource(surroundings, "github-actions")).toMatchObject({ provider: "github-actions", token: undefined })
    expect(tokenSource(surroundings, "device")).toMatchObject({ provider: "device", token: undefined })
    expect(tokenSource(surroundings, "nonsense")).toMatchObject({ provider: "nonsense", token: undefined })
  })

  test("the name that cosign registers is understood as well", () => {
    expect(tokenSource(nothing(), "google-impersonate").provider).toBe("google-impersonation")
  })
})

describe("what keeps two logins apart", () => {
  const scope = (env: Record<string, string>, changes: Partial<Surroundings> = {}) =>
    tokenSource(nothing({ env, ...changes }), undefined).scope

  test("is the job, the account or the command", () => {
    expect(scope(BUILDKITE)).not.toBe(scope({ ...BUILDKITE, BUILDKITE_JOB_ID: "job-2" }))
    expect(scope({ ...GITHUB, GITHUB_RUN_ID: "1" })).not.toBe(scope({ ...GITHUB, GITHUB_RUN_ID: "2" }))
    expect(scope(GOOGLE)).not.toBe(scope({ GOOGLE_SERVICE_ACCOUNT_NAME: "other@project.iam.gserviceaccount.com" }))
    expect(scope({}, { tokenCommand: ["a"] })).not.toBe(scope({}, { tokenCommand: ["b"] }))
    expect(scope(BUILDKITE)).toBe(scope({ ...BUILDKITE, OTHER: "x" }))
    // A job without a token lets its machine speak, which then decides.
    const machine = (port: number) => ({ ...GITLAB, SPIFFE_ENDPOINT_SOCKET: `tcp://127.0.0.1:${port}` })
    expect(scope(machine(1))).not.toBe(scope(machine(2)))
    const withToken = { SIGSTORE_ID_TOKEN: TOKEN }
    expect(scope({ ...machine(1), ...withToken })).toBe(scope(withToken))
    expect(scope({})).toBe("")
  })

  test("is no secret", () => {
    expect(scope({ ...BUILDKITE, ...GITHUB })).not.toMatch(/secret/)
  })
})

describe("the survey", () => {
  test("says of every provider whether it applies, and why", () => {
    const env = { ...GITHUB, SIGSTORE_ID_TOKEN: TOKEN, CIRCLECI: "true" }
    const ways = surveyProviders(nothing({ env }), undefined)
    expect(ways.map(({ provider }) => provider)).toEqual(TOKEN_PROVIDERS)
    const about = Object.fromEntries(ways.map((way) => [way.provider, way]))
    expect(about.envvar).toMatchObject({ applies: true, chosen: true, because: "SIGSTORE_ID_TOKEN is set" })
    expect(about["github-actions"]).toMatchObject({ applies: true, chosen: false })
    expect(about.exec).toMatchObject({ applies: false, because: "gitsign.tokenCommand is not set" })
    expect(about.interactive).toMatchObject({ applies: false, because: expect.stringContaining("envvar does") })
    expect(ways.filter(({ chosen }) => chosen)).toHaveLength(1)
  })

  test("tells a GitHub job without the permission from no job", () => {
    const because = (env: Record<string, string>) =>
      surveyProviders(nothing({ env }), undefined).find(({ provider }) => provider === "github-actions")?.because
    expect(because({ GITHUB_ACTIONS: "true" })).toBe("this GitHub Actions job lacks the permission id-token: write")
    expect(because({})).toBe("this is not a GitHub Actions job")
  })

  test("marks the configured one, whether it applies or not, and a login when nothing does", () => {
    const chosen = (configured?: string) => surveyProviders(nothing(), configured).filter((way) => way.chosen)
    expect(chosen("envvar")).toMatchObject([
      { provider: "envvar", applies: false, because: "SIGSTORE_ID_TOKEN is not set" },
    ])
    expect(chosen("device")).toMatchObject([{ provider: "device", applies: true }])
    expect(chosen()).toMatchObject([{ provider: "interactive", applies: true }])
  })

  test("shows no secret, in one sentence each, also when the token file cannot be read", () => {
    mkdirSync(join(directory, "folder"))
    const env = { ...BUILDKITE, ...GITHUB, ...GITLAB, SIGSTORE_ID_TOKEN: TOKEN }
    const tokenCommand = ["print-token", "--secret=xyzzy"]
    const ways = surveyProviders(nothing({ env, tokenCommand, tokenFile: join(directory, "folder") }), undefined)
    expect(JSON.stringify(ways)).not.toMatch(/secret|xyzzy|eyJ/)
    for (const { because } of ways) expect(because).toMatch(/^[^\n]+[^.\n]$/)
  })
})
