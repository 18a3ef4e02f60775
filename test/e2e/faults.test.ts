/**
 * What can go wrong around a signature: each time the commit is refused with a code, an exit status and a hint, nothing
 * is half done, and the next commit works.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { type Fault, startFaultyProxy } from "./faulty-proxy.ts"
import { EMAIL, type Services, startServices, Workspace } from "./harness.ts"

let services: Services
let workspace: Workspace
let repository: string
let token: string

beforeAll(async () => {
  services = await startServices()
  token = await services.token()
  workspace = new Workspace({ ...services.environment, ...services.timestampEnvironment, SIGSTORE_ID_TOKEN: token })
  repository = workspace.repository("faults")
  workspace.commit(repository, "a", "1\n")
}, 60_000)

afterAll(async () => {
  workspace?.close()
  await services?.close()
})

/** Makes a commit that must be refused, and checks that the repository is as before and that no secret was told. */
async function expectRefused(env: Record<string, string>, code: string, text: RegExp): Promise<void> {
  const before = workspace.git(repository, "rev-parse", "HEAD")
  const log = join(workspace.root, `log-${Math.random()}`)
  const args = ["commit", "--allow-empty", "-m", "must not be"]
  const ran = await workspace.runAsync(repository, "git", args, { env: { ...env, GITSIGN_LOG: log } })
  expect(ran.status).toBe(128)
  // git before 2.40 keeps what its signing program said to itself; the log has it always.
  const logged = readFileSync(log, "utf8")
  expect(logged).toContain(`[${code}]`)
  expect(logged).toMatch(text)
  expect(logged).toContain("gitsign: hint: ")
  expect(logged).not.toContain(env.SIGSTORE_ID_TOKEN || token)
  expect(statSync(log).mode & 0o777).toBe(0o600)
  expect(workspace.git(repository, "rev-parse", "HEAD")).toBe(before)
  expect(workspace.git(repository, "status", "--porcelain")).toBe("")
}

/** The same through the program itself, to see the exit status that git hides, and that stdout stays empty. */
async function expectExit(env: Record<string, string>, status: number, code: string): Promise<void> {
  const payload = workspace.git(repository, "cat-file", "commit", "HEAD~0")
  const file = join(workspace.root, "payload")
  writeFileSync(file, payload)
  const ran = await workspace.runAsync(repository, workspace.program, ["--status-fd=2", "-bsau", "x", file], { env })
  expect(ran.stderr).toContain(`[${code}]`)
  expect(ran.status).toBe(status)
  expect(ran.stdout).toBe("")
  expect(ran.stderr).not.toContain("SIG_CREATED")
}

const url = (name: string): string => workspace.env[name] ?? ""

describe.each([
  ["Fulcio", "GITSIGN_FULCIO_URL", "/api/", "ERR_FULCIO"],
  ["Rekor", "GITSIGN_REKOR_URL", "/api/", "ERR_REKOR"],
  ["the timestamp authority", "GITSIGN_TIMESTAMP_SERVER_URL", "/", "ERR_TSA"],
])("%s", (_, variable, path, code) => {
  const throughProxy = async (fault: Fault, check: (env: Record<string, string>) => Promise<void>): Promise<void> => {
    const { origin, pathname } = new URL(url(variable))
    const proxy = await startFaultyProxy(origin, path, fault)
    try {
      await check({ [variable]: `${proxy.url}${pathname === "/" ? "" : pathname}` })
      expect(proxy.requests()).toBeGreaterThan(0)
    } finally {
      await proxy.close()
    }
  }

  test("down", async () => {
    const env = { [variable]: "http://127.0.0.1:1" }
    await expectRefused(env, "ERR_NETWORK", /127\.0\.0\.1:1 refused the connection/)
    await expectExit(env, 3, "ERR_NETWORK")
  })

  test.each([
    ["refusing", { kind: "status", status: 400, body: '{"code":9,"message":"not you"}' } as const, /not you/],
    ["failing", { kind: "status", status: 500, body: "" } as const, /500/],
  ])("%s", (_name, fault, text) =>
    throughProxy(fault, async (env) => {
      await expectRefused(env, code, text)
      await expectExit(env, 3, code)
    }),
  )

  test("answering garbage", () => throughProxy({ kind: "garbage" }, (env) => expectRefused(env, code, /127\.0\.0\.1/)))

  test.each([
    ["resetting connections", { kind: "reset" } as const, /127\.0\.0\.1:\d+ /],
    ["answering without end", { kind: "oversize" } as const, /127\.0\.0\.1:\d+ /],
  ])("%s", (_name, fault, text) => throughProxy(fault, (env) => expectRefused(env, "ERR_NETWORK", text)))

  test("slow: it waits", () =>
    throughProxy({ kind: "slow", milliseconds: 1500 }, async (env) => {
      const ran = await workspace.runAsync(repository, "git", ["commit", "--allow-empty", "-m", "slow"], { env })
      expect(ran.status, ran.stderr).toBe(0)
    }))

  test(
    "hanging: it gives up within its limit and says who did not answer",
    () =>
      throughProxy({ kind: "hang" }, async (env) => {
        const began = performance.now()
        await expectRefused(env, "ERR_NETWORK", /127\.0\.0\.1:\d+ did not answer within \d+ s/)
        expect(performance.now() - began).toBeLessThan(30_000)
      }),
    45_000,
  )
})

