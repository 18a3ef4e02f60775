/**
 * What a person is shown says what is signed, and nothing in it can say anything else.
 *
 * @module
 */

import { createHash } from "node:crypto"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { describePayload, type SignatureRequest } from "../../cache-daemon/describe-payload.ts"
import { displayLine, textOf } from "../../cache-daemon/display-line.ts"
import { commitPayload, Repository, rawObject, treeContent } from "./consent-repository.ts"

const TREE = "1".repeat(40)
const show = (payload: Uint8Array, more: Partial<SignatureRequest> = {}): string =>
  describePayload({ payload, context: undefined, signer: "dev@example.com", requester: "this machine", ...more })

const PLAIN = /^[^\p{C}\p{Zl}\p{Zp}]*$/u

describe("describePayload", () => {
  let repository: Repository
  beforeAll(() => {
    repository = new Repository()
  })
  afterAll(() => repository.remove())

  test("a commit", async () => {
    const base = repository.commit({ "src/a.ts": "a", "src/old.ts": "o" })
    const id = repository.commit({ "src/a.ts": "b", "src/new.ts": "n" }, [base], "fix the parser\n\nIt was\nbroken.\n")
    const context = { repository: "/home/dev/project", branch: "main", objects: await repository.objects(id) }
    expect(show(repository.payload(id), { context })).toBe(`gitsign: sign this commit?

signed by: dev@example.com
subject: fix the parser
message: 2 more lines
author: A Developer <dev@example.com>
date: 2023-11-14 23:13:20 +0100
parent: ${base}
files: 3 files changed: 1 added, 1 deleted, 1 modified
  M src/a.ts
  A src/new.ts
  D src/old.ts

asked for by this machine, which says (not checked):
  repository: /home/dev/project
  branch: main
`)
  })

  test("twelve files, and how many more", async () => {
    const files = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`f${String(i).padStart(4, "0")}`, ""]))
    const id = repository.commit(files)
    const context = { repository: "", branch: "", objects: await repository.objects(id) }
    const text = show(repository.payload(id), { context })
    expect(text).toContain("files: 2,000 files changed: 2,000 added\n  A f0000\n")
    expect(text).toContain("  A f0011\n  and 1,988 more\n\n")
    expect(text).toContain("parents: none, a root commit\n")
    expect(text).toContain("  repository: (nothing)\n")
  })

  test("files that are not proven are none", () => {
    const text = show(commitPayload(TREE, [TREE]), {
      context: { repository: "r", branch: "b", objects: [Buffer.from("tree 0\0")] },
      requester: "a forwarded socket",
    })
    expect(text).toContain(`files: not known: the requester did not send the commit ${TREE.slice(0, 12)}\n`)
    expect(text).toContain("\nasked for by a forwarded socket, which says (not checked):\n")
    expect(show(commitPayload(TREE))).toContain("files: not known: the requester sent no objects to tell them from\n")
  })

  test("a committer of another name or time, merges, and headers that are not usual", () => {
    const payload = Buffer.from(
      `tree ${TREE}\nparent ${"2".repeat(40)}\nparent ${"3".repeat(40)}\nauthor A <a@example.com> 0 -0330\n` +
        "committer B <b@example.com> 86400 +0000\nencoding ISO-8859-1\nmergetag object x\n type commit\n\nM\xe9rge\n",
      "latin1",
    )
    const text = show(payload)
    expect(text).toContain("author: A <a@example.com>\ndate: 1969-12-31 20:30:00 -0330\n")
    expect(text).toContain("committer: B <b@example.com>\ncommitted: 1970-01-02 00:00:00 +0000\n")
    expect(text).toContain(`parents: 2, a merge into ${"2".repeat(40)}\n`)
    expect(text).toContain("also has: encoding, mergetag\n")
    expect(text).toContain("subject: M\\xe9rge\n")
  })

  test("a tag", () => {
    const text = show(
      Buffer.from(`object ${TREE}\ntype commit\ntag v1.0\ntagger A <a@example.com> 1700000000 +0000\n\nrelease\n`),
    )
    expect(text).toContain("gitsign: sign this tag?\n")
    expect(text).toContain(`tag: v1.0\nof: commit ${TREE}\nsubject: release\ntagger: A <a@example.com>\n`)
    expect(text).not.toContain("files:")
  })

  test("a push certificate and other bytes are shown as what they are", () => {
    const certificate = Buffer.from("certificate version 0.1\npusher dev@example.com 1700000000 +0000\n")
    const text = show(certificate)
    expect(text).toContain("gitsign: sign this text?\n")
    expect(text).toContain("this is a push certificate, no commit and no tag\n")
    expect(text).toContain(`size: 64 bytes\nSHA-256: ${createHash("sha256").update(certificate).digest("hex")}\n`)
    expect(show(Buffer.from("hello\nworld"))).toContain("begins with: hello\n")
    expect(show(Buffer.alloc(0))).toContain("size: 0 bytes\n")
  })

  test.each([
    ["two authors", `tree ${TREE}\nauthor A <a@b> 0 +0000\nauthor B <b@b> 0 +0000\ncommitter A <a@b> 0 +0000\n\nx`],
    ["two trees", `tree ${TREE}\ntree ${TREE}\nauthor A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\n\nx`],
    ["a signature inside", `tree ${TREE}\nauthor A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\ngpgsig x\n\nx`],
    ["a parent that is none", `tree ${TREE}\nparent x\nauthor A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\n\nx`],
    ["a tag without a name", `object ${TREE}\ntype commit\n\nx`],
  ])("%s: no commit and no tag", (_, payload) => {
    expect(show(Buffer.from(payload))).toMatch(/^gitsign: sign this text\?\n[\s\S]*\nnot as git makes it: /)
  })

  test.each([
    ["a line of its own", "fix\u000bauthor: Somebody Else <x@example.com>", "fix\\u{b}author"],
    ["ANSI", "fix \u001b[2K\u001b[1A", "fix \\u{1b}[2K\\u{1b}[1A"],
    ["bidi", "fix \u202egnp.exe", "fix \\u{202e}gnp.exe"],
    ["a carriage return", "fix\rgone", "fix\\u{d}gone"],
    ["blanks", `fix${" ".repeat(60)}gone`, "fix \\u{20}\\u{20}"],
    ["invisible letters", "fix\u3164\u2800\u200b\u00ad\u00a0x", "fix\\u{3164}\\u{2800}\\u{200b}\\u{ad}\\u{a0}x"],
    ["markup", '<span size="1">fix</span> &amp; <b>', 'subject: <span size="1">fix</span> &amp; <b>\n'],
  ])("a subject with %s", (_, subject, expected) => {
    expect(show(commitPayload(TREE, [], subject))).toContain(expected)
  })

  test("a name with a line feed in a tree, in the identity and in what the requester says", () => {
    const tree = rawObject("tree", treeContent([["100644", "a\nsigned by: nobody", TREE]]))
    const text = show(commitPayload(tree.id), {
      signer: "dev@example.com\nfiles: none changed",
      context: { repository: "/x\nbranch: main", branch: "m\u2028n", objects: [tree.raw] },
    })
    expect(text).toContain("  A a\\u{a}signed by: nobody\n")
    expect(text).toContain("signed by: dev@example.com\\u{a}files: none changed\n")
    expect(text).toContain("  repository: /x\\u{a}branch: main\n  branch: m\\u{2028}n\n")
  })

  test("whatever it is given: few lines, short ones, less than 4 KiB, no character that deceives", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.constantFrom("漢", "🙂", "e\u0301", "\u0301", "￿", "\ud800", " ", "\\", "ü").map((one) => one.repeat(400)),
    )
    const path = text.map((one) => one.replaceAll(/[/\0]/g, "") || "x")
    fc.assert(
      fc.property(
        fc.record({ subject: text, author: text, signer: text, repository: text, branch: text, raw: fc.boolean() }),
        fc.uniqueArray(path, { maxLength: 20 }),
        (one, paths) => {
          const names = [...new Set(paths.map((name) => Buffer.from(name).toString("latin1")))].sort()
          const tree = rawObject("tree", treeContent(names.map((name) => ["100644", name, TREE] as const)))
          const author = one.author.replaceAll(/[\n\0]/g, "")
          const payload = Buffer.from(
            `tree ${tree.id}\nauthor ${author} <a@b> 0 +0000\ncommitter ${author}x <a@b> 1 +0000\nx${author} \n\n${one.subject}`,
          )
          const { repository, branch } = one
          const shown = show(one.raw ? Buffer.from(one.subject) : payload, {
            signer: one.signer,
            context: { repository, branch, objects: [tree.raw] },
          })
          const lines = shown.split("\n")
          expect(lines.length).toBeLessThanOrEqual(30)
          expect(Buffer.byteLength(shown)).toBeLessThan(4096)
          for (const line of lines) {
            expect(line).toMatch(PLAIN)
            expect([...line].length).toBeLessThanOrEqual(76)
          }
          // Every line begins as one of ours.
          for (const line of lines.slice(2)) {
            expect(line).toMatch(/^($|[a-zA-Z0-9- ]+: | {2}[ADM] | {2}and |asked for by |files: |this is a push)/)
          }
        },
      ),
      { numRuns: 400 },
    )
  })

  test("random bytes are described", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (payload) => {
        expect(show(payload)).toMatch(/^gitsign: sign this text\?\n/)
      }),
    )
  })

  test.each([
    ["\n \t\nfix\n the\nparser\n \n\nIt\n\nwas broken.\n", "subject: fix \\u{20}the parser\nmessage: 2 more lines\n"],
    ["fix", "subject: fix\nauthor"],
    ["fix\n\n \n", "subject: fix\nauthor"],
    [" \r\n\v\f\n", "subject: (no message)\nauthor"],
    ["", "subject: (no message)\nauthor"],
    [`x${"漢".repeat(9000)}\n\nmore`, `subject: x${"漢".repeat(32)}…\nmessage: 1 more line\n`],
    [`xy${"漢".repeat(9000)}`, `subject: xy${"漢".repeat(32)}…\nauthor`],
  ])("message %#", (message, expected) => {
    expect(show(commitPayload(TREE, [], message))).toContain(`\n${expected}`)
  })

  test("bytes that are no UTF-8 further down leave the subject as it is", () => {
    const payload = Buffer.concat([commitPayload(TREE, [], "größe\n\n"), Buffer.from([0xff])])
    expect(show(payload)).toContain("subject: größe\nmessage: 1 more line\n")
  })

  const PERSON = "A <a@example.com> 1700000000 +0000"
  const MEGABYTES = 4_100_000
  test.each<[string, () => Buffer]>([
    ...["a", "\n", "\n\n", "a\n\n", "\xff", " ", "漢"].map((text): [string, () => Buffer] => [
      `a message of ${JSON.stringify(text)}`,
      () => commitPayload(TREE, [], text.repeat(MEGABYTES / Buffer.byteLength(text))),
    ]),
    ["a message that is no UTF-8", () => Buffer.concat([commitPayload(TREE, []), Buffer.alloc(MEGABYTES, 0xff)])],
    [
      "half a million headers",
      () => Buffer.from(`tree ${TREE}\nauthor ${PERSON}\ncommitter ${PERSON}\n${"x\n".repeat(500_000)}\nx`),
    ],
    ["an author that is no UTF-8", () => Buffer.from(`tree ${TREE}\nauthor ${"\xff".repeat(1_000_000)}`, "latin1")],
  ])("%s costs little", (_, make) => {
    const payload = make()
    const started = process.cpuUsage()
    show(payload)
    const { user, system } = process.cpuUsage(started)
    expect((user + system) / 1000).toBeLessThan(400)
  })
})

describe("displayLine", () => {
  test.each<[string, number, "end" | "middle", string]>([
    ["abc", 3, "end", "abc"],
    ["abcd", 3, "end", "ab…"],
    ["src/very/long/path/to/the/file.ts", 16, "middle", "src/v…he/file.ts"],
    ["漢字漢字", 5, "end", "漢字…"],
    ["a".repeat(9000), 10, "end", "aaaaaaaaa…"],
    [`${"a/".repeat(9000)}file.ts`, 16, "middle", "a/a/a…/a/file.ts"],
    ["", 5, "end", ""],
    [" a ", 20, "end", "\\u{20}a\\u{20}"],
    [`e${"\u0301".repeat(5)}`, 40, "end", "e\u0301\u0301\u0301\\u{301}\\u{301}"],
  ])("case %#", (text, columns, cut, expected) => {
    expect(displayLine(text, columns, cut)).toBe(expected)
  })

  test("bytes that are not UTF-8 stay apart", () => {
    expect(textOf(Buffer.from("a\xff\xfe", "latin1"))).toBe("a\\xff\\xfe")
    expect(textOf(Buffer.from("ÿ"))).toBe("ÿ")
  })
})
