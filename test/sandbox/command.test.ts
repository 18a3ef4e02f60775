/**
 * `gitsign sandbox` as a person types it: a daemon of its own, exports that a shell can evaluate, tokens.
 *
 * @module
 */

import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { prepareDirectory } from "../../src/sandbox/state.ts"
import { get, temporaryFolder } from "./client.ts"
import { buildSandboxProgram, type Ran, run } from "./program.ts"

let folder = ""
let script = ""
let directory = ""
beforeAll(async () => {
  folder = temporaryFolder()
  script = await buildSandboxProgram(folder)
  directory = join(folder, "it's a sandbox ü")
})
afterAll(async () => {
  await sandbox("stop")
  rmSync(folder, { recursive: true, force: true })
})

const sandbox = (verb: string, ...args: string[]): Promise<Ran> =>
  run(script, ["sandbox", verb, ...args, "--dir", directory])

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString())

describe("before the first start", () => {
  test("status, env and token say that there is none, with exit status 3", async () => {
    for (const verb of ["status", "env", "token"]) {
      const { status, stdout, stderr } = await sandbox(verb)
      expect([status, stdout]).toEqual([3, ""])
      expect(stderr).toContain("[ERR_SANDBOX]")
      expect(stderr).toMatch(/hint: start it with: gitsign sandbox start --dir/)
    }
    expect(JSON.parse((await sandbox("status", "--format", "json")).stdout)).toEqual({ running: false, directory })
    expect(await sandbox("stop")).toMatchObject({ status: 0, stdout: "the sandbox did not run\n" })
  })

  test("a directory that cannot be made is refused at once and in words", async () => {
    writeFileSync(join(folder, "file"), "")
    const below = await run(script, ["sandbox", "start", "--dir", join(folder, "file", "sandbox")])
    expect(below.stderr).toContain("it, or a part of its path, is no directory [ERR_SANDBOX]\ngitsign: hint: see that ")
    expect(below.status).toBe(3)
    const deep = join(folder, "one", "two", "three")
    await prepareDirectory(deep)
    expect(statSync(deep).mode & 0o777).toBe(0o700)
    // Where Node's own `mkdir -p` would try for ever.
    if (!existsSync("/proc/self")) return
    const nowhere = await run(script, ["sandbox", "start", "--dir", "/proc/gitsign"])
    expect(nowhere.stderr).toContain("/proc/gitsign cannot be used: there is no such file [ERR_SANDBOX]")
    expect(nowhere.status).toBe(3)
  })
})

