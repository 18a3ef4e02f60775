/**
 * Every help fits a terminal without a size, and says choices and defaults in one form.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { runCommandLine } from "../../src/commands/cli.ts"
import { examplesText } from "../../src/commands/help-layout.ts"
import type { CommandIo } from "../../src/commands/io.ts"
import { Messages } from "../../src/commands/messages.ts"
import { wrapWords } from "../../src/formats/wrap.ts"

async function printed(...argv: string[]): Promise<string> {
  let text = ""
  const stdout = (part: string): void => {
    text += part
  }
  const io: CommandIo = { env: {}, cwd: ".", stdout, stderr: () => undefined }
  await runCommandLine(argv, io, new Messages(io))
  return text
}

test("no help of any verb is wider than 80 columns", async () => {
  const places = [...(await printed("completion", "bash")).matchAll(/ place='([^']+)' ;;/g)].map(
    ([, path = ""]) => path,
  )
  const verbs = [...new Set(places)].filter((path) => !path.startsWith("help ") && !path.includes(" help "))
  expect(verbs).toEqual(expect.arrayContaining(["verify", "hook update", "agent start", "help"]))
  for (const verb of [[], ...verbs.map((path) => path.split(" "))]) {
    const text = await printed(...verb, "--help")
    expect(text).toContain("Usage: gitsign")
    expect(text.split("\n").filter((line) => line.length > 80)).toEqual([])
    expect(text).not.toMatch(/\(default: [^)]*\) \(|choices: "|display help/)
  }
})

describe("long examples", () => {
  test("are broken as a shell takes it, and not within quotes", () => {
    const example = 'gitsign sandbox token --claim "name=a value" --audience other-audience dev@example.com'
    const text = examplesText([example], 50)
    expect(text.split("\n").every((line) => line.length <= 50)).toBe(true)
    expect(text).toContain(" \\\n      --audience")
    expect(text.replace(/ \\\n +/g, " ")).toBe(`\nExamples:\n  $ ${example}\n`)
  })

  test("have what they are for above them", () => {
    expect(examplesText(["gitsign verify   # what is here"], 30)).toBe(
      "\nExamples:\n  # what is here\n  $ gitsign verify\n",
    )
  })
})

test("a word that is longer than a line stays whole", () => {
  expect(wrapWords(["a", "b", "https://example.com/long", "c"], 10, 2)).toBe("  a b\n  https://example.com/long\n  c")
})
