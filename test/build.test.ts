/**
 * The two programs that are built: what git calls loads only what it uses, and a repository cannot make the standalone
 * executable run its code.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"

const ROOT = resolve(import.meta.dirname, "..")
const DIST = join(ROOT, "dist")
const OBJECT = join(ROOT, "fixtures/commits/real-ad0fb760-offline/object")

let work: string
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "gitsign-build-"))
  const object = readFileSync(OBJECT, "latin1")
  const [header = ""] = /^gpgsig (?:.*\n )+.*\n/m.exec(object) ?? []
  writeFileSync(join(work, "payload"), object.replace(header, ""), "latin1")
  writeFileSync(join(work, "signature"), header.replace(/^(gpgsig)? /gm, ""), "latin1")
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

const run = (command: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) =>
  spawnSync(command, args, {
    cwd: options.cwd ?? work,
    env: { PATH: process.env.PATH, HOME: work, GIT_CONFIG_NOSYSTEM: "1", ...options.env },
    input: "",
    encoding: "utf8",
    timeout: 30_000,
  })

describe("what git calls", () => {
  const HEAVY = [
    "asn1js",
    "commander",
    "https-proxy-agent",
    "oidc-provider",
    "open",
    "openid-client",
    "pkijs",
    "re2js",
    "simple-git",
  ]
  /** esbuild marks where the code of each file begins. */
  const packagesIn = (file: string): Set<string> =>
    new Set(
      [...readFileSync(file, "utf8").matchAll(/^\s*\/\/ (?:\.\.\/)*node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\//gm)].map(
        ([, name = ""]) => name,
      ),
    )

  test("the entry holds none of the packages that only other verbs use", () => {
    const entry = packagesIn(join(DIST, "gitsign.cjs"))
    expect(HEAVY.filter((name) => entry.has(name))).toEqual([])
    // Were the marks to change, this would notice.
    expect([...entry]).toContain("@sigstore/verify")
    const lazy = readdirSync(join(DIST, "lazy")).flatMap((file) => [...packagesIn(join(DIST, "lazy", file))])
    for (const name of ["commander", "openid-client", "pkijs", "re2js"]) expect(lazy).toContain(name)
  })

  test("verifying and signing need no other file", () => {
    const alone = join(work, "gitsign.cjs")
    copyFileSync(join(DIST, "gitsign.cjs"), alone)
    const verified = run(process.execPath, [alone, "--status-fd=1", "--verify", "signature", "payload"])
    expect(verified.stdout).toContain("GOODSIG")
    const env = { SIGSTORE_ID_TOKEN: token(), GITSIGN_FULCIO_URL: "http://127.0.0.1:1" }
    const signing = run(process.execPath, [alone, "-bsau", "key", "payload"], { env })
    expect(signing.stderr).toContain("127.0.0.1:1 refused the connection")
    // The other verbs do need one: the copy is not complete.
    expect(run(process.execPath, [alone, "help"]).status).toBe(70)
  })
})

/** Well-formed and valid for long; nobody will see it. */
const token = (): string => {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")
  return `${part({ alg: "none" })}.${part({ iss: "https://issuer.example", sub: "1", aud: "sigstore", exp: 4102444800 })}.c2ln`
}

describe("the standalone executable", () => {
  const native = join(DIST, "native", process.platform === "win32" ? "gitsign.exe" : "gitsign")

  beforeAll(() => {
    const built = spawnSync(process.execPath, ["packaging/build.mjs", "--native"], { cwd: ROOT, encoding: "utf8" })
    expect(built.stderr).toBe("")
    expect(built.status).toBe(0)
  })

  test("does what the program for Node does", () => {
    const args = ["--status-fd=1", "--verify", "signature", "payload"]
    const here = run(native, args)
    const there = run(process.execPath, [join(DIST, "gitsign.cjs"), ...args])
    expect(here.stdout).toContain("GOODSIG")
    expect([here.status, here.stdout, here.stderr]).toEqual([there.status, there.stdout, there.stderr])
    expect(run(native, ["help", "verify"]).stdout).toBe(
      run(process.execPath, [join(DIST, "gitsign.cjs"), "help", "verify"]).stdout,
    )
  })

  test("is gitsign-credential-cache under that name", () => {
    const link = join(DIST, "native", "gitsign-credential-cache")
    const here = run(link, ["--version"])
    const there = run(process.execPath, [join(DIST, "gitsign-credential-cache.cjs"), "--version"])
    expect(here.stdout).toMatch(/^gitsign-credential-cache version /)
    expect([here.status, here.stdout]).toEqual([there.status, there.stdout])
    expect(run(native, ["--version"]).stdout).toMatch(/^gitsign version /)
    // Found on PATH, the name has no folder.
    const onPath = run("gitsign-credential-cache", ["-v"], { env: { PATH: join(DIST, "native") } })
    expect(onPath.stdout).toBe(here.stdout)
  })

  /** A directory that uses all that a bun program could load from the place where it is started. */
  const hostile = (name: string): { directory: string; traces: () => string[] } => {
    const directory = join(work, name)
    mkdirSync(directory)
    const write = (file: string, text: string): void => writeFileSync(join(directory, file), text)
    write(".env", `GITSIGN_LOG=${join(directory, "trace-dotenv")}\nBUN_OPTIONS=--preload=./evil.js\n`)
    for (const file of [".env.local", ".env.production", ".env.development"]) {
      write(file, `GITSIGN_LOG=${join(directory, `trace${file}`)}\n`)
    }
    write("bunfig.toml", 'preload = ["./evil.js"]\n[run]\npreload = ["./evil.js"]\n')
    write(".bunfig.toml", 'preload = ["./evil.js"]\n')
    write("evil.js", `require("fs").writeFileSync(${JSON.stringify(join(directory, "trace-preload"))}, "")\n`)
    write("package.json", '{"name": "evil", "type": "module", "imports": {"#x": "./evil.js"}}\n')
    write("tsconfig.json", '{"compilerOptions": {"paths": {"*": ["./evil.js"]}}}\n')
    return { directory, traces: () => readdirSync(directory).filter((file) => file.startsWith("trace")) }
  }

  test("loads nothing from the directory it is started in, nor from the home directory", () => {
    const { directory, traces } = hostile("protected")
    for (const args of [["--nonsense"], ["help"], ["--verify", join(work, "signature"), join(work, "payload")]]) {
      const env = { HOME: directory, XDG_CONFIG_HOME: directory }
      expect(run(native, args, { cwd: directory, env }).status).toBe(args[0] === "--nonsense" ? 2 : 0)
    }
    expect(traces()).toEqual([])
  })

  test("which it would do if it were built without protection", () => {
    const bun = join(dirname(createRequire(import.meta.url).resolve("bun/package.json")), "bin", "bun.exe")
    const unprotected = join(work, "unprotected-gitsign")
    const built = spawnSync(bun, ["build", "--compile", "bin/gitsign.ts", `--outfile=${unprotected}`], { cwd: ROOT })
    expect(built.status).toBe(0)
    const { directory, traces } = hostile("unprotected")
    run(unprotected, ["--nonsense"], { cwd: directory, env: { HOME: directory } })
    expect(traces().some((name) => name.includes("env"))).toBe(true)
    expect(existsSync(join(directory, "trace-preload"))).toBe(true)
  })
})