describe("a daemon", () => {
  test("starts once, whoever asks, and tells where it is", async () => {
    const [one, two] = await Promise.all([sandbox("start"), sandbox("start")])
    expect([one.status, two.status, one.stderr, two.stderr]).toEqual([0, 0, one.stderr, one.stderr])
    const outputs = [one.stdout, two.stdout].sort()
    expect(outputs[0]).toMatch(/^the sandbox runs already on http:\/\/127\.0\.0\.1:\d+\n$/)
    expect(outputs[1]).toBe(outputs[0]?.replace(" already", ""))
    const [, url = ""] = /on (\S+)\n/.exec(outputs[1] ?? "") ?? []

    const { status, stdout } = await sandbox("status")
    expect(status).toBe(0)
    expect(stdout).toContain(`the sandbox runs on ${url}\n`)
    expect(stdout).toContain("entries    0 in Rekor, 0 in the CT log")
    const json = JSON.parse((await sandbox("status", "--format", "json")).stdout)
    expect(json).toMatchObject({
      running: true,
      directory,
      urls: { fulcio: url, tuf: `${url}/tuf` },
      entries: { rekor: 0 },
    })
    expect((await get(`${url}/api/v1/log`)).status).toBe(200)
    expect(statSync(join(directory, "sandbox.log")).mode & 0o777).toBe(0o600)
  })

  test("is reached past a proxy that the environment names", async () => {
    const proxy = { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9", NODE_USE_ENV_PROXY: "1" }
    expect((await run(script, ["sandbox", "status", "--dir", directory], proxy)).status).toBe(0)
  })

  test("stops for its owner only, and starts again with the same names", async () => {
    const { urls, pid } = JSON.parse((await sandbox("status", "--format", "json")).stdout)
    const refused = await fetch(`${urls.fulcio}/sandbox/stop`, {
      method: "POST",
      headers: { authorization: "Bearer x" },
    })
    expect(refused.status).toBe(401)
    expect(await sandbox("stop")).toMatchObject({ status: 0, stdout: "the sandbox has stopped\n" })
    await expect(fetch(urls.fulcio)).rejects.toThrow()
    expect((await sandbox("status")).status).toBe(3)
    expect((await sandbox("env")).stderr).toContain("the sandbox does not run; start it with")
    await sandbox("start")
    const again = JSON.parse((await sandbox("status", "--format", "json")).stdout)
    expect(again.urls).toEqual(urls)
    expect(again.pid).not.toBe(pid)
  })

  test("that cannot start says why: its port is taken, its directory is somebody's own, its log is damaged", async () => {
    const { urls } = JSON.parse((await sandbox("status", "--format", "json")).stdout)
    await sandbox("stop")
    const { port } = new URL(urls.fulcio)
    const intruder = createServer((_request, response) => response.end("{}"))
    await new Promise<void>((done) => intruder.listen(Number(port), "127.0.0.1", done))
    const taken = await sandbox("start")
    expect([taken.status, taken.stdout]).toEqual([3, ""])
    expect(taken.stderr).toContain(`port ${port}, which is part of this sandbox's names, is taken [ERR_SANDBOX]`)
    expect((await sandbox("status")).status).toBe(3)
    await new Promise((done) => intruder.close(done))

    const other = join(folder, "other")
    mkdirSync(other)
    writeFileSync(join(other, "notes.txt"), "")
    const foreign = await run(script, ["sandbox", "start", "--dir", other])
    expect(foreign.status).toBe(3)
    expect(foreign.stderr).toContain("holds something that is not a sandbox: notes.txt")

    const log = join(directory, "rekor.log")
    const content = readFileSync(log)
    writeFileSync(log, Buffer.alloc(64, 1))
    const damaged = await sandbox("start")
    expect(damaged.status).toBe(3)
    expect(damaged.stderr).toMatch(/rekor\.log is damaged at byte 0 \[ERR_SANDBOX\]/)
    writeFileSync(log, content)
    expect((await sandbox("start")).status).toBe(0)
  })
})

describe("env", () => {
  const evaluate = (code: string): Record<string, string> => {
    const output = execFileSync("sh", ["-c", 'eval "$1"; env -0', "sh", code], {
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin" },
    })
    return Object.fromEntries(
      output.split("\0").map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)]),
    )
  }

  test("prints exports for every name that the Go gitsign and this one need; the files are there", async () => {
    const variables = evaluate((await sandbox("env")).stdout)
    const { urls } = JSON.parse((await sandbox("status", "--format", "json")).stdout)
    expect(variables).toMatchObject({
      GITSIGN_FULCIO_URL: urls.fulcio,
      GITSIGN_REKOR_URL: urls.rekor,
      GITSIGN_OIDC_ISSUER: urls.issuer,
      TUF_MIRROR: urls.tuf,
    })
    for (const name of [
      "GITSIGN_FULCIO_ROOT",
      "GITSIGN_TRUSTED_ROOT",
      "SIGSTORE_REKOR_PUBLIC_KEY",
      "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
      "TUF_ROOT",
      "TUF_ROOT_JSON",
    ]) {
      expect(existsSync(variables[name] ?? ""), name).toBe(true)
      expect(variables[name]?.startsWith(directory)).toBe(true)
    }
    expect(variables).not.toHaveProperty("SIGSTORE_ID_TOKEN")
    expect(variables).not.toHaveProperty("GITSIGN_TIMESTAMP_SERVER_URL")
  })

  test("adds a token and timestamps when asked", async () => {
    const variables = evaluate((await sandbox("env", "--token", "me@example.com", "--timestamp")).stdout)
    expect(claimsOf(variables.SIGSTORE_ID_TOKEN ?? "")).toMatchObject({ email: "me@example.com", aud: "sigstore" })
    expect(variables.GITSIGN_TIMESTAMP_SERVER_URL).toMatch(/\/api\/v1\/timestamp$/)
    expect(existsSync(variables.GITSIGN_TIMESTAMP_CERT_CHAIN ?? "")).toBe(true)
  })

  test("speaks other shells", async () => {
    const fish = (await sandbox("env", "--shell", "fish")).stdout
    expect(fish).toContain(`set -gx TUF_ROOT '${directory.replace("'", "\\'")}/tuf-cache'`)
    const powershell = (await sandbox("env", "--shell", "powershell")).stdout
    expect(powershell).toContain(`$env:TUF_ROOT = '${directory.replace("'", "''")}/tuf-cache'`)
  })
})

describe("token", () => {
  const token = async (...args: string[]): Promise<Record<string, unknown>> =>
    claimsOf((await sandbox("token", ...args)).stdout.trim())

  test("has claims as asked", async () => {
    const now = Date.now() / 1000
    const plain = await token()
    expect(plain).toMatchObject({ email: "dev@example.com", email_verified: true, aud: "sigstore" })
    expect(Number(plain.exp) - now).toBeGreaterThan(3500)
    expect(await token("a@b.example", "--unverified")).toMatchObject({ email: "a@b.example", email_verified: false })
    expect(await token("--audience", "other")).toMatchObject({ aud: "other" })
    const expired = await token("--ttl", "-60")
    expect(Number(expired.exp)).toBeLessThan(now - 50)
    expect(Number(expired.iat)).toBeLessThan(Number(expired.exp))
    expect(await token("--subject", "https://example.com/me")).toMatchObject({ sub: "https://example.com/me" })
    const github = await token("--github", "o/r", "--claim", "ref=refs/heads/x=y", "--claim", "event_name=release")
    expect(github).toMatchObject({ repository: "o/r", ref: "refs/heads/x=y", event_name: "release" })
    expect(github).not.toHaveProperty("email")
  })

  test("refuses what makes no sense", async () => {
    expect((await sandbox("token", "a@b.example", "--github", "o/r")).status).toBe(2)
  })
})

test("the directory is the one of the XDG state folder unless it is named", async () => {
  const state = join(folder, "state")
  expect((await run(script, ["sandbox", "status"], { XDG_STATE_HOME: state })).stderr).toContain(
    join(state, "gitsign", "sandbox"),
  )
  const home = join(folder, "home")
  const { stderr } = await run(script, ["sandbox", "status"], { XDG_STATE_HOME: "relative", HOME: home })
  expect(stderr).toContain(join(home, ".local", "state", "gitsign", "sandbox"))
})
