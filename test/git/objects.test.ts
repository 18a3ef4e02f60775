/**
 * Reading objects through one `git cat-file --batch`, against real repositories.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { deflateSync } from "node:zlib"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type GitObject, readObjects, readOneObject } from "../../src/git/objects.ts"

let directory: string
const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_AUTHOR_DATE: "1700000000 +0000",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
  GIT_COMMITTER_DATE: "1700000000 +0000",
}
const git = (...args: string[]): string => {
  const ran = spawnSync("git", args, { cwd: directory, env: ENV, input: "", encoding: "utf8" })
  if (ran.status !== 0) throw new Error(ran.stderr)
  return ran.stdout.trim()
}
const context = () => ({ cwd: directory, env: ENV })
const readAll = async (revisions: readonly string[]): Promise<GitObject[]> => {
  const objects: GitObject[] = []
  for await (const object of readObjects(context(), revisions)) objects.push(object)
  return objects
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "gitsign-objects-"))
  git("init", "-q", "-b", "main")
  git("commit", "-q", "--allow-empty", "-m", "one")
  git("tag", "-a", "-m", "tagged", "v1")
  git("commit", "-q", "--allow-empty", "-m", "two")
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe("readObjects", () => {
  test("gives the objects in order, byte for byte", async () => {
    const objects = await readAll(["HEAD", "v1", "v1^{commit}", "HEAD^{tree}", ":/one"])
    expect(objects.map(({ type }) => type)).toEqual(["commit", "tag", "commit", "tree", "commit"])
    expect(objects[0]?.id).toBe(git("rev-parse", "HEAD"))
    expect(`${objects[0]?.raw.toString()}`.trim()).toBe(git("cat-file", "commit", "HEAD"))
    expect(objects[2]?.id).toBe(objects[4]?.id)
  })

  test("many, larger than any pipe", async () => {
    const blob = git("hash-object", "-w", "--stdin")
    expect(blob).toHaveLength(40)
    const big = join(directory, "big")
    writeFileSync(big, Buffer.alloc(300_000, "line\n"))
    const id = git("hash-object", "-w", big)
    const objects = await readAll(Array.from({ length: 40 }, (_, i) => (i % 2 ? id : blob)))
    expect(objects.map(({ raw }) => raw.length)).toEqual(Array.from({ length: 40 }, (_, i) => (i % 2 ? 300_000 : 0)))
  })

  test("a reader that stops early leaves no process behind", async () => {
    for await (const object of readObjects(context(), ["HEAD", "v1", "HEAD~1"])) {
      expect(object.type).toBe("commit")
      break
    }
  })

  test("a replace ref replaces nothing", async () => {
    git("replace", "main", "main~1")
    try {
      expect((await readOneObject(context(), "main")).raw.toString()).toContain("\ntwo\n")
    } finally {
      git("replace", "-d", "main")
    }
  })

  test.each([
    ["nonsense", "there is no nonsense in this repository"],
    ["HEAD^{tag}", "there is no tag HEAD in this repository"],
    ["--all", "there is no --all in this repository"],
    ["", "there is no  in this repository"],
    ["HEAD\nv1", "a revision cannot hold a line feed or a NUL"],
  ])("refuses %j", async (revision, message) => {
    await expect(readAll(["HEAD", revision])).rejects.toMatchObject({ code: "ERR_GIT", message })
  })

  test("an ambiguous beginning of an id", async () => {
    const id = git("rev-parse", "HEAD")
    // Sixteen values for the fifth digit: two blobs share four digits soon enough.
    const seen = new Map<string, string>()
    for (let i = 0; ; i++) {
      const content = Buffer.from(`blob ${String(i).length}\0${i}`)
      const { createHash } = await import("node:crypto")
      const hash = createHash("sha1").update(content).digest("hex")
      const other = seen.get(hash.slice(0, 4))
      if (other === undefined) {
        seen.set(hash.slice(0, 4), String(i))
        continue
      }
      for (const text of [other, String(i)]) {
        const ran = spawnSync("git", ["hash-object", "-w", "--stdin"], { cwd: directory, env: ENV, input: text })
        expect(ran.status).toBe(0)
      }
      await expect(readAll([hash.slice(0, 4)])).rejects.toMatchObject({
        code: "ERR_GIT",
        message: `${hash.slice(0, 4)} is the beginning of more than one object id`,
      })
      break
    }
    expect(id).toHaveLength(40)
  })

  test("an object that holds the bytes of another one", async () => {
    const id = git("rev-parse", "HEAD")
    const path = join(directory, ".git/objects", id.slice(0, 2), id.slice(2))
    const before = readFileSync(path)
    const body = git("cat-file", "commit", "HEAD").replace("two", "TWO").concat("\n")
    chmodSync(path, 0o644)
    writeFileSync(path, deflateSync(Buffer.from(`commit ${body.length}\0${body}`)))
    try {
      await expect(readAll([id])).rejects.toMatchObject({
        code: "ERR_DAMAGED",
        message: `the repository is damaged: commit ${id} holds bytes of another object`,
      })
      writeFileSync(path, Buffer.from("garbage"))
      await expect(readAll([id])).rejects.toMatchObject({ code: "ERR_GIT" })
    } finally {
      writeFileSync(path, before)
    }
  })

  test("outside of a repository", async () => {
    const outside = { cwd: tmpdir(), env: { ...ENV, GIT_CEILING_DIRECTORIES: "/" } }
    await expect(readOneObject(outside, "HEAD")).rejects.toMatchObject({
      code: "ERR_GIT",
      message: expect.stringMatching(/^not a git repository/),
    })
    await expect(readOneObject({ ...outside, env: { PATH: "/nonexistent" } }, "HEAD")).rejects.toMatchObject({
      code: "ERR_GIT",
      message: "there is no git program on PATH",
    })
  })

  test("a SHA-256 repository", async () => {
    const sha256 = mkdtempSync(join(tmpdir(), "gitsign-sha256-"))
    try {
      const run = (...args: string[]) => spawnSync("git", args, { cwd: sha256, env: ENV, encoding: "utf8" })
      run("init", "-q", "--object-format=sha256")
      run("commit", "-q", "--allow-empty", "-m", "one")
      const object = await readOneObject({ cwd: sha256, env: ENV }, "HEAD")
      expect(object.id).toMatch(/^[0-9a-f]{64}$/)
      expect(object.id).toBe(run("rev-parse", "HEAD").stdout.trim())
    } finally {
      rmSync(sha256, { recursive: true, force: true })
    }
  })
})
