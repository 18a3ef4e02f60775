/**
 * Every way in which git makes a signed object: each is signed, verified by git and by gitsign, and says who signed.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { EMAIL, type Services, startServices, statusOf, Workspace } from "./harness.ts"

let services: Services
let workspace: Workspace
let identity: string[]

beforeAll(async () => {
  services = await startServices()
  workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: await services.token() })
  identity = ["--certificate-identity", EMAIL, "--certificate-oidc-issuer", services.issuer]
}, 60_000)

afterAll(async () => {
  workspace?.close()
  await services?.close()
})

/** Asserts that a revision is signed and verified, by git and by gitsign. */
function expectVerified(repository: string, revision = "HEAD"): void {
  const verified = workspace.gitsign(repository, "verify", ...identity, revision)
  expect(verified.stderr + verified.stdout).toContain(EMAIL)
  expect(verified.status).toBe(0)
  expect(workspace.tryGit(repository, "verify-commit", revision).status).toBe(0)
  expect(statusOf(workspace, repository, revision)).toMatchObject({
    letter: "G",
    trust: "fully",
    signer: `${EMAIL} (${services.issuer})`,
  })
}

describe("commits", () => {
  test("commit, amend, and what git log shows", () => {
    const repository = workspace.repository("commit")
    const first = workspace.commit(repository, "a", "1\n")
    expectVerified(repository)
    workspace.git(repository, "commit", "--quiet", "--amend", "--no-edit", "--date=now")
    expect(workspace.git(repository, "rev-parse", "HEAD")).not.toBe(first)
    expectVerified(repository)
    const log = workspace.git(repository, "log", "-1", "--show-signature")
    expect(log).toContain(`gitsign: good signature by ${EMAIL} (${services.issuer})`)
    expect(log).toMatch(/gitsign: logged \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/)
    expect(workspace.git(repository, "fsck", "--strict")).toBe("")
  })

  test("merge, cherry-pick, revert and rebase keep everything signed", () => {
    const repository = workspace.repository("history")
    workspace.commit(repository, "base", "0\n")
    workspace.git(repository, "switch", "--quiet", "-c", "side")
    workspace.commit(repository, "b", "1\n")
    const picked = workspace.commit(repository, "c", "1\n")
    workspace.git(repository, "switch", "--quiet", "main")
    workspace.commit(repository, "a", "1\n")
    workspace.git(repository, "merge", "--quiet", "--no-ff", "-m", "merge side", "side~1")
    expectVerified(repository)
    workspace.git(repository, "cherry-pick", picked)
    expectVerified(repository)
    workspace.git(repository, "revert", "--no-edit", "HEAD")
    expectVerified(repository)
    workspace.git(repository, "switch", "--quiet", "side")
    workspace.git(repository, "rebase", "--quiet", "--force-rebase", "--onto", "main~2", "side~2")
    for (const commit of workspace.git(repository, "rev-list", "main", "side").split("\n"))
      expectVerified(repository, commit)
    expect(workspace.git(repository, "fsck", "--strict")).toBe("")
  }, 120_000)

  test("merge --verify-signatures accepts what is signed and refuses what is not", () => {
    const repository = workspace.repository("merge-verify")
    workspace.commit(repository, "a", "1\n")
    workspace.git(repository, "switch", "--quiet", "-c", "signed")
    workspace.commit(repository, "b", "1\n")
    workspace.git(repository, "switch", "--quiet", "-c", "unsigned", "main")
    workspace.commit(repository, "c", "1\n", "--no-gpg-sign")
    workspace.git(repository, "switch", "--quiet", "main")
    expect(
      workspace.tryGit(repository, "merge", "--verify-signatures", "--no-ff", "-m", "bad", "unsigned").status,
    ).not.toBe(0)
    expect(workspace.tryGit(repository, "merge", "--verify-signatures", "--no-ff", "-m", "good", "signed").status).toBe(
      0,
    )
  }, 60_000)

  test("commit-tree -S, an empty message, a message without a final line feed, CRLF and a line of 70 KiB", () => {
    const repository = workspace.repository("plumbing")
    workspace.commit(repository, "a", "1\n")
    const tree = workspace.git(repository, "rev-parse", "HEAD^{tree}")
    for (const message of ["plain", "", "no final line feed\r\nand CRLF\r\n\r\nbody", "x".repeat(70 * 1024)]) {
      const made = workspace.run(repository, "git", ["commit-tree", "-S", "-p", "HEAD", tree], { input: message })
      expect(made.status, made.stderr).toBe(0)
      expectVerified(repository, made.stdout.trim())
    }
  }, 60_000)

  test("i18n.commitEncoding and extra headers are signed as they are", () => {
    const repository = workspace.repository("encoding")
    writeFileSync(join(repository, "a"), "1\n")
    workspace.git(repository, "add", "a")
    workspace.git(repository, "-c", "i18n.commitEncoding=ISO-8859-1", "commit", "--quiet", "-m", "gr\u00fc\u00dfe")
    expect(workspace.git(repository, "cat-file", "commit", "HEAD")).toContain("encoding ISO-8859-1")
    expectVerified(repository)
  })
})

