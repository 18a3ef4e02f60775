/**
 * `gitsign whoami`, `login`, `logout` and `debug token`: as whom one signs here, and how that is known.
 *
 * @module
 */

import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { whoamiViolations } from "../support/public-schemas.ts"
import { loginEnvironment, stopAgent, withAgent } from "./agent-harness.ts"
import { EMAIL, type Services, startServices, Workspace } from "./harness.ts"

let services: Services
let workspace: Workspace

beforeAll(async () => {
  services = await startServices()
}, 60_000)

afterAll(async () => {
  await services?.close()
})

beforeEach(() => {
  workspace = new Workspace(services.environment)
})

afterEach(() => {
  if (workspace?.env.XDG_RUNTIME_DIR !== undefined) stopAgent(workspace)
  workspace?.close()
})

/** What `gitsign whoami --format json` says, by its schema. */
function whoami(...args: string[]): Record<string, unknown> {
  const ran = workspace.gitsign(workspace.root, "whoami", "--format", "json", ...args)
  expect(ran.status, ran.stderr).toBe(0)
  const document = JSON.parse(ran.stdout)
  expect(whoamiViolations(document)).toEqual([])
  return document
}

describe("whoami", () => {
  test("a token at hand: identity, issuer, and flags that verify what it signs", async () => {
    workspace.env.SIGSTORE_ID_TOKEN = await services.token()
    const document = whoami()
    expect(document).toMatchObject({
      identity: EMAIL,
      exact: true,
      issuer: services.issuer,
      source: "token",
      tokenProvider: "envvar",
    })
    const repository = workspace.repository("r")
    workspace.commit(repository, "a", "1")
    const flags = document.verifyFlags as string[]
    expect(workspace.gitsign(repository, "verify", ...flags, "HEAD").status).toBe(0)
    expect(workspace.gitsign(workspace.root, "whoami").stdout).toContain(`verify    gitsign verify ${flags.join(" ")}`)
  }, 60_000)

  test.skipIf(process.env.GITSIGN_E2E_FULCIO_URL !== undefined)(
    "a job of an issuer that is not known: no flags that are a guess",
    () => {
      workspace.env.SIGSTORE_ID_TOKEN = services.sandbox("token", "--github", "acme/app").trim()
      const document = whoami()
      expect(document).toMatchObject({ exact: false, issuer: services.issuer, verifyFlags: [] })
      const { stdout } = workspace.gitsign(workspace.root, "whoami")
      expect(stdout).not.toContain("--certificate")
      expect(stdout).toContain("git log -1 --format=%GS")
      const repository = workspace.repository("r")
      workspace.commit(repository, "a", "1")
      expect(workspace.git(repository, "log", "-1", "--format=%GS")).toMatch(
        /^https:\/\/github\.com\/acme\/app\/.* \(http:/,
      )
    },
    60_000,
  )

  test("nobody: says so, and how to log in", () => {
    const ran = workspace.gitsign(workspace.root, "whoami")
    expect(ran.status).toBe(3)
    expect(ran.stderr).toContain("nobody is logged in here, and no identity token is at hand [ERR_NO_TOKEN]")
    // By whether whoever runs the tests has a terminal.
    expect(ran.stderr).toMatch(/hint: (log in with: gitsign login|run it in a terminal, or set SIGSTORE_ID_TOKEN)/)
    expect(ran.stdout).toBe("")
  })

  test("--verbose says of each way why", async () => {
    const file = join(workspace.root, "token")
    writeFileSync(file, await services.token())
    workspace.env.GITSIGN_TOKEN_FILE = file
    workspace.env.GITLAB_CI = "true"
    const { providers } = whoami("--verbose") as {
      providers: { provider: string; applies: boolean; chosen: boolean }[]
    }
    expect(providers.map(({ provider }) => provider)).toEqual([
      ...["exec", "buildkite-agent", "envvar", "filesystem", "github-actions"],
      ...["google-impersonation", "gitlab", "circleci", "google-workload-identity", "spiffe", "login"],
    ])
    expect(providers.filter(({ chosen }) => chosen).map(({ provider }) => provider)).toEqual(["filesystem"])
    const text = workspace.gitsign(workspace.root, "whoami", "--verbose").stdout
    expect(text).toMatch(/^takes {2}filesystem +\S/m)
    expect(text).toMatch(/^no {5}envvar +\S/m)
    expect(text).not.toContain(readFileSync(file, "utf8"))
  })

  test("a command that prints a token", async () => {
    const file = join(workspace.root, "token")
    writeFileSync(file, `${await services.token("bot@example.com")}\n`)
    workspace.git(workspace.root, "config", "--global", "gitsign.tokenCommand", `cat '${file}'`)
    expect(whoami()).toMatchObject({ identity: "bot@example.com", tokenProvider: "exec" })
    const repository = workspace.repository("r")
    workspace.commit(repository, "a", "1")
    expect(workspace.git(repository, "log", "-1", "--format=%G? %GS")).toContain("G bot@example.com")
  }, 60_000)

  test.skipIf(process.env.GITSIGN_E2E_FULCIO_URL !== undefined)("--login asks, and keeps and publishes nothing", () => {
    Object.assign(workspace.env, loginEnvironment(join(workspace.root, "logins")))
    // Nothing is published, so nobody is asked whether it may be.
    delete workspace.env.GITSIGN_PUBLISH_CONSENT
    expect(whoami("--login")).toMatchObject({ identity: EMAIL, source: "login", tokenProvider: "interactive" })
    expect(readFileSync(join(workspace.root, "logins"), "utf8")).toBe(`continue ${EMAIL}\n`)
    expect(workspace.gitsign(workspace.root, "whoami").status).toBe(3)
  })
})

describe.skipIf(process.env.GITSIGN_E2E_FULCIO_URL !== undefined)("login and logout", () => {
  test("with the agent: one login for whoami and the next commits, until the logout", () => {
    Object.assign(workspace.env, loginEnvironment(withAgent(workspace)))
    const ran = workspace.gitsign(workspace.root, "login")
    expect(ran.status, ran.stderr).toBe(0)
    expect(ran.stdout).toContain(EMAIL)
    delete workspace.env.GITSIGN_URL_OPENER
    expect(whoami()).toMatchObject({ identity: EMAIL, source: "agent" })
    workspace.commit(workspace.repository("r"), "a", "1")
    expect(workspace.gitsign(workspace.root, "logout").stdout).toBe("logged out: 1 in the agent\n")
    expect(workspace.gitsign(workspace.root, "whoami").status).toBe(3)
    expect(workspace.gitsign(workspace.root, "logout").stdout).toBe("nobody was logged in\n")
  }, 60_000)

  test("with the agent, a way that is configured and has no token says what it needs, and of no login", () => {
    withAgent(workspace)
    workspace.env.GITSIGN_TOKEN_PROVIDER = "filesystem"
    workspace.env.GITSIGN_TOKEN_FILE = join(workspace.root, "absent")
    const ran = workspace.gitsign(workspace.root, "login")
    expect(ran.status).toBe(3)
    expect(ran.stderr).toMatch(
      /there is no token in .*absent, and gitsign\.tokenProvider is filesystem \[ERR_NO_TOKEN\]/,
    )
    expect(ran.stderr).toContain("or unset gitsign.tokenProvider")
    expect(ran.stderr).not.toContain("gitsign agent warm")
  }, 60_000)

  test("the mode alone switches the agent on, and off", () => {
    Object.assign(workspace.env, loginEnvironment(withAgent(workspace)))
    workspace.git(workspace.root, "config", "--global", "--unset", "gitsign.credentialCache")
    workspace.git(workspace.root, "config", "--global", "gitsign.credentialCacheMode", "agent")
    expect(workspace.gitsign(workspace.root, "agent", "warm").status).toBe(0)
    workspace.git(workspace.root, "config", "--global", "gitsign.credentialCache", "auto")
    workspace.git(workspace.root, "config", "--global", "gitsign.credentialCacheMode", "off")
    const warm = workspace.gitsign(workspace.root, "agent", "warm")
    expect(warm.status).toBe(2)
    expect(warm.stderr).toContain("gitsign.credentialCacheMode is off")
    expect(warm.stderr).toContain("git config --global gitsign.credentialCacheMode agent")
  }, 60_000)

  test("without a place to keep it, it is said", () => {
    Object.assign(workspace.env, loginEnvironment(join(workspace.root, "logins")))
    const ran = workspace.gitsign(workspace.root, "login")
    expect(ran.status, ran.stderr).toBe(0)
    expect(ran.stdout).toContain(EMAIL)
    expect(ran.stderr).toContain("this login is not kept: gitsign.credentialCacheMode is off")
  })
})

test.skipIf(process.env.GITSIGN_E2E_FULCIO_URL !== undefined)(
  "an answer to the question is kept by identity, issuer and log, and by nothing else",
  () => {
    Object.assign(workspace.env, loginEnvironment(join(workspace.root, "logins")))
    delete workspace.env.GITSIGN_PUBLISH_CONSENT
    workspace.commit(workspace.repository("r"), "a", "1")
    const file = join(workspace.env.HOME ?? "", ".local/state/gitsign/published-identities.json")
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
      schemaVersion: 1,
      identities: [{ identity: EMAIL, issuer: services.issuer, log: new URL(services.issuer).host }],
    })
    expect(statSync(file).mode & 0o777).toBe(0o600)
  },
  60_000,
)

