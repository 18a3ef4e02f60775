/**
 * What merges change, and whether git would have made them so, in real repositories of several kinds.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type GitsignError, isGitsignError } from "../../src/errors.ts"
import { type Changes, changedPaths } from "../../src/git/changed-paths.ts"
import { areCleanMerges } from "../../src/git/clean-merge.ts"

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
}
let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "gitsign-merges-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const gitIn =
  (directory: string) =>
  (...args: string[]): string => {
    const ran = spawnSync("git", args, { cwd: directory, env: ENV, input: "", encoding: "utf8" })
    if (ran.status !== 0) throw new Error(`${args.join(" ")}: ${ran.stderr}`)
    return ran.stdout.trim()
  }

/** A repository in which main and topic have parted and were merged; `first` is where they did. */
function merged(name: string, ...init: string[]): { directory: string; git: (...args: string[]) => string } {
  const directory = join(root, name)
  gitIn(root)("init", "-q", "-b", "main", ...init, directory)
  const git = gitIn(directory)
  const commit = (file: string): void => {
    writeFileSync(join(directory, `${file}.txt`), `${file}\n`)
    git("add", ".")
    git("commit", "-q", "-m", file)
  }
  commit("first")
  git("branch", "first")
  git("switch", "-q", "-c", "topic")
  commit("topic")
  git("switch", "-q", "main")
  commit("main")
  git("merge", "-q", "-m", "merge", "topic")
  return { directory, git }
}

const mergeOf = (git: (...args: string[]) => string, name = "main") => {
  const [id = "", tree = "", ...parents] = git("log", "-1", "--format=%H %T %P", name).split(" ")
  return { id, tree, parents }
}

describe("areCleanMerges", () => {
  test.each([["sha1"], ["sha256"]])("%s", async (format) => {
    const { directory, git } = merged(format, `--object-format=${format}`)
    const merge = mergeOf(git)
    const [one = "", other = ""] = merge.parents
    const context = { cwd: directory, env: ENV }
    const before = git("count-objects", "-v")
    expect(
      await areCleanMerges(context, [
        merge,
        { tree: merge.tree, parents: [other, one] },
        { tree: git("rev-parse", `${one}^{tree}`), parents: [one, other] },
        { tree: git("rev-parse", `${one}^{tree}`), parents: [one, one] },
        { tree: merge.tree, parents: [one, other, one] },
        { tree: merge.tree, parents: [one] },
      ]),
    ).toEqual([true, true, false, true, false, false])
    expect(git("count-objects", "-v")).toBe(before)
  })

  test("in a bare, a shallow and a linked repository, from a folder below, and with objects elsewhere", async () => {
    const { directory, git } = merged("kinds")
    const merge = mergeOf(git)
    const isClean = (cwd: string, env: NodeJS.ProcessEnv = {}) =>
      areCleanMerges({ cwd, env: { ...ENV, ...env } }, [merge])
    gitIn(root)("clone", "-q", "--bare", directory, "bare.git")
    gitIn(root)("clone", "-q", "--depth=3", `file://${directory}`, "shallow")
    git("worktree", "add", "-q", join(root, "linked"), "first")
    expect(await isClean(join(root, "bare.git"))).toEqual([true])
    expect(await isClean(join(root, "shallow"))).toEqual([true])
    expect(await isClean(join(root, "linked"))).toEqual([true])
    const empty = join(root, "empty.git")
    gitIn(root)("init", "-q", "--bare", empty)
    const objects = join(directory, ".git/objects")
    expect(await isClean(empty, { GIT_OBJECT_DIRECTORY: objects })).toEqual([true])
    const alternates = { GIT_ALTERNATE_OBJECT_DIRECTORIES: relative(empty, objects) }
    expect(await isClean(empty, alternates)).toEqual([true])
  })

  test("programs and attributes of this machine have no say, and histories without a beginning in common are not clean", async () => {
    const { directory, git } = merged("attributes")
    const program = join(directory, "was-run")
    git("config", "merge.choose.driver", `touch ${program}`)
    writeFileSync(join(directory, ".gitattributes"), "* merge=choose\n")
    writeFileSync(join(directory, ".git/info/attributes"), "* merge=choose\n")
    const sides = ["one", "other"].map((side) => {
      git("switch", "-q", "-c", side, "first")
      writeFileSync(join(directory, "first.txt"), side)
      git("commit", "-q", "-a", "-m", side)
      return git("rev-parse", "HEAD")
    })
    const tree = git("rev-parse", "one^{tree}")
    const stranger = git("commit-tree", "-m", "stranger", tree)
    expect(
      await areCleanMerges({ cwd: directory, env: ENV }, [
        { tree, parents: sides },
        { tree, parents: [sides[0] ?? "", stranger] },
      ]),
    ).toEqual([false, false])
    expect(existsSync(program)).toBe(false)
  })
})

