/**
 * Globs over refs and paths: what they mean, against a second reading of them, and how long they take.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { globProblem, linkGlobs, pathGlob, refGlob, sampleOf } from "../../src/policy/glob.ts"

/** The same as a backtracking pattern, part by part: too slow for an attacker's glob, and plain to read. */
function oracle(glob: string, over: "refs" | "paths"): RegExp {
  const parts = glob.replace(/\/+$/, "").split("/")
  const one = (part: string): string =>
    part.replace(/\\(.)|(\*)|(\?)|([^*?])/gu, (_, escaped?: string, many?: string, single?: string, letter?: string) =>
      many ? "[^/]*" : single ? "[^/]" : (escaped ?? letter ?? "").replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"),
    )
  let pattern = ""
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1
    if (part !== "**") pattern += one(part) + (isLast ? "" : "/")
    else if (!isLast) pattern += "(?:[^/]*/)*"
    else if (over === "refs") pattern += ".+"
    else pattern = pattern.endsWith("/") ? `${pattern.slice(0, -1)}(?:/.*)?` : `${pattern}.*`
  }
  return new RegExp(`^${pattern}${over === "paths" ? "(?:/.*)?" : ""}$`, "su")
}

const part = fc.oneof(fc.constant("**"), fc.stringMatching(/^[ab*?]{1,4}$/), fc.stringMatching(/^[ab]{1,2}$/))
const globs = fc
  .array(part, { minLength: 1, maxLength: 5 })
  .map((parts) => parts.filter((one, index) => one !== "**" || parts[index - 1] !== "**"))
  .map((parts) => parts.map((one) => (one === "**" ? one : one.replace(/\*+/g, "*"))).join("/"))
const names = fc.array(fc.stringMatching(/^[ab]{1,4}$/), { minLength: 1, maxLength: 6 }).map((parts) => parts.join("/"))

describe.each(["refs", "paths"] as const)("globs over %s", (over) => {
  test("mean what a slow reading of them means", () => {
    let matched = 0
    fc.assert(
      fc.property(globs, names, (glob, name) => {
        expect(globProblem(glob, over)).toBeUndefined()
        const matches = (over === "refs" ? refGlob : pathGlob)(glob)(name)
        expect(matches, `${glob} on ${name}`).toBe(oracle(glob, over).test(name))
        if (matches) matched++
      }),
      { numRuns: 20_000 },
    )
    expect(matched).toBeGreaterThan(1000)
  })

  test("match their own sample", () => {
    fc.assert(
      fc.property(globs, (glob) => {
        expect((over === "refs" ? refGlob : pathGlob)(glob)(sampleOf(glob)), glob).toBe(true)
      }),
    )
  })

  test("take time in proportion, whatever they are", () => {
    for (const [glob, name] of [
      ["a*".repeat(300), "a".repeat(2000)],
      [`${"*a".repeat(400)}b`, "a".repeat(4000)],
      [`${"**/a/".repeat(200)}b`, "a/".repeat(2000)],
      [`${"**/*a*/".repeat(100)}b`, "aaaa/".repeat(800)],
      ["?".repeat(1000), "\u{1f600}".repeat(1000)],
    ]) {
      const start = performance.now()
      ;(over === "refs" ? refGlob : pathGlob)(glob ?? "")(name ?? "")
      expect(performance.now() - start, glob).toBeLessThan(4000)
    }
  })
})

test.each([
  ["deploy/prod/**", "deploy", true],
  ["deploy/prod/**", "Deploy", true],
  ["deploy/prod/**", "deploy/prod", true],
  ["deploy/prod/**", "dep", false],
  ["deploy/prod/**", "deploy2", false],
  ["deploy/prod/**", "other/deploy", false],
  ["deploy/*/run", "deploy/x", true],
  ["deploy/**/run", "deploy/x/y", true],
  ["*/prod/run", "anything", true],
  ["*.sh", "folder", false],
  ["**/*.sh", "folder", false],
  ["**/deploy/run", "a/b/deploy", true],
  ["**/deploy/run", "a/b/other", false],
  ["**/a/**/b", "x/a/y", true],
])("a link in some place stands above %s: %s, %s", (glob, link, expected) => {
  expect(linkGlobs(["elsewhere", glob])(link)).toBe(expected)
})

test.each([
  ["\\*", "*", true],
  ["\\*", "a", false],
  ["\\?\\[\\]\\{\\}\\!", "?[]{}!", true],
  ["a\\\\b", "a\\b", true],
  ["?", "\u{1f600}", true],
  ["é", "e\u0301", false],
])("refs: %s on %s", (glob, name, expected) => {
  expect(globProblem(glob, "refs")).toBeUndefined()
  expect(refGlob(glob)(name)).toBe(expected)
})

test.each([
  ["é", "e\u0301/x", true],
  ["straße", "STRASSE", true],
  ["a b", "A B", true],
  [".github", ".GITHUB/workflows/x", true],
  [".github", ".github\u200c/x", true],
  [".github", ".github. /x", true],
  [".github", ".git", false],
  ["a/b", "a/b/c", true],
  ["a/b/", "a/b", true],
  ["a/b/**", "a/b", true],
  ["a/b/**", "a/bc", false],
  ["a/*/c", "a/b/c/d", true],
  ["a/*/c", "a/c", false],
  ["**/x", "x", true],
  ["**", "anything/at/all", true],
  ["a\\*", "a*", true],
  ["a\\*", "ab", false],
  ["docs/λόγος*", "docs/λόγος.md", true],
  ["docs/λόγος*", "DOCS/ΛΌΓΟΣ.MD", true],
  ["κοσ*", "κοσμος", true],
  ["κος", "κοσ", true],
  ["stra?e/*", "straße/x", true],
  ["stra?e/*", "STRAßE/X", true],
  ["stra?e/*", "strasse/x", false],
  ["stra??e/*", "straße/x", true],
  ["?stanbul", "İstanbul", true],
  ["?stanbul", "İSTANBUL", true],
  ["?", "ŉ", true],
  ["foo?", "foo.", true],
  ["foo?", "FOO.", true],
  ["foo?", "foo", false],
  ["v1?", "v1 ", true],
  ["v1", "v1 .", true],
  ["a?b", "a\u00adb", true],
  ["a?b/x", "A\u00adB./X", true],
  ["a?b", "ab", false],
  ["café", "cafe\u200d\u0301", true],
  ["caf?", "cafe\u0301", true],
  ["cafe?", "cafe\u0301", true],
])("paths: %s on %s", (glob, path, expected) => {
  expect(globProblem(glob, "paths")).toBeUndefined()
  expect(pathGlob(glob)(path)).toBe(expected)
})