describe("debug token", () => {
  test("prints the claims and not the token", async () => {
    const token = await services.token()
    workspace.env.SIGSTORE_ID_TOKEN = token
    const ran = workspace.gitsign(workspace.root, "debug", "token")
    expect(ran.status, ran.stderr).toBe(0)
    expect(JSON.parse(ran.stdout)).toMatchObject({
      schemaVersion: 1,
      tokenProvider: "envvar",
      problem: null,
      claims: { email: EMAIL, iss: services.issuer },
    })
    expect(ran.stdout).not.toContain(token.split(".")[2])
    const raw = workspace.gitsign(workspace.root, "debug", "token", "--raw")
    expect(raw.stdout).toBe(`${token}\n`)
    expect(raw.stderr).toContain("keep it to yourself")
  })

  test.skipIf(process.env.GITSIGN_E2E_FULCIO_URL !== undefined)(
    "shows what is wrong with one that cannot be used",
    () => {
      workspace.env.SIGSTORE_ID_TOKEN = services.sandbox("token", EMAIL, "--audience", "elsewhere").trim()
      const ran = workspace.gitsign(workspace.root, "debug", "token")
      expect(ran.status).toBe(3)
      expect(JSON.parse(ran.stdout)).toMatchObject({ problem: { code: "ERR_TOKEN" }, claims: { aud: "elsewhere" } })
      expect(ran.stderr).toMatch(/elsewhere.*\[ERR_TOKEN\]/)
    },
  )
})
