/**
 * The option table: precedence, parsers, and what a wrong value is told as.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { configHelp, configTable, resolveConfig } from "../src/config.ts"
import { GitsignError } from "../src/errors.ts"
import type { GitConfigEntry } from "../src/git/config.ts"

const entry = (key: string, value: string | undefined, origin = "file:.git/config"): GitConfigEntry => ({
  key,
  value,
  origin,
})

const resolve = (gitConfig: readonly GitConfigEntry[], env: NodeJS.ProcessEnv = {}) => resolveConfig({ gitConfig, env })

const errorOf = (gitConfig: readonly GitConfigEntry[], env: NodeJS.ProcessEnv = {}): GitsignError => {
  try {
    resolve(gitConfig, env)
  } catch (error) {
    if (error instanceof GitsignError) return error
  }
  throw new Error("it was accepted")
}

test("defaults", () => {
  expect(resolve([])).toEqual({
    fulcio: "https://fulcio.sigstore.dev",
    rekor: "https://rekor.sigstore.dev",
    rekorMode: "offline",
    rekorVersion: 1,
    issuer: "https://oauth2.sigstore.dev/auth",
    clientID: "sigstore",
    clientSecretFile: undefined,
    redirectURL: undefined,
    connectorID: undefined,
    credentialCache: undefined,
    credentialCacheScope: "user",
    credentialCacheMode: "off",
    refreshLogin: false,
    tokenProvider: undefined,
    tokenCommand: undefined,
    tokenFile: undefined,
    publishConsent: "ask",
    agentConfirm: false,
    agentLifetime: 0,
    agentMaxSignatures: 0,
    autoclose: true,
    autocloseTimeout: 6,
    urlOpener: undefined,
    matchCommitter: false,
    timestampServerURL: undefined,
    timestampCertChain: undefined,
    trustedRoot: undefined,
    fulcioRoot: undefined,
    rekorPublicKey: undefined,
    ctLogPublicKey: undefined,
    logPath: undefined,
    policy: undefined,
    rootPolicy: undefined,
    hookTimeLimit: 60,
    hookUnchecked: "refuse",
    enableSigstoreGo: true,
    committer: { name: undefined, email: undefined },
  })
})

test.each([
  [{}, "off", undefined],
  [{ cache: "auto" }, "agent", "auto"],
  [{ cache: "/run/a.sock" }, "agent", "/run/a.sock"],
  [{ mode: "agent" }, "agent", "auto"],
  [{ mode: "agent", cache: "/run/a.sock" }, "agent", "/run/a.sock"],
  [{ mode: "agent", cache: "off" }, "agent", "auto"],
  [{ mode: "off", cache: "auto" }, "off", undefined],
  [{ mode: "system", cache: "auto" }, "system", undefined],
  [{ mode: "", cache: "auto" }, "agent", "auto"],
] as [{ mode?: string; cache?: string }, string, string | undefined][])(
  "where a login is kept: %j is %s, %s",
  ({ mode, cache }, expectedMode, expectedCache) => {
    const set = [
      ...(mode === undefined ? [] : [entry("gitsign.credentialcachemode", mode)]),
      ...(cache === undefined ? [] : [entry("gitsign.credentialcache", cache)]),
    ]
    expect(resolve(set)).toMatchObject({ credentialCacheMode: expectedMode })
    expect(resolve(set).credentialCache).toBe(expectedCache)
  },
)

test.each(["keyring", "Agent", "true"])("credentialCacheMode %s is refused", (mode) => {
  expect(() => resolve([entry("gitsign.credentialcachemode", mode)])).toThrow(/must be off or agent or system/)
})

test("the token provider auto is the same as none", () => {
  expect(resolve([entry("gitsign.tokenprovider", "auto")]).tokenProvider).toBeUndefined()
})

describe("precedence", () => {
  const inGit = [entry("gitsign.fulcioroot", "from-git")]

  test("git config, then SIGSTORE_ROOT_FILE, then SIGSTORE_*, then GITSIGN_*", () => {
    const env: NodeJS.ProcessEnv = {}
    expect(resolve(inGit, env).fulcioRoot).toBe("from-git")
    env.SIGSTORE_ROOT_FILE = "root-file"
    expect(resolve(inGit, env).fulcioRoot).toBe("root-file")
    env.SIGSTORE_FULCIO_ROOT = "sigstore"
    expect(resolve(inGit, env).fulcioRoot).toBe("sigstore")
    env.GITSIGN_FULCIO_ROOT = "gitsign"
    expect(resolve(inGit, env).fulcioRoot).toBe("gitsign")
  })

  test("a variable that is set to nothing is set", () => {
    expect(resolve(inGit, { GITSIGN_FULCIO_ROOT: "", SIGSTORE_FULCIO_ROOT: "x" }).fulcioRoot).toBeUndefined()
    expect(resolve([entry("gitsign.autoclose", "true")], { GITSIGN_AUTOCLOSE: "" }).autoclose).toBe(false)
  })

  test("of several values in git config the last one counts, and keys have no case", () => {
    const entries = [entry("gitsign.clientid", "a"), entry("gitsign.clientid", "b"), entry("gitsign.clientID", "c")]
    expect(resolve(entries).clientID).toBe("c")
  })

  test("a wrong value that does not count is no error", () => {
    const entries = [entry("gitsign.rekormode", "nonsense"), entry("gitsign.rekormode", "online")]
    expect(resolve(entries).rekorMode).toBe("online")
    expect(resolve([entry("gitsign.rekormode", "nonsense")], { GITSIGN_REKOR_MODE: "online" }).rekorMode).toBe("online")
  })
})

test("the committer is that of git config", () => {
  const entries = [entry("user.name", "A"), entry("user.email", "a@example.com"), entry("user.email", "b@example.com")]
  expect(resolve(entries, { GIT_COMMITTER_EMAIL: "other" }).committer).toEqual({ name: "A", email: "b@example.com" })
})

describe("values", () => {
  test.each([
    ["true", true],
    ["TRUE", true],
    ["yes", true],
    ["on", true],
    ["1", true],
    [undefined, true],
    ["false", false],
    ["No", false],
    ["off", false],
    ["0", false],
    ["", false],
  ])("matchCommitter %s is %s", (value, expected) => {
    expect(resolve([entry("gitsign.matchcommitter", value)]).matchCommitter).toBe(expected)
  })

  test("~/ in git config is the home directory; in a variable the shell has done that", () => {
    const env = { HOME: "/home/dev", GITSIGN_LOG: "~/log" }
    const config = resolve(
      [entry("gitsign.trustedroot", "~/root.json"), entry("gitsign.fulcioroot", "~x/root.pem")],
      env,
    )
    expect(config.trustedRoot).toBe("/home/dev/root.json")
    expect(config.fulcioRoot).toBe("~x/root.pem")
    expect(config.logPath).toBe("~/log")
  })

  test.each([
    ["firefox --new-tab {{.URL}}", ["firefox", "--new-tab", "{{.URL}}"]],
    [
      `"C:\\Program Files\\chrome.exe" --profile="Profile 1" {{.URL}}`,
      ["C:\\Program Files\\chrome.exe", "--profile=Profile 1", "{{.URL}}"],
    ],
    ["a 'b \"c\" d' {{.URL}}", ["a", 'b "c" d', "{{.URL}}"]],
    ["a '' --u={{.URL}}", ["a", "", "--u={{.URL}}"]],
    ["", undefined],
  ])("urlOpener %s", (value, expected) => {
    expect(resolve([entry("gitsign.urlopener", value)]).urlOpener).toEqual(expected)
  })
})

describe("wrong values", () => {
  test.each([
    ["gitsign.fulcio", "fulcio.example.com", "must be an https address"],
    ["gitsign.fulcio", "", "must be an https address"],
    ["gitsign.fulcio", undefined, "needs a value"],
    ["gitsign.redirecturl", "ftp://localhost/", "must be an https address"],
    ["gitsign.rekormode", "Online", "must be offline or online"],
    ["gitsign.rekorversion", "2", "is not supported yet; only version 1 is"],
    ["gitsign.rekorversion", "3", "must be 1"],
    ["gitsign.matchcommitter", "maybe", "must be true or false"],
    ["gitsign.enablesigstorego", "maybe", "must be true or false"],
    ["gitsign.autoclosetimeout", "-1", "must be a whole number of seconds"],
    ["gitsign.urlopener", "firefox", "must hold {{.URL}}, the login address"],
    ["gitsign.urlopener", 'firefox "{{.URL}}', "has a quote without its other half"],
  ])("%s %s", (key, value, reason) => {
    const error = errorOf([entry(key, value, "file:/home/dev/.gitconfig")])
    expect(error.code).toBe("ERR_CONFIG")
    expect(error.exitStatus).toBe(2)
    expect(error.message.toLowerCase()).toContain(key)
    expect(error.message).toContain(`and ${reason}`)
    expect(error.message).toContain("(git config file:/home/dev/.gitconfig)")
  })

  test("a variable is named as the place", () => {
    expect(errorOf([], { SIGSTORE_REKOR_URL: "nonsense" }).message).toBe(
      'gitsign.rekor is "nonsense" and must be an https address (environment variable SIGSTORE_REKOR_URL)',
    )
  })
})

test("the README holds the table; gitsign help config --markdown prints it", () => {
  expect(readFileSync(new URL("../README.md", import.meta.url), "utf8")).toContain(configTable())
})

test("the tables show every key and variable once", () => {
  const names = [...configTable().matchAll(/`((?:gitsign\.|GITSIGN_|SIGSTORE_)[\w.]+)`/g)].map(([, name]) => name)
  expect(names.length).toBeGreaterThan(40)
  expect(new Set(names).size).toBe(names.length)
  for (const name of names) expect(configHelp()).toContain(name)
})

test.each([
  ["auto", "auto"],
  ["off", undefined],
  ["", undefined],
  ["/run/agent.sock", "/run/agent.sock"],
])("credentialCache %j is %j", (value, expected) => {
  const { credentialCache } = resolveConfig({ gitConfig: [], env: { GITSIGN_CREDENTIAL_CACHE: value } })
  expect(credentialCache).toBe(expected)
})

test.each(["true", "on", "Auto", "agent.sock"])("credentialCache %j is no path", (value) => {
  expect(() => resolveConfig({ gitConfig: [], env: { GITSIGN_CREDENTIAL_CACHE: value } })).toThrow(
    "must be auto, off or the path of a socket",
  )
})
