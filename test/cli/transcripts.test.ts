/**
 * Runs every transcript in test/cli/transcripts against the built program.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { isBuilt, runTranscript } from "./transcript.ts"

const DIRECTORY = join(import.meta.dirname, "transcripts")

test("the program has been built", () => {
  expect(isBuilt(), "npm run build makes dist/").toBe(true)
})

describe("transcripts", () => {
  test.concurrent.each(readdirSync(DIRECTORY).filter((name) => name.endsWith(".txt")))("%s", async (name) => {
    await runTranscript(readFileSync(join(DIRECTORY, name), "utf8"))
  })
})

describe("the runner notices", () => {
  test.each([
    ["a command that fails", "exec false"],
    ["a command that should fail and does not", "! exec true"],
    ["another status", "! exec sh -c 'exit 3'\nstatus 2"],
    ["output that is missing", "exec echo hello\nstdout 'help'"],
    ["output that should be missing", "exec echo hello\n! stdout 'hell'"],
    ["two files that differ", "cmp a b\n-- a --\n1\n-- b --\n2\n"],
    ["a file that is missing", "exists nothing"],
    ["a misspelt verb", "exce true"],
  ])("%s", async (_, text) => {
    await expect(runTranscript(text)).rejects.toThrow(/^line \d+: /)
  })
})