describe("the OpenID issuer", () => {
  const login = { SIGSTORE_ID_TOKEN: "", GITSIGN_URL_OPENER: "true {{.URL}}" }

  test("down", () =>
    expectRefused({ ...login, GITSIGN_OIDC_ISSUER: "http://127.0.0.1:1" }, "ERR_NETWORK", /127\.0\.0\.1:1 refused/))

  test.each([
    ["refusing", { kind: "status", status: 403, body: "no" } as const, "ERR_OIDC", /./],
    ["failing", { kind: "status", status: 500, body: "" } as const, "ERR_OIDC", /./],
    ["answering garbage", { kind: "garbage" } as const, "ERR_OIDC", /./],
    ["hanging", { kind: "hang" } as const, "ERR_NETWORK", /did not answer within \d+ s/],
  ])(
    "%s",
    async (_name, fault, code, text) => {
      const proxy = await startFaultyProxy(services.issuer, "/", fault)
      try {
        await expectRefused({ ...login, GITSIGN_OIDC_ISSUER: proxy.url }, code, text)
        expect(proxy.requests()).toBeGreaterThan(0)
      } finally {
        await proxy.close()
      }
    },
    45_000,
  )
})

describe("answers for something else", () => {
  test("Rekor answers with a proof for another entry", async () => {
    // Two uploads: the answer to the first is given to the second.
    let first: string | undefined
    const proxy = await startFaultyProxy(url("GITSIGN_REKOR_URL"), "/api/", {
      kind: "replace",
      replace: (body) => {
        first ??= body
        return first
      },
    })
    try {
      const env = { GITSIGN_REKOR_URL: proxy.url }
      const ran = await workspace.runAsync(repository, "git", ["commit", "--allow-empty", "-m", "the first"], { env })
      expect(ran.status, ran.stderr).toBe(0)
      await expectRefused(env, "ERR_REKOR", /an entry for something else/)
    } finally {
      await proxy.close()
    }
  })

  test("Rekor answers with a proof that does not lead to the root", async () => {
    const proxy = await startFaultyProxy(url("GITSIGN_REKOR_URL"), "/api/", {
      kind: "replace",
      replace: (body) => body.replace(/"treeSize":(\d+)/, (_, size) => `"treeSize":${Number(size) + 1}`),
    })
    try {
      await expectRefused({ GITSIGN_REKOR_URL: proxy.url }, "ERR_SELF_CHECK", /ERR_LOG_PROOF/)
      await expectExit({ GITSIGN_REKOR_URL: proxy.url }, 3, "ERR_SELF_CHECK")
    } finally {
      await proxy.close()
    }
  })

  test("a Sigstore whose root is not the configured one", async () => {
    const env = { GITSIGN_TRUSTED_ROOT: "", GITSIGN_FULCIO_ROOT: "", SIGSTORE_ROOT_FILE: "" }
    await expectRefused(env, "ERR_SELF_CHECK", /ERR_CERT_CHAIN|ERR_LOG_UNKNOWN/)
  })
})