const pathsOf = (found: Changes | GitsignError | undefined) => (isGitsignError(found) ? found : found?.paths)

describe("changedPaths", () => {
  test("what is or was a link or a submodule is told as one", async () => {
    const { directory, git } = merged("links")
    const before = git("rev-parse", "main")
    symlinkSync("elsewhere", join(directory, "link"))
    rmSync(join(directory, "first.txt"))
    symlinkSync("main.txt", join(directory, "first.txt"))
    writeFileSync(join(directory, "file"), "")
    git("add", "-A")
    git("update-index", "--add", "--cacheinfo", `160000,${before},module`)
    git("commit", "-q", "-m", "links")
    const after = git("rev-parse", "main")
    const links = async (id: string, parent: string) =>
      (await changedPaths({ cwd: directory, env: ENV }, [{ id, parents: [parent] }])).get(id)
    expect(await links(after, before)).toEqual({
      paths: ["file", "first.txt", "link", "module"],
      links: ["first.txt", "link", "module"],
    })
    expect(await links(before, after)).toMatchObject({ links: ["first.txt", "link", "module"] })
  })

  test("a merge changes what neither side has, and what it throws away", async () => {
    const { directory, git } = merged("changes")
    const of = async (merge: { id: string; parents: readonly string[] }) =>
      pathsOf((await changedPaths({ cwd: directory, env: ENV }, [merge])).get(merge.id))
    const clean = mergeOf(git)
    const [one = "", other = ""] = clean.parents
    expect(await of(clean)).toEqual([])
    const ours = git("commit-tree", "-m", "ours", "-p", one, "-p", other, `${one}^{tree}`)
    expect(await of(mergeOf(git, ours))).toEqual(["topic.txt"])
    // So many parents that nobody compares each with each: everything in which it differs from one of them counts.
    const others = Array.from({ length: 20 }, (_, index) =>
      git("commit-tree", "-m", `${index}`, "-p", "first", "main^{tree}"),
    )
    expect(await of({ id: clean.id, parents: [...clean.parents, ...others] })).toEqual(["topic.txt", "main.txt"])
  })

  test("a first commit changes all it has, also when a merge above it was compared with it", async () => {
    const { directory, git } = merged("roots")
    const root = git("rev-list", "--max-parents=0", "main")
    const child = git("commit-tree", "-m", "child", "-p", root, "main^{tree}")
    const merge = git("commit-tree", "-m", "merge", "-p", root, "-p", child, "main^{tree}")
    const asked = [merge, child, root].map((id) => mergeOf(git, id))
    const found = await changedPaths(
      { cwd: directory, env: ENV },
      asked.map(({ id, parents }) => ({ id, parents: parents.filter(Boolean) })),
    )
    expect([root, child, merge].map((id) => pathsOf(found.get(id)))).toEqual([
      ["first.txt"],
      ["main.txt", "topic.txt"],
      [],
    ])
  })

  test("what is missing for one commit is told of that one", async () => {
    const { directory, git } = merged("missing")
    const clean = mergeOf(git)
    const tree = git("rev-parse", "topic^{tree}")
    rmSync(join(directory, ".git/objects", tree.slice(0, 2), tree.slice(2)))
    const topic = mergeOf(git, "topic")
    const main = mergeOf(git, "main^1")
    const found = await changedPaths({ cwd: directory, env: ENV }, [clean, topic, main])
    expect([isGitsignError(found.get(clean.id)), isGitsignError(found.get(topic.id))]).toEqual([true, true])
    expect(pathsOf(found.get(main.id))).toEqual(["main.txt"])
  })
})
