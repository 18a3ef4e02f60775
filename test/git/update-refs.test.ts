/**
 * Refs that are moved together, though whoever asked for it is ended in the middle of a word.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { updateRefs } from "../../src/git/update-refs.ts"

const ENV = {
  PATH: process.env.PATH ?? "",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
}

let root: string
let cwd: string
let from: string
let to: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "gitsign-update-refs-"))
  cwd = join(root, "repository")
  spawnSync("git", ["init", "-q", "-b", "main", cwd], { env: ENV })
  from = commit("one")
  to = commit("two")
  git("reset", "-q", "--hard", from)
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function git(...args: string[]): string {
  const ran = spawnSync("git", args, { cwd, env: ENV, encoding: "utf8" })
  if (ran.status !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`)
  return ran.stdout.trim()
}

function commit(message: string): string {
  git("commit", "-q", "--allow-empty", "-m", message)
  return git("rev-parse", "HEAD")
}

/** A git of which this is done with what it reads. */
function gitThrough(filter: string): Record<string, string> {
  const path = join(root, "git")
  writeFileSync(path, `#!/bin/sh\n${filter} | PATH='${ENV.PATH}' exec git "$@"\n`)
  chmodSync(path, 0o755)
  return { ...ENV, PATH: `${root}:${ENV.PATH}` }
}

const refs = (): string[] => git("for-each-ref", "--format=%(objectname) %(refname)").split("\n")

test("all or none, wherever the words end", async () => {
  const record = "refs/gitsign/resign/1/before/heads/main"
  const updates = [
    { ref: "refs/heads/main", from, to },
    { ref: record, from: undefined, to: from },
  ]
  const before = refs()
  const written = join(root, "written")
  await updateRefs({ cwd, env: gitThrough(`tee '${written}'`) }, updates, "a reason", "sha1")
  expect(refs()).toEqual([`${from} ${record}`, `${to} refs/heads/main`])
  git("reset", "-q", "--hard", from)
  git("update-ref", "-d", record)
  // As when nobody is there any more to write the rest; only the last NUL may be missing.
  const { size } = statSync(written)
  for (let bytes = 0; bytes < size - 1; bytes++) {
    await updateRefs({ cwd, env: gitThrough(`head -c ${bytes}`) }, updates, "a reason", "sha1").catch(() => undefined)
    expect([bytes, refs()]).toEqual([bytes, before])
  }
}, 60_000)