describe("identity tokens", () => {
  const sandboxOnly = process.env.GITSIGN_E2E_FULCIO_URL !== undefined
  const claims = (overrides: Record<string, unknown>): string => {
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")
    const now = Math.floor(Date.now() / 1000)
    const payload = {
      iss: services.issuer,
      aud: "sigstore",
      sub: "x",
      email: EMAIL,
      email_verified: true,
      iat: now,
      exp: now + 600,
    }
    return `${encode({ alg: "RS256" })}.${encode({ ...payload, ...overrides })}.c2ln`
  }

  test.each([
    ["expired", { exp: 1_700_000_000 }, "ERR_TOKEN_EXPIRED", /expired/],
    ["not valid yet", { nbf: 4_000_000_000 }, "ERR_TOKEN", /not valid/],
    ["forged", {}, "ERR_(TOKEN|FULCIO)", /./],
  ])("%s", async (_name, overrides, code, text) => {
    const env = { SIGSTORE_ID_TOKEN: claims(overrides) }
    const ran = await workspace.runAsync(
      repository,
      workspace.program,
      ["-bsau", "x", join(repository, ".git", "HEAD")],
      { env },
    )
    expect(ran.status).toBe(3)
    expect(ran.stderr).toMatch(new RegExp(`\\[${code}\\]`))
    expect(ran.stderr).toMatch(text)
    expect(ran.stdout).toBe("")
  })

  test.skipIf(sandboxOnly)("for another audience, and with an unverified address (the sandbox's tokens)", async () => {
    const sandbox = (...args: string[]): string => {
      const directory = url("GITSIGN_TRUSTED_ROOT").replace(/\/[^/]+$/, "")
      const ran = spawnSync(workspace.program, ["sandbox", "token", ...args, "--dir", directory], {
        encoding: "utf8",
        env: workspace.env,
      })
      if (ran.status !== 0) throw new Error(ran.stderr)
      return ran.stdout.trim()
    }
    await expectRefused({ SIGSTORE_ID_TOKEN: sandbox(EMAIL, "--audience", "other") }, "ERR_TOKEN", /audience/)
    await expectRefused({ SIGSTORE_ID_TOKEN: sandbox(EMAIL, "--unverified") }, "ERR_TOKEN", /verified/)
  })

  test("garbage is refused before anything is sent", async () => {
    await expectRefused(
      { SIGSTORE_ID_TOKEN: "not-a-token", GITSIGN_FULCIO_URL: "http://127.0.0.1:1" },
      "ERR_TOKEN",
      /token/,
    )
  })
})

describe("clocks", () => {
  /** Shifts the clock of the program, not of the machine; only the build for Node can be loaded with it. */
  const shifted = (minutes: number): Record<string, string> => {
    const file = join(workspace.root, "clock.cjs")
    writeFileSync(
      file,
      `const R = Date; const by = Number(process.env.CLOCK_SHIFT) * 60000
       globalThis.Date = class extends R { constructor(...a) { if (a.length) super(...a); else super(R.now() + by) } static now() { return R.now() + by } }`,
    )
    return { NODE_OPTIONS: `--require ${file}`, CLOCK_SHIFT: String(minutes) }
  }

  test.skipIf(process.env.GITSIGN_E2E_PROGRAM !== undefined).each([-600, -5, 5])(
    "off by %i minutes: the signature is good, the log's time counts",
    async (minutes) => {
      // A token that says from when on it is valid, as some issuers' do, stops a clock that is behind before anything is sent.
      const token = await services.token()
      const env = { ...shifted(minutes), SIGSTORE_ID_TOKEN: token }
      if (minutes < 0 && claimsOf(token).nbf !== undefined) return expectRefused(env, "ERR_TOKEN", /clock/)
      const ran = await workspace.runAsync(repository, "git", ["commit", "--allow-empty", "-m", "clock"], { env })
      expect(ran.status, ran.stderr).toBe(0)
      expect(workspace.tryGit(repository, "verify-commit", "HEAD").status).toBe(0)
    },
  )

  test.skipIf(process.env.GITSIGN_E2E_PROGRAM !== undefined)(
    "ahead by hours: every token seems to have expired, and the hint names the clock",
    () => expectRefused(shifted(600), "ERR_TOKEN_EXPIRED", /clock/),
  )
})

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"))

