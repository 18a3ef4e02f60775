/**
 * Which home directory is used, and that one which is not there is none.
 *
 * @module
 */

import { mkdtempSync, writeFileSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { homeDirectory } from "../../src/services/home-directory.ts"

test("the one that HOME names, else the account's", () => {
  expect(homeDirectory({ HOME: tmpdir() })).toBe(tmpdir())
  expect(homeDirectory({})).toBe(homedir())
  expect(homeDirectory({ HOME: "" })).toBe(homedir())
})

test("one that is not there, or no directory, is none", () => {
  const file = join(mkdtempSync(join(tmpdir(), "gitsign-home-")), "file")
  writeFileSync(file, "")
  for (const HOME of [file, join(file, "below"), "/no/such/home", "/proc/none"]) {
    expect(homeDirectory({ HOME })).toBeUndefined()
  }
})
