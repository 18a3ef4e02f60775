/**
 * The search for secrets in the logs of the tests finds what it should, and does not show it.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"

const PROGRAM = resolve(import.meta.dirname, "../../.ci/find-secrets.mjs")

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gitsign-search-"))
  mkdirSync(join(folder, "logs/deep"), { recursive: true })
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function search(log: string, secrets: readonly string[] = ["opaque-refresh-token"]) {
  writeFileSync(join(folder, "logs/deep/one.log"), log)
  writeFileSync(join(folder, "secrets"), secrets.map((text) => `${Buffer.from(text).toString("base64")}\n`).join(""))
  return spawnSync(process.execPath, [PROGRAM, join(folder, "secrets"), join(folder, "logs")], { encoding: "utf8" })
}

test("a clean log passes", () => {
  const { status, stdout } = search("gitsign: signing as dev@example.com\n")
  expect(status, stdout).toBe(0)
  expect(stdout).toContain("1 secrets of the tests, 1 logs searched, 0 found")
})

const part = (text: string): string => Buffer.from(text).toString("base64url")

test.each([
  ["a noted secret", "one\ntwo: opaque-refresh-token\n"],
  ["one with colours in it", "one\ntwo: opaque-\u001b[1mrefresh\u001b[22m-token\n"],
  ["any token", `one\ntoken=${part('{"alg":"ES256"}')}.${part('{"iss":"https://a.example"}')}.${"A".repeat(86)}\n`],
  ["any key", `one\n-----BEGIN ${"PRIVATE"} KEY-----\nMIG\n`],
])("%s is found", (_, log) => {
  const { status, stdout } = search(log)
  expect(status).toBe(1)
  expect(stdout).toMatch(/secret is in .*one\.log, line 2|secret of the tests is in .*one\.log, line 2/)
  expect(stdout).not.toContain("opaque-refresh-token")
})

test("a search for nothing is a mistake", () => {
  expect(search("fine\n", []).status).toBe(1)
})
