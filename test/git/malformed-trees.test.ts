/**
 * Trees in which git's comparison does not see what it checks out.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { changedPaths } from "../../src/git/changed-paths.ts"
import { malformedTrees } from "../../src/git/malformed-trees.ts"

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
}

describe.each(["sha1", "sha256"])("%s", (format) => {
  let cwd: string
  let blob: string
  let empty: string
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), "gitsign-trees-"))
    git(["init", "-q", `--object-format=${format}`])
    blob = git(["hash-object", "-w", "--stdin"], "content\n")
    empty = git(["mktree"])
  })
  afterAll(() => rmSync(cwd, { recursive: true, force: true }))

  const git = (args: readonly string[], input: string | Buffer = ""): string => {
    const ran = spawnSync("git", args, { cwd, env: ENV, input })
    if (ran.status !== 0) throw new Error(`${args.join(" ")}: ${ran.stderr}`)
    return ran.stdout.toString().trim()
  }
  /** A tree of `MODE NAME` and an id each, as it stands. */
  const tree = (entries: readonly (readonly [string, string?])[], end = ""): string =>
    git(
      ["hash-object", "-t", "tree", "--literally", "-w", "--stdin"],
      Buffer.concat([
        ...entries.map(([name, id = blob]) => Buffer.concat([Buffer.from(`${name}\0`), Buffer.from(id, "hex")])),
        Buffer.from(end),
      ]),
    )
  const commit = (of: string, ...parents: string[]): string =>
    git(["commit-tree", "-m", "x", ...parents.flatMap((parent) => ["-p", parent]), of])
  const changesOf = async (id: string, ...parents: string[]) => {
    const found = await changedPaths({ cwd, env: ENV }, [{ id, parents }])
    const changes = found.get(id)
    return isGitsignError(changes) ? `${changes.code}: ${changes.message}` : changes?.paths
  }

  test.each<[string, (folder: string) => string, RegExp]>([
    ["a slash in a name", (folder) => tree([["40000 a/b", folder]]), /an entry whose name is none$|name is none, so/],
    ["an empty name", () => tree([["100644 "]]), /name is none/],
    ["one name twice", () => tree([["100644 a"], ["100644 a"]]), /one name twice/],
    ["a file and a folder", (folder) => tree([["100644 a"], ["100644 a-b"], ["40000 a", folder]]), /one name twice/],
    ["another order", () => tree([["100644 b"], ["100644 a"]]), /not in git's order/],
    ["a folder in the place of a file", (folder) => tree([["40000 a", folder], ["100644 a.b"]]), /not in git's order/],
    ["its end missing", () => tree([["100644 a"]], "100644 b"), /cut short/],
  ])("%s, at the top, below, and in the parent", async (_, make, message) => {
    const good = tree([["40000 a", tree([["100644 x"]])]])
    const folder = tree([["100644 x"]])
    const bad = make(folder)
    expect((await malformedTrees({ cwd, env: ENV }, [good, bad])).get(bad)).toMatchObject({
      code: "ERR_GIT_OBJECT",
      message: expect.stringMatching(message),
    })
    const [before, root] = [commit(good), commit(bad)]
    const below = commit(tree([["40000 sub", tree([["40000 deep", bad]])]]))
    for (const [id, ...parents] of [
      [root],
      [commit(bad, before), before],
      [commit(good, root), root],
      [below],
      [commit(good, below), below],
      [commit(good, before, below), before, below],
    ]) {
      // git itself may refuse one that is cut short before anything is compared.
      expect(await changesOf(id ?? "", ...parents)).toMatch(/^ERR_GIT(_OBJECT)?: /)
    }
    // What lies below and is the same on both sides was judged where it came in.
    const kept = commit(tree([["100644 new"], ["40000 sub", tree([["40000 deep", bad]])]]), below)
    expect(await changesOf(kept, below)).toEqual(["new"])
  })

  test("what git itself writes is in order", async () => {
    const names = ["a", "a-b", "a.b", "a0", "ab", "é", "\u{1f600}", "-", ".x", "~", "a b"]
    const files = names.map((name) => `100644 blob ${blob}\t${name}\0`)
    const folders = names.map((name) => `040000 tree ${empty}\t${name}${name === "a" ? "" : "x"}\0`)
    const first = git(["mktree", "-z"], files.join(""))
    const second = git(["mktree", "-z"], [...files.slice(1), ...folders].join(""))
    expect(await malformedTrees({ cwd, env: ENV }, [first, second, empty])).toEqual(new Map())
    const old = tree([["100664 group"], ["040000 zero", empty]])
    expect(await malformedTrees({ cwd, env: ENV }, [old])).toEqual(new Map())
  })

  test("a folder that is new, gone or changed is no path of its own; a file in its place is one", async () => {
    const one = commit(tree([["40000 a", tree([["100644 x"]])]]))
    const file = commit(tree([["100644 a"]]), one)
    expect(await changesOf(file, one)).toEqual(["a", "a/x"])
    expect(await changesOf(one, file)).toEqual(["a", "a/x"])
    expect(await changesOf(one)).toEqual(["a/x"])
  })

  test("what is no tree, or not there, says so", async () => {
    const absent = "0".repeat(blob.length - 1).concat("1")
    const found = await malformedTrees({ cwd, env: ENV }, [blob, absent, empty])
    expect(found.get(blob)?.code).toBe("ERR_GIT_OBJECT")
    expect(found.get(absent)?.code).toBe("ERR_GIT")
    expect(found.has(empty)).toBe(false)
  })
})
