/**
 * Reading git's configuration: what `git config -z` prints, and what real git does with the odd cases.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { parseGitConfig, readGitConfig } from "../../src/git/config.ts"

test("parses keys without a value, values of several lines, and empty ones", () => {
  const output = "file:a\0gitsign.a\0file:b\0gitsign.b\none\ntwo\n\0command line:\0gitsign.c\n\0"
  expect(parseGitConfig(output)).toEqual([
    { origin: "file:a", key: "gitsign.a", value: undefined },
    { origin: "file:b", key: "gitsign.b", value: "one\ntwo\n" },
    { origin: "command line:", key: "gitsign.c", value: "" },
  ])
  expect(parseGitConfig("")).toEqual([])
})

describe("real git", () => {
  let directory: string
  const env = () => ({
    PATH: process.env.PATH,
    HOME: directory,
    XDG_CONFIG_HOME: directory,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CEILING_DIRECTORIES: tmpdir(),
  })
  const read = (more: NodeJS.ProcessEnv = {}) => readGitConfig({ cwd: directory, env: { ...env(), ...more } })

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "gitsign-config-"))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test("nothing set", async () => {
    expect(await read()).toEqual([])
  })

  test("the scopes that git has, in its order, and nothing else", async () => {
    writeFileSync(
      join(directory, ".gitconfig"),
      '[GitSign]\n\tFulcio = one\n\tmatchCommitter\n\trekor = "two\\nlines"\n[gitsignx]\n\tfulcio = x\n[user]\n\temail = a@example.com\n',
    )
    const entries = await read({
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "gitsign.FULCIO",
      GIT_CONFIG_VALUE_0: "three",
    })
    expect(entries.map(({ key, value }) => [key, value])).toEqual([
      ["gitsign.fulcio", "one"],
      ["gitsign.matchcommitter", undefined],
      ["gitsign.rekor", "two\nlines"],
      ["user.email", "a@example.com"],
      ["gitsign.fulcio", "three"],
    ])
    expect(entries[0]?.origin).toBe(`file:${directory}/.gitconfig`)
    expect(entries[4]?.origin).toBe("command line:")
  })

  test("a file that git cannot read is told with its line", async () => {
    writeFileSync(join(directory, ".gitconfig"), "[gitsign\n")
    await expect(read()).rejects.toMatchObject({
      code: "ERR_CONFIG",
      message: expect.stringMatching(/^git cannot read its configuration: bad config line 1 in file .*\.gitconfig$/),
    })
  })

  test("no git", async () => {
    await expect(read({ PATH: "/nonexistent" })).rejects.toMatchObject({
      code: "ERR_GIT",
      message: "there is no git program on PATH",
    })
  })
})