describe("tags", () => {
  test("signed tags verify with git and with verify-tag, and a merge of one carries it as a mergetag", () => {
    const repository = workspace.repository("tags")
    workspace.commit(repository, "a", "1\n")
    workspace.git(repository, "switch", "--quiet", "-c", "side")
    workspace.commit(repository, "b", "1\n")
    workspace.git(repository, "tag", "-s", "-m", "version one", "v1")
    expect(workspace.tryGit(repository, "verify-tag", "v1").status).toBe(0)
    const verified = workspace.gitsign(repository, "verify-tag", ...identity, "v1")
    expect(verified.status, verified.stderr).toBe(0)
    workspace.git(repository, "switch", "--quiet", "main")
    workspace.git(repository, "merge", "--quiet", "--no-ff", "--no-edit", "v1")
    expect(workspace.git(repository, "cat-file", "commit", "HEAD")).toContain("mergetag object")
    expectVerified(repository)
    const log = workspace.git(repository, "log", "-1", "--show-signature")
    expect(log.match(/^gitsign: good signature/gm)).toHaveLength(2)
  }, 60_000)

  test("a tag is refused where git shows another object in its place, or for what it leads to", () => {
    const repository = workspace.repository("replaced-tag")
    workspace.commit(repository, "a", "1\n")
    workspace.git(repository, "tag", "-s", "-m", "one", "v1")
    workspace.git(repository, "tag", "-s", "-m", "two", "v2", "v1")
    const [tag, commit] = [workspace.git(repository, "rev-parse", "v1"), workspace.git(repository, "rev-parse", "HEAD")]
    const statuses = (name: string, code: string): void => {
      for (const format of ["text", "json"]) {
        const ran = workspace.gitsign(repository, "verify-tag", `--format=${format}`, ...identity, name)
        expect([ran.status, ran.stderr], `${name} ${format}`).toEqual(
          code === "" ? [0, ""] : [1, expect.stringContaining(`[${code}]`)],
        )
      }
    }
    for (const name of ["v1", "v2"]) statuses(name, "")
    const evil = workspace.git(repository, "commit-tree", "-m", "evil", "HEAD^{tree}")
    workspace.git(repository, "replace", commit, evil)
    for (const name of ["v1", "v2"]) statuses(name, "ERR_REPLACED")
    workspace.git(repository, "replace", "-d", commit)
    workspace.git(repository, "tag", "-a", "--no-sign", "-m", "evil", "evil", evil)
    workspace.git(repository, "replace", tag, "refs/tags/evil")
    for (const name of ["v1", "v2"]) statuses(name, "ERR_REPLACED")
  }, 60_000)

  test("a tag moved to another name is refused", () => {
    const repository = workspace.repository("moved-tag")
    workspace.commit(repository, "a", "1\n")
    workspace.git(repository, "tag", "-s", "-m", "one", "v1")
    workspace.git(repository, "update-ref", "refs/tags/v2", "refs/tags/v1")
    const refused = workspace.gitsign(repository, "verify-tag", ...identity, "v2")
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain("[ERR_TAG_NAME]")
  })
})

