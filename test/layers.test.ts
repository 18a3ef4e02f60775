/**
 * The direction of imports and the purity of the inner layers, as docs/architecture.md draws them.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { describe, expect, test } from "vitest"

const ROOT = resolve(import.meta.dirname, "..")

/** What each layer may import of this program. A layer may always import itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  formats: ["errors"],
  verify: ["formats", "errors"],
  sign: ["verify", "formats", "errors"],
  policy: ["formats", "errors"],
  services: ["formats", "errors"],
  keyring: ["sign", "formats", "errors"],
  git: ["formats", "errors"],
  audit: ["verify", "policy", "git", "formats", "errors"],
  report: ["audit", "verify", "policy", "formats", "errors"],
  trust: ["formats", "errors"],
  sandbox: ["formats", "errors"],
  config: ["git", "errors"],
  "cache-daemon": ["errors", "formats", "services", "sign", "trust"],
  commands: [
    "audit",
    "cache-daemon",
    "config",
    "errors",
    "formats",
    "git",
    "keyring",
    "policy",
    "report",
    "sandbox",
    "services",
    "sign",
    "trust",
    "verify",
    "package.json",
  ],
  bin: ["commands"],
}

/** Which layers may import a package; one that is not named here may be imported nowhere. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "@grpc/grpc-js": ["services"],
  "@grpc/proto-loader": ["services"],
  "@napi-rs/keyring": ["keyring"],
  "@sigstore/bundle": ["verify"],
  "@sigstore/core": ["verify"],
  "@sigstore/protobuf-specs": ["verify"],
  "@sigstore/verify": ["verify"],
  asn1js: ["sandbox"],
  "bun:ffi": ["cache-daemon"],
  commander: ["commands"],
  openpgp: ["verify"],
  msgpackr: ["cache-daemon"],
  "google-auth-library": ["services"],
  "https-proxy-agent": ["services"],
  "oidc-provider": ["sandbox"],
  open: ["services"],
  "openid-client": ["services"],
  pkijs: ["sandbox"],
  re2js: ["policy"],
  uqr: ["commands"],
  yaml: ["policy"],
}

/** These layers turn bytes and arguments into values: no file, no socket, no process, no clock. */
const PURE = ["errors", "formats", "verify", "sign", "policy", "report"]
const PURE_BUILTINS = ["node:buffer", "node:crypto", "node:util"]

/** The layers that are the process; all others get what they need from them. */
const PROCESS = ["commands", "bin", "cache-daemon"]

interface Source {
  /** From the root of the repository. */
  readonly path: string
  readonly layer: string
  readonly text: string
}

const layerOf = (path: string): string => {
  const [first = "", second = ""] = path.split("/")
  return first === "src" ? second.replace(/\.ts$/, "") : first
}

const sources: readonly Source[] = ["src", "bin", "cache-daemon"]
  .flatMap((top) => readdirSync(join(ROOT, top), { recursive: true, encoding: "utf8" }).map((path) => `${top}/${path}`))
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({ path, layer: layerOf(path), text: readFileSync(join(ROOT, path), "utf8") }))

/** Comments and the text in strings are not code; what an import names stays. */
const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, "$1")

function importsOf(text: string): string[] {
  const code = withoutComments(text)
  const found = code.matchAll(/(?<![.\w])(?:from\s*|import\s*\(?\s*)"([^"\n]+)"/g)
  const computed = /\bimport\s*\((?!\s*")/.exec(code)
  return [...[...found].map(([, specifier = ""]) => specifier), ...(computed === null ? [] : ["(computed)"])]
}

function violationsOf({ path, layer, text }: Source): string[] {
  const violations: string[] = []
  for (const specifier of importsOf(text)) {
    if (specifier.startsWith("node:")) {
      if (PURE.includes(layer) && !PURE_BUILTINS.includes(specifier)) violations.push(`${path}: ${specifier}`)
    } else if (specifier.startsWith(".")) {
      const target = layerOf(relative(ROOT, resolve(ROOT, dirname(path), specifier)).replaceAll("\\", "/"))
      if (target !== layer && !ALLOWED[layer]?.includes(target)) violations.push(`${path}: ${target}`)
      if (target === "sandbox" && layer !== "sandbox" && path !== "src/commands/sandbox.ts") {
        violations.push(`${path}: only src/commands/sandbox.ts imports the sandbox`)
      }
    } else {
      const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")
      if (!PACKAGES[name]?.includes(layer)) violations.push(`${path}: ${specifier}`)
    }
  }
  const code = withoutComments(text)
  if (!PROCESS.includes(layer)) {
    for (const [use] of code.matchAll(/\bprocess\.(env|argv|cwd|stdin|stdout|stderr|exit)\b/g))
      violations.push(`${path}: ${use}`)
  }
  if (PURE.includes(layer)) {
    const impure =
      /\bprocess\.\w+|\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bset(Timeout|Interval|Immediate)\b|\bfetch\(/g
    for (const [use] of code.matchAll(impure)) violations.push(`${path}: ${use}`)
  }
  return violations
}

describe("layers", () => {
  test("every file is in a layer that the whitelist names", () => {
    expect(sources.length).toBeGreaterThan(40)
    expect(sources.filter(({ layer }) => !(layer in ALLOWED)).map(({ path }) => path)).toEqual([])
  })

  test("no file imports or uses what its layer may not", () => {
    expect(sources.flatMap(violationsOf)).toEqual([])
  })

  test.each([
    ["src/formats/x.ts", 'import type { Signer } from "../verify/summary.ts"'],
    ["src/formats/x.ts", 'import { readFileSync } from "node:fs"'],
    ["src/verify/x.ts", "const now = new Date()"],
    ["src/sign/x.ts", "const now = Date.now()"],
    ["src/services/x.ts", 'import { verifySignature } from "../verify/verify.ts"'],
    ["src/services/x.ts", "const home = process.env.HOME"],
    ["src/commands/verify.ts", 'const sandbox = await import("../sandbox/fulcio.ts")'],
    ["src/commands/verify.ts", "const part = await import(name)"],
    ["src/verify/x.ts", 'export { parse } from "pkijs"'],
    ["src/verify/x.ts", 'import {\n  a,\n  b,\n} from "../services/http.ts"'],
    ["bin/gitsign.ts", 'import "../src/verify/verify.ts"'],
  ])("the test can fail: %s: %s", (path, text) => {
    expect(violationsOf({ path, layer: layerOf(path), text })).not.toEqual([])
  })

  test("comments are not code", () => {
    const text = '/** import x from "pkijs" */\n// new Date()\nconst a = 1 // process.env'
    expect(violationsOf({ path: "src/formats/x.ts", layer: "formats", text })).toEqual([])
  })
})
