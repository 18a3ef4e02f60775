/**
 * Commits that are made again: which bytes stay, and what is refused.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { parseCommit } from "../../src/formats/git-object.ts"
import { copyNotes } from "../../src/git/notes.ts"
import { rebuildPayload, signedCommit, writeCommit } from "../../src/git/rewrite.ts"
import { updateRefs } from "../../src/git/update-refs.ts"

const [A, B, C, D] = ["a", "b", "c", "d"].map((digit) => digit.repeat(40)) as [string, string, string, string]
const PEOPLE = "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n"
const bytes = (text: string): Buffer => Buffer.from(text, "latin1")
const rebuilt = (text: string, parents: Readonly<Record<string, string>> = {}): string =>
  Buffer.from(rebuildPayload(bytes(text), "sha1", new Map(Object.entries(parents)))).toString("latin1")

describe("a payload is the commit without its signatures", () => {
  test.each([
    ["nothing to change", `tree ${A}\n${PEOPLE}\nmessage\n`, `tree ${A}\n${PEOPLE}\nmessage\n`],
    ["no message at all", `tree ${A}\n${PEOPLE}`, `tree ${A}\n${PEOPLE}`],
    ["an empty message", `tree ${A}\n${PEOPLE}\n`, `tree ${A}\n${PEOPLE}\n`],
    ["a parent", `tree ${A}\nparent ${A}\n${PEOPLE}\nm`, `tree ${A}\nparent ${D}\n${PEOPLE}\nm`],
    [
      "some of many parents",
      `tree ${A}\nparent ${C}\nparent ${A}\nparent ${B}\nparent ${A}\n${PEOPLE}\nm`,
      `tree ${A}\nparent ${C}\nparent ${D}\nparent ${B}\nparent ${D}\n${PEOPLE}\nm`,
    ],
    [
      "both signatures, and two of a kind",
      `tree ${A}\n${PEOPLE}gpgsig one\n two\nx y\n z\ngpgsig-sha256 three\n \n four\ngpgsig five\n\nm`,
      `tree ${A}\n${PEOPLE}x y\n z\n\nm`,
    ],
    [
      "words in a message, and in other headers",
      `tree ${A}\n${PEOPLE}mergetag object ${A}\n parent ${A}\n gpgsig x\nencoding x\n\nparent ${A}\ngpgsig x\n y\n`,
      `tree ${A}\n${PEOPLE}mergetag object ${A}\n parent ${A}\n gpgsig x\nencoding x\n\nparent ${A}\ngpgsig x\n y\n`,
    ],
    [
      "a parent where git reads none",
      `tree ${A}\nparent ${B}\n${PEOPLE}parent ${A}\n\nm`,
      `tree ${A}\nparent ${B}\n${PEOPLE}parent ${A}\n\nm`,
    ],
    ["bytes that are no text", `tree ${A}\n${PEOPLE}\n\xff\xfe\r\n\0`, `tree ${A}\n${PEOPLE}\n\xff\xfe\r\n\0`],
  ])("%s", (_, commit, payload) => {
    expect(rebuilt(commit, { [A]: D })).toBe(payload)
  })

  test.each([
    ["a header that no signature covers", `tree ${A}\n${PEOPLE}gpgsig-other x\n\nm`],
    ["a parent between the people", `tree ${A}\nauthor A <a@b> 1 +0000\nparent ${A}\ncommitter x\n\nm`],
    ["headers that are cut short", `tree ${A}\n${PEOPLE}encoding`],
    ["a signature among the parents", `tree ${A}\nauthor A <a@b> 1 +0000\n\nm`],
    ["two trees", `tree ${A}\ntree ${A}\n${PEOPLE}\nm`],
    ["nothing", ""],
  ])("refused: %s", (_, commit) => {
    expect(() => rebuilt(commit)).toThrow(expect.objectContaining({ code: "ERR_GIT_OBJECT" }))
  })

  test("and no bytes make it fail otherwise", () => {
    const line = fc.oneof(
      fc.constantFrom(
        `tree ${A}\n`,
        `parent ${A}\n`,
        "author x\n",
        "committer x\n",
        "gpgsig x\n",
        " more\n",
        "\n",
        "x\n",
      ),
      fc.string({ unit: "binary-ascii" }),
    )
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const commit = bytes(lines.join(""))
        try {
          const payload = rebuildPayload(commit, "sha1", new Map())
          expect(parseCommit(payload, "sha1").signature).toBeUndefined()
          const signed = signedCommit(payload, bytes("-----BEGIN\nx\n-----END\n"), "sha1")
          expect(parseCommit(signed, "sha1").payload).toEqual(Buffer.from(payload))
        } catch (error) {
          if (!isGitsignError(error)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe("with git", () => {
  let directory: string
  const git = (args: readonly string[], input = ""): string => {
    const ran = spawnSync("git", args, { cwd: directory, input, encoding: "utf8", env: env() })
    if (ran.status !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`)
    return ran.stdout.trim()
  }
  const env = (): NodeJS.ProcessEnv => ({
    ...process.env,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_AUTHOR_NAME: "A",
    GIT_AUTHOR_EMAIL: "a@example.com",
    GIT_COMMITTER_NAME: "A",
    GIT_COMMITTER_EMAIL: "a@example.com",
  })
  const context = () => ({ cwd: directory, env: env() })

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "gitsign-rewrite-"))
    git(["init", "--quiet", "--initial-branch=main"])
    // So many notes that git puts them into folders.
    const commits = Array.from(
      { length: 600 },
      (_, index) => `commit refs/heads/main\nmark :${index + 1}\ncommitter A <a@b> ${index + 1} +0000\ndata 1\nx\n`,
    )
    const notes = Array.from({ length: 300 }, (_, index) => `N inline :${index + 1}\ndata 3\n${index + 100}\n`)
    const notesCommit = `commit refs/notes/many\ncommitter A <a@b> 1 +0000\ndata 1\nn\n${notes.join("")}`
    git(["fast-import", "--quiet"], `${commits.join("")}${notesCommit}`)
  })

  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test("notes are copied into folders as git has them", async () => {
    const ids = git(["rev-list", "--reverse", "main"]).split("\n")
    expect(git(["ls-tree", "--name-only", "refs/notes/many"]).split("\n")[0]).toMatch(/^..$/)
    // The first 300 have notes, the others take their places.
    const rewritten = new Map(ids.slice(0, 300).map((id, index) => [id, ids[index + 300] ?? ""]))
    const before = git(["for-each-ref"])
    const updates = await copyNotes(context(), rewritten, "copied")
    expect(git(["for-each-ref"])).toBe(before)
    expect(updates.map((update) => ({ ...update, ref: String(update.ref) }))).toEqual([
      { ref: "refs/notes/many", from: expect.any(String), to: expect.any(String) },
    ])
    await updateRefs(context(), updates, "test", "sha1")
    expect(git(["notes", "--ref=many", "list"]).split("\n")).toHaveLength(600)
    for (const index of [0, 17, 299]) {
      for (const id of [ids[index], ids[index + 300]]) {
        expect(git(["notes", "--ref=many", "show", id ?? ""])).toBe(`${index + 100}`)
      }
    }
    expect(await copyNotes(context(), new Map([[A, B]]), "none")).toEqual([])
    expect(git(["fsck", "--strict", "--no-dangling"])).toBe("")
  })

  test("all refs move, or none", async () => {
    const [tip, old] = [git(["rev-parse", "main"]), git(["rev-parse", "main~1"])]
    await updateRefs(context(), [{ ref: "refs/x/a", from: undefined, to: tip }], "test", "sha1")
    const before = git(["for-each-ref"])
    const refused = [
      [
        { ref: "refs/x/b", from: undefined, to: tip },
        { ref: "refs/x/a", from: undefined, to: tip },
      ],
      [
        { ref: "refs/x/b", from: undefined, to: tip },
        { ref: "refs/x/a", from: old, to: undefined },
      ],
      [
        { ref: "refs/x/b", from: undefined, to: tip },
        { ref: "refs/x/c", from: undefined, to: A },
      ],
    ]
    for (const updates of refused) {
      await expect(updateRefs(context(), updates, "test", "sha1")).rejects.toMatchObject({ code: "ERR_RESIGN" })
      expect(git(["for-each-ref"])).toBe(before)
    }
    await updateRefs(context(), [{ ref: "refs/x/a", from: tip, to: undefined }], "test", "sha1")
    expect(git(["for-each-ref"])).not.toContain("refs/x")
  })

  test("git refuses to store what is no commit", async () => {
    await expect(writeCommit(context(), bytes("tree x\n"), "sha1")).rejects.toMatchObject({ code: "ERR_RESIGN" })
  })
})