describe("places", () => {
  test("a path with spaces and non-ASCII letters, a sub-directory, a linked worktree", () => {
    const repository = workspace.repository("dir with spaces/gr\u00fc\u00dfe \u65e5\u672c")
    workspace.commit(repository, "a", "1\n")
    expectVerified(repository)
    mkdirSync(join(repository, "sub"))
    workspace.commit(join(repository, "sub"), "b", "1\n")
    expectVerified(join(repository, "sub"))
    const worktree = join(workspace.root, "linked worktree")
    workspace.git(repository, "worktree", "add", "--quiet", "-b", "linked", worktree)
    workspace.commit(worktree, "c", "1\n")
    expectVerified(worktree)
  }, 60_000)

  test("a submodule and a bare repository", () => {
    const inner = workspace.repository("inner")
    workspace.commit(inner, "a", "1\n")
    const outer = workspace.repository("outer")
    workspace.git(outer, "submodule", "--quiet", "add", inner, "module")
    workspace.git(outer, "commit", "--quiet", "-m", "add module")
    expectVerified(outer)
    workspace.commit(join(outer, "module"), "b", "1\n")
    expectVerified(join(outer, "module"))
    const bare = join(workspace.root, "bare.git")
    workspace.git(workspace.root, "clone", "--quiet", "--bare", inner, bare)
    expectVerified(bare)
  }, 60_000)

  test("a SHA-256 repository, in offline and in online mode", () => {
    const repository = workspace.repository("sha256", "--object-format=sha256")
    workspace.commit(repository, "a", "1\n")
    expect(workspace.git(repository, "cat-file", "commit", "HEAD")).toContain(
      "gpgsig-sha256 -----BEGIN SIGNED MESSAGE-----",
    )
    expectVerified(repository)
    workspace.git(repository, "tag", "-s", "-m", "one", "v1")
    expect(workspace.tryGit(repository, "verify-tag", "v1").status).toBe(0)
    workspace.git(repository, "config", "gitsign.rekorMode", "online")
    workspace.commit(repository, "b", "1\n")
    expectVerified(repository)
    workspace.git(repository, "tag", "-s", "-m", "two", "v2")
    expect(workspace.gitsign(repository, "verify-tag", ...identity, "v2").status).toBe(0)
  }, 60_000)
})

describe("modes", () => {
  test("online: found through the search index once, then verified from the cache without a network", () => {
    const repository = workspace.repository("online")
    workspace.git(repository, "config", "gitsign.rekorMode", "online")
    const commit = workspace.commit(repository, "a", "1\n")
    workspace.git(repository, "tag", "-s", "-m", "one", "v1")
    const offline = { env: { GITSIGN_REKOR_URL: "http://127.0.0.1:1" } }
    const unavailable = workspace.run(repository, workspace.program, ["verify", ...identity, commit], offline)
    expect(unavailable.status).toBe(3)
    expect(statusOf(workspace, repository)).toMatchObject({ letter: "G" })
    expect(workspace.gitsign(repository, "verify-tag", ...identity, "v1").status).toBe(0)
    const cached = workspace.run(repository, workspace.program, ["verify", ...identity, commit], offline)
    expect(cached.status, cached.stderr).toBe(0)
    expect(workspace.run(repository, "git", ["verify-tag", "v1"], offline).status).toBe(0)
  }, 60_000)

  test("online and never verified, without a network: E and exit 3, never N or B", () => {
    const repository = workspace.repository("online-offline")
    workspace.git(repository, "config", "gitsign.rekorMode", "online")
    workspace.commit(repository, "a", "1\n")
    workspace.env.GITSIGN_REKOR_URL = "http://127.0.0.1:1"
    try {
      expect(statusOf(workspace, repository)).toMatchObject({ letter: "E" })
    } finally {
      workspace.env.GITSIGN_REKOR_URL = services.environment.GITSIGN_REKOR_URL ?? ""
    }
  }, 60_000)

  test("a timestamp is in the signature and is verified", () => {
    const repository = workspace.repository("timestamp")
    const before = { ...workspace.env }
    Object.assign(workspace.env, services.timestampEnvironment)
    try {
      workspace.commit(repository, "a", "1\n")
      expectVerified(repository)
      workspace.git(repository, "tag", "-s", "-m", "one", "v1")
      expect(workspace.tryGit(repository, "verify-tag", "v1").status).toBe(0)
    } finally {
      workspace.env = before
    }
  }, 60_000)
})
