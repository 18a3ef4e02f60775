/**
 * What an object says about itself, read where git reads it.
 *
 * @module
 */

import { expect, test } from "vitest"
import { summarizeObject } from "../../src/formats/object-summary.ts"

const TREE = "1".repeat(40)
const ONE = "a".repeat(40)
const OTHER = "b".repeat(40)
const summaryOf = (...lines: string[]) => summarizeObject(Buffer.from(`${lines.join("\n")}\n`))

test("the parents are those directly behind the tree: git reads no others", () => {
  const author = "author A <a@example.com> 1700000000 +0000"
  const committer = "committer C <c@example.com> 1700000000 +0000"
  const merge = summaryOf(`tree ${TREE}`, `parent ${ONE}`, `parent ${OTHER}`, author, committer, "", "subject")
  expect(merge).toMatchObject({ parents: [ONE, OTHER], tree: TREE, subject: "subject" })
  const more = [`parent ${OTHER}`, "", `parent ${OTHER}`]
  expect(summaryOf(`tree ${TREE}`, `parent ${ONE}`, author, committer, ...more).parents).toEqual([ONE])
  expect(summaryOf(`tree ${TREE}`, author, `parent ${ONE}`, committer, ...more).parents).toEqual([])
  // git takes digits in upper case, too.
  expect(summaryOf(`tree ${TREE}`, `parent ${ONE.toUpperCase()}`, author, committer, "").parents).toEqual([ONE])
})

test("a tag has a tagger, and a header of a commit in it means nothing", () => {
  const tagger = "tagger T <t@example.com> 1700000000 +0000"
  const others = ["committer C <c@example.com> 1 +0000", "author A <a@example.com> 1 +0000", `parent ${ONE}`]
  const head = [`object ${ONE}`, "type commit", "tag v1"]
  const tag = summaryOf(...head, tagger, ...others, "", "subject")
  expect(tag.committer.email).toBe("t@example.com")
  expect(tag.author.email).toBe("t@example.com")
  expect(tag.parents).toEqual([])
  expect(summaryOf(...head, ...others, "", "subject").committer.email).toBe("")
})