describe("surroundings", () => {
  test("no token, no terminal and no display: a refusal that says the ways out, not a hang", async () => {
    await expectRefused({ SIGSTORE_ID_TOKEN: "", CI: "1" }, "ERR_NO_TOKEN", /SIGSTORE_ID_TOKEN/)
  })

  test.each(["SIGINT", "SIGTERM"] as const)(
    "%s during the login: nothing is signed, the repository is as before",
    async (signal) => {
      const before = workspace.git(repository, "rev-parse", "HEAD")
      const log = join(workspace.root, `log-${signal}`)
      const env = { SIGSTORE_ID_TOKEN: "", GITSIGN_URL_OPENER: "true {{.URL}}", GITSIGN_LOG: log }
      const ran = await workspace.runAsync(repository, "git", ["commit", "--allow-empty", "-m", "never"], {
        env,
        detached: true,
        started: (child) => {
          // As the terminal does it: the whole foreground group gets the signal.
          const poll = setInterval(() => {
            if (!existsSync(join(repository, ".git", "COMMIT_EDITMSG"))) return
            clearInterval(poll)
            setTimeout(() => process.kill(-(child.pid ?? 0), signal), 1500)
          }, 50)
        },
      })
      expect(ran.status).not.toBe(0)
      // git may be gone a moment before its signing program is.
      await vi.waitFor(() => expect(readFileSync(log, "utf8")).toContain("[ERR_CANCELLED]"), 5000)
      expect(workspace.git(repository, "rev-parse", "HEAD")).toBe(before)
      expect(workspace.tryGit(repository, "commit", "--allow-empty", "-m", "afterwards").status).toBe(0)
    },
    30_000,
  )

  test("a signal while the log answers: says that the log may have the entry", async () => {
    const proxy = await startFaultyProxy(url("GITSIGN_REKOR_URL"), "/api/v1/log", { kind: "slow", milliseconds: 4000 })
    const log = join(workspace.root, "log-late")
    try {
      await workspace.runAsync(repository, workspace.program, ["-bsau", "x", join(repository, ".git", "HEAD")], {
        env: { GITSIGN_REKOR_URL: proxy.url, GITSIGN_LOG: log },
        detached: true,
        started: (child) => {
          const poll = setInterval(() => {
            if (proxy.requests() === 0) return
            clearInterval(poll)
            setTimeout(() => process.kill(-(child.pid ?? 0), "SIGTERM"), 200)
          }, 50)
        },
      })
      await vi.waitFor(
        () => expect(readFileSync(log, "utf8")).toMatch(/\[ERR_CANCELLED\][\s\S]*may hold an entry/),
        5000,
      )
    } finally {
      await proxy.close()
    }
  }, 30_000)

  test("stdout closed, or full: exit 3, and nothing is published for a signature that nobody gets", async () => {
    writeFileSync(join(workspace.root, "payload"), workspace.git(repository, "cat-file", "commit", "HEAD"))
    const closed = await workspace.runAsync(repository, "sh", [
      "-c",
      `exec "$1" -bsau x "$2" >&-`,
      "sh",
      workspace.program,
      join(workspace.root, "payload"),
    ])
    expect(closed.status).toBe(3)
    expect(closed.stderr).toContain("[ERR_IO]")
    expect(closed.stderr).not.toContain("index")
    if (existsSync("/dev/full")) {
      const full = await workspace.runAsync(repository, "sh", [
        "-c",
        `exec "$1" -bsau x "$2" >/dev/full`,
        "sh",
        workspace.program,
        join(workspace.root, "payload"),
      ])
      expect(full.status).toBe(3)
      expect(full.stderr).toContain("[ERR_IO]")
    }
  })

  test("a HOME that cannot be written", async () => {
    const home = join(workspace.root, "read-only")
    mkdirSync(home)
    writeFileSync(join(home, ".gitconfig"), readFileSync(join(workspace.root, "home", ".gitconfig")))
    chmodSync(home, 0o500)
    // Root may write anywhere; a file in the way stops even root.
    const env = {
      HOME: home,
      XDG_CACHE_HOME: join(home, ".gitconfig", "cache"),
      XDG_CONFIG_HOME: join(home, ".config"),
    }
    for (const mode of ["offline", "online"]) {
      const ran = await workspace.runAsync(repository, "git", ["commit", "--allow-empty", "-m", "read-only"], {
        env: { ...env, GITSIGN_REKOR_MODE: mode },
      })
      expect(ran.status, ran.stderr).toBe(0)
      const verified = await workspace.runAsync(repository, "git", ["verify-commit", "HEAD"], { env })
      expect(verified.status, verified.stderr).toBe(0)
    }
  }, 30_000)

  test("a log that cannot be written is one line of notice, not an error", async () => {
    const env = { GITSIGN_LOG: join(workspace.root, "no", "such", "folder", "log") }
    writeFileSync(join(workspace.root, "payload"), workspace.git(repository, "cat-file", "commit", "HEAD"))
    const ran = await workspace.runAsync(
      repository,
      workspace.program,
      ["-bsau", "x", join(workspace.root, "payload")],
      { env },
    )
    expect(ran.status, ran.stderr).toBe(0)
    expect(ran.stderr.match(/cannot write the log/g)).toHaveLength(1)
  })
})
