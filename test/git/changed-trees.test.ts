/**
 * Collecting the objects behind a commit's changes, in repositories of every kind.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { changedFiles } from "../../cache-daemon/changed-files.ts"
import { changedTreeObjects, repositoryAndBranch } from "../../src/git/changed-trees.ts"

let directory: string
const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
  GIT_EDITOR: "true",
}

const at = (path: string, env: NodeJS.ProcessEnv = ENV) => ({ cwd: join(directory, path), env })
const git = (path: string, args: readonly string[], env: NodeJS.ProcessEnv = ENV): string => {
  const ran = spawnSync("git", args, { cwd: join(directory, path), env, input: "", encoding: "utf8" })
  if (ran.status !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`)
  return ran.stdout.trim()
}
const payloadOf = (path: string, revision: string, type = "commit"): Buffer =>
  spawnSync("git", ["cat-file", type, revision], { cwd: join(directory, path), env: ENV }).stdout
const commit = (path: string, file: string, content: string, ...more: string[]): void => {
  writeFileSync(join(directory, path, file), content)
  git(path, ["add", "-A"])
  git(path, ["commit", "-q", "-m", `change ${file}`, ...more])
}
/** What the agent makes of it. */
const filesOf = async (context: { cwd: string; env: NodeJS.ProcessEnv }, payload: Uint8Array) => {
  const changed = changedFiles(payload, await changedTreeObjects(context, payload))
  return changed.status === "proven" ? changed.files.map(({ path, kind }) => `${kind} ${path}`) : changed.reason
}

beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), "gitsign-trees-")))
  git(".", ["init", "-q", "-b", "main", "work"])
  commit("work", "a", "1")
  commit("work", "b", "2")
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe("changedTreeObjects", () => {
  test("gives raw objects: the parent, its tree, the new tree", async () => {
    const objects = await changedTreeObjects(at("work"), payloadOf("work", "HEAD"))
    expect(objects.map((raw) => Buffer.from(raw).toString("latin1").split(" ", 1)[0])).toEqual([
      "commit",
      "tree",
      "tree",
    ])
    expect(await filesOf(at("work"), payloadOf("work", "HEAD"))).toEqual(["added b"])
  })

  test("for the payload that git hands over, in the middle of a commit and of an amend", async () => {
    // git's own signing program is one that keeps the payload and gives no signature.
    const program = join(directory, "program")
    const seen = join(directory, "seen")
    writeFileSync(program, `#!/bin/sh\ncat > '${seen}'\nenv > '${seen}.env'\npwd > '${seen}.cwd'\nexit 1\n`, {
      mode: 0o755,
    })
    writeFileSync(join(directory, "work", "c"), "3")
    git("work", ["add", "c"])
    for (const [args, expected] of [
      [["commit", "-q", "-S", "-m", "third"], ["added c"]],
      [
        ["commit", "-q", "-S", "--amend", "-m", "third"],
        ["added b", "added c"],
      ],
    ] as const) {
      spawnSync("git", ["-c", `gpg.program=${program}`, ...args], { cwd: join(directory, "work"), env: ENV })
      const read = (name: string) => spawnSync("cat", [name], { encoding: "utf8" }).stdout
      const env = Object.fromEntries(
        read(`${seen}.env`)
          .split("\n")
          .filter((line) => /^(GIT_|PATH)/.test(line))
          .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
      )
      expect(await filesOf({ cwd: read(`${seen}.cwd`).trim(), env }, Buffer.from(read(seen)))).toEqual(expected)
      rmSync(seen)
    }
    git("work", ["reset", "-q", "--hard"])
  })

  test("in a bare repository, a worktree, a folder of one, and with GIT_DIR from elsewhere", async () => {
    git(".", ["clone", "-q", "--bare", "work", "bare.git"])
    git("work", ["worktree", "add", "-q", "-b", "side", "../side"])
    const payload = payloadOf("work", "HEAD")
    expect(await filesOf(at("bare.git"), payload)).toEqual(["added b"])
    expect(await filesOf(at("side"), payload)).toEqual(["added b"])
    expect(await filesOf(at("work/.git"), payload)).toEqual(["added b"])
    expect(await filesOf(at(".", { ...ENV, GIT_DIR: join(directory, "work/.git") }), payload)).toEqual(["added b"])
  })

  test("during a rebase that stops", async () => {
    git(".", ["clone", "-q", "work", "rebase"])
    commit("rebase", "a", "mine")
    git("rebase", ["checkout", "-q", "-b", "other", "HEAD~1"])
    commit("rebase", "a", "theirs")
    expect(spawnSync("git", ["rebase", "main"], { cwd: join(directory, "rebase"), env: ENV }).status).not.toBe(0)
    expect(await filesOf(at("rebase"), payloadOf("rebase", "main"))).toEqual(["modified a"])
    expect(await repositoryAndBranch(at("rebase"))).toEqual({
      repository: join(directory, "rebase"),
      branch: "detached",
    })
  })

  test("with settings that change what git diff shows", async () => {
    git("work", ["config", "diff.renames", "copies"])
    git("work", ["config", "diff.external", "false"])
    git("work", ["config", "diff.noprefix", "true"])
    git("work", ["config", "diff.relative", "true"])
    git("work", ["config", "core.abbrev", "5"])
    expect(await filesOf(at("work"), payloadOf("work", "HEAD"))).toEqual(["added b"])
  })

  test("a replace ref replaces nothing", async () => {
    git("work", ["replace", "HEAD~1^{tree}", "HEAD^{tree}"])
    try {
      expect(await filesOf(at("work"), payloadOf("work", "HEAD"))).toEqual(["added b"])
    } finally {
      git("work", ["replace", "-d", git("work", ["rev-parse", "HEAD~1^{tree}"])])
    }
  })

  test("nothing where the parent or a tree is missing, and nothing is fetched", async () => {
    const url = pathToFileURL(join(directory, "work")).href
    git("work", ["config", "uploadpack.allowFilter", "true"])
    git(".", ["clone", "-q", "--depth", "1", url, "shallow"])
    expect(await changedTreeObjects(at("shallow"), payloadOf("shallow", "HEAD"))).toEqual([])
    git(".", ["clone", "-q", "--no-checkout", "--filter=tree:0", url, "partial"])
    const present = () => git("partial", ["count-objects", "-v"])
    const before = present()
    expect(await changedTreeObjects(at("partial"), payloadOf("partial", "HEAD"))).toEqual([])
    expect(present()).toBe(before)
  })

  test("nothing for what is no commit, and where no repository or no git is", async () => {
    git("work", ["tag", "-a", "-m", "t", "v1"])
    expect(await changedTreeObjects(at("work"), payloadOf("work", "v1", "tag"))).toEqual([])
    expect(await changedTreeObjects(at("work"), Buffer.from("hello"))).toEqual([])
    expect(await changedTreeObjects(at("."), payloadOf("work", "HEAD"))).toEqual([])
    expect(await changedTreeObjects(at("work", { PATH: "/nowhere" }), payloadOf("work", "HEAD"))).toEqual([])
    expect(await changedTreeObjects(at("gone"), payloadOf("work", "HEAD"))).toEqual([])
    expect(existsSync(join(directory, "gone"))).toBe(false)
  })

  test("nothing when there are more trees than a message may have", async () => {
    git(".", ["init", "-q", "-b", "main", "many"])
    const trees = Array.from({ length: 4200 }, (_, i) => `M 100644 inline d${i}/f\ndata 4\n${i + 1000}`).join("\n")
    const made = spawnSync("git", ["fast-import", "--quiet"], {
      cwd: join(directory, "many"),
      env: ENV,
      input: `commit refs/heads/main\ncommitter A <a@example.com> 0 +0000\ndata 1\nx\n${trees}\n`,
    })
    expect(made.status).toBe(0)
    expect(await changedTreeObjects(at("many"), payloadOf("many", "HEAD"))).toEqual([])
  })
})

describe("repositoryAndBranch", () => {
  test("a worktree, a branch with a slash, a bare repository, no repository", async () => {
    git("work", ["worktree", "add", "-q", "-b", "topic/ünï", "../topic"])
    expect(await repositoryAndBranch(at("topic"))).toEqual({
      repository: join(directory, "topic"),
      branch: "topic/ünï",
    })
    git(".", ["init", "-q", "--bare", "-b", "trunk", "empty.git"])
    expect(await repositoryAndBranch(at("empty.git"))).toEqual({
      repository: join(directory, "empty.git"),
      branch: "trunk",
    })
    expect(await repositoryAndBranch(at("."))).toEqual({ repository: "", branch: "" })
    expect(await repositoryAndBranch(at("work", { PATH: "/nowhere" }))).toEqual({ repository: "", branch: "" })
  })
})
