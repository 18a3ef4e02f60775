/**
 * What a clone knows of another repository's branches, and names that git could take for something else.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { lookUp } from "../../src/git/look-up.ts"
import { remoteRefs } from "../../src/git/remote-refs.ts"

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
}

let cwd: string
let id: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "gitsign-remote-"))
  git("init", "-q", "-b", "main")
  git("commit", "-q", "--allow-empty", "-m", "one")
  id = git("rev-parse", "HEAD")
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

function git(...args: string[]): string {
  const ran = spawnSync("git", args, { cwd, env: ENV, encoding: "utf8" })
  if (ran.status !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`)
  return ran.stdout.trim()
}

const known = (remote: string) => remoteRefs({ cwd, env: ENV }, remote)

describe("remote-tracking refs", () => {
  test("of a remote as git makes it", async () => {
    git("remote", "add", "origin", "https://origin.example")
    git("update-ref", "refs/remotes/origin/main", id)
    git("update-ref", "refs/remotes/origin/a/b", id)
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    expect(await known("origin")).toEqual({
      branches: [
        { ref: "refs/heads/a/b", id },
        { ref: "refs/heads/main", id },
      ],
      head: { ref: "refs/heads/main", name: "origin/main" },
    })
  })

  test("of one that is fetched elsewhere, and partly", async () => {
    git("remote", "add", "other", "https://other.example")
    git("config", "remote.other.fetch", "refs/heads/release/*:refs/vendor/*")
    git("config", "--add", "remote.other.fetch", "+refs/tags/*:refs/tags/*")
    git("update-ref", "refs/vendor/1", id)
    expect(await known("other")).toEqual({ branches: [{ ref: "refs/heads/release/1", id }], head: undefined })
  })

  test.each(["", "https://origin.example", "/a/path", "nobody", "--help", "a\nb", "x.fetch"])(
    "nothing of %j",
    async (remote) => {
      expect(await known(remote)).toEqual({ branches: [], head: undefined })
    },
  )
})

describe("looking up", () => {
  test("tells types and ids in order, and what is not there", async () => {
    const tree = git("rev-parse", "HEAD^{tree}")
    const asked = [id, "f".repeat(40), `${id}:nothing`, `${id}^{tree}`, "--batch"]
    expect(await lookUp({ cwd, env: ENV }, asked)).toEqual([
      { type: "commit", id },
      undefined,
      undefined,
      { type: "tree", id: tree },
      undefined,
    ])
    expect(await lookUp({ cwd, env: ENV }, [])).toEqual([])
  })

  test("refuses two names in one, and a place that is no repository", async () => {
    await expect(lookUp({ cwd, env: ENV }, [`${id}\n${id}`])).rejects.toMatchObject({ code: "ERR_GIT" })
    await expect(lookUp({ cwd: tmpdir(), env: ENV }, [id])).rejects.toMatchObject({ code: "ERR_GIT" })
  })
})
