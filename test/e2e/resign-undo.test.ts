/**
 * `gitsign resign --undo` where something has happened since: nothing of it is lost, and what stays can be taken back later.
 *
 * @module
 */

import { existsSync } from "node:fs"
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest"
import { type Services, startServices, Workspace } from "./harness.ts"
import { expectRan, expectRefused, unsignedHistory } from "./resign-history.ts"

let services: Services
let token: string
let workspace: Workspace
let repository: string

beforeAll(async () => {
  services = await startServices()
  token = await services.token()
}, 60_000)

afterAll(() => services?.close())

beforeEach(() => {
  workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: token })
  workspace.git(workspace.root, "config", "--global", "commit.gpgsign", "false")
  repository = unsignedHistory(workspace, "history", 4)
})

afterEach(() => workspace.close())

const git = (...args: string[]): string => workspace.git(repository, ...args)
const resign = (...args: string[]) => workspace.gitsign(repository, "resign", ...args)
const refs = (): string => git("for-each-ref")

test("a branch that has gone on keeps its record when another one of the same run goes back", () => {
  git("branch", "low", "HEAD~1")
  const [main, low] = [git("rev-parse", "main"), git("rev-parse", "low")]
  expectRan(resign("--update-refs", "HEAD~3.."), /main is now .*\nlow is now/)
  workspace.commit(repository, "later", "1\n")
  expectRan(
    resign("--undo", "low"),
    /^low is now \w+, was \w+\n$/,
    /main has moved since, and stays where it is; see: /,
  )
  expect(git("rev-parse", "low")).toBe(low)
  // Nothing else leads to them any more.
  git("reflog", "expire", "--expire=now", "--all")
  git("gc", "--quiet", "--prune=now")
  expect(git("cat-file", "-t", main)).toBe("commit")
  const ran = resign("--undo")
  expectRefused(ran, 3, "ERR_RESIGN", /main is at \w+, and was at \w+ when it had been signed again/)
  const [, hint = ""] = /hint: put what came later on the old commits: (git rebase .*)\n/.exec(ran.stderr) ?? []
  expect(workspace.run(repository, "sh", ["-c", hint]).status).toBe(0)
  expect(git("rev-parse", "main~1")).toBe(main)
}, 60_000)

test("notes that came later go back with the branch, and none is overwritten", () => {
  git("notes", "add", "-m", "appended to", "HEAD")
  git("notes", "add", "-m", "edited", "HEAD~1")
  git("notes", "add", "-m", "as it was", "HEAD~2")
  const old = git("rev-parse", "HEAD")
  expectRan(resign("HEAD~3.."), /3 commits/)
  const made = git("rev-parse", "HEAD")
  git("notes", "append", "-m", "later", "HEAD")
  git("notes", "add", "-f", "-m", "changed", "HEAD~1")
  git("notes", "append", "-m", "on the old one", `${old}~2`)
  git("notes", "--ref", "review", "add", "-m", "looks good", "HEAD~1")
  const before = refs()
  expectRan(resign("--undo", "--dry-run"), /^main would be/, /2 later notes of the commits signed again would go back/)
  expect(refs()).toBe(before)
  const ran = resign("--undo")
  expectRan(ran, /^main is now /, /2 later notes of the commits signed again go back to the old ones\n/)
  expect(ran.stderr).toContain(`the note on ${git("rev-parse", `${made}~1`).slice(0, 12)} stays there alone`)
  expect(git("rev-parse", "HEAD")).toBe(old)
  expect(git("notes", "show", "HEAD")).toBe("appended to\n\nlater")
  expect(git("notes", "show", "HEAD~1")).toBe("edited")
  expect(git("notes", "show", "HEAD~2")).toBe("as it was\n\non the old one")
  expect(git("notes", "--ref", "review", "show", "HEAD~1")).toBe("looks good")
  expect(git("notes", "show", `${made}~1`)).toBe("changed")
  expect(git("fsck", "--strict", "--no-dangling")).toBe("")
}, 60_000)

test("notes that came later are not lost where git does not know who would bring them back", () => {
  expectRan(resign("HEAD~1.."), /1 commit /)
  git("notes", "add", "-m", "later", "HEAD")
  workspace.git(workspace.root, "config", "--global", "user.useConfigOnly", "true")
  workspace.git(workspace.root, "config", "--global", "--unset", "user.email")
  const before = refs()
  expectRefused(resign("--undo"), 2, "ERR_CONFIG", /git does not know who does that/)
  expect(refs()).toBe(before)
}, 60_000)

test.runIf(existsSync("/dev/full"))(
  "what was done is told on stderr when stdout is lost",
  () => {
    const ran = workspace.run(repository, "sh", ["-c", "exec gitsign resign HEAD~1.. >/dev/full"])
    expectRefused(ran, 3, "ERR_IO", /cannot write to stdout: the disk is full/)
    expect(ran.stderr).toContain("gitsign: hint: main was moved; take it back with: gitsign resign --undo main\n")
    const made = git("rev-parse", "HEAD")
    expectRan(resign("--undo", "main"), /^main is now /)
    expect(git("rev-parse", "HEAD")).not.toBe(made)
  },
  60_000,
)
