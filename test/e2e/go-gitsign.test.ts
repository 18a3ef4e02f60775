/**
 * Both directions with the Go gitsign: what the one signs, the other accepts. Where it refuses what is valid is a row
 * of docs/compatibility.md.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { EMAIL, type Ran, type Services, startServices, statusOf, Workspace } from "./harness.ts"

/** The Go gitsign, told from this program by the settings that its `version` prints. */
function findGo(): string | undefined {
  const candidates = [process.env.GITSIGN_GO, "gitsign"].filter((path) => path !== undefined)
  return candidates.find((path) => {
    const ran = spawnSync(path, ["version"], { encoding: "utf8", timeout: 20_000 })
    return `${ran.stdout}${ran.stderr}`.includes("AutocloseTimeout")
  })
}

const go = findGo()

describe.skipIf(go === undefined)("the Go gitsign (GITSIGN_GO, or gitsign on PATH)", () => {
  const goProgram = go ?? ""
  let services: Services
  let workspace: Workspace
  let identity: string[]

  beforeAll(async () => {
    services = await startServices()
    workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: await services.token() })
    identity = ["--certificate-identity", EMAIL, "--certificate-oidc-issuer", services.issuer]
    mkdirSync(join(workspace.root, "home", ".cache"), { recursive: true })
  }, 60_000)

  afterAll(async () => {
    workspace?.close()
    await services?.close()
  })

  const withGo = (repository: string, env: Record<string, string>, ...args: string[]): Ran =>
    workspace.run(repository, "git", ["-c", `gpg.x509.program=${goProgram}`, ...args], { env })
  const verifyWithGo = (repository: string, ...args: string[]): Ran => workspace.run(repository, goProgram, [...args])

  /** A repository with one signed commit and one signed tag. */
  function signed(name: string, program: "go" | "own", env: Record<string, string>): string {
    const repository = workspace.repository(name)
    const chosen = program === "go" ? ["-c", `gpg.x509.program=${goProgram}`] : []
    for (const args of [
      ["commit", "--quiet", "--allow-empty", "-m", "signed"],
      ["tag", "-s", "-m", "one", "v1"],
    ]) {
      const ran = workspace.run(repository, "git", [...chosen, ...args], { env })
      expect(ran.status, ran.stderr).toBe(0)
    }
    return repository
  }

  test.each(["offline", "online"])(
    "it signs, we verify: %s",
    (mode) => {
      const repository = signed(`go-signs-${mode}`, "go", { GITSIGN_REKOR_MODE: mode })
      expect(workspace.tryGit(repository, "verify-commit", "HEAD").stderr).toContain(EMAIL)
      expect(statusOf(workspace, repository)).toMatchObject({ letter: "G", trust: "fully" })
      expect(workspace.gitsign(repository, "verify", ...identity).status).toBe(0)
      // The Go gitsign cannot verify a tag of its own in online mode: what it logs is the hash of a wrongly joined object.
      expect(workspace.gitsign(repository, "verify-tag", ...identity, "v1").status).toBe(0)
      expect(workspace.tryGit(repository, "verify-tag", "v1").status).toBe(0)
    },
    60_000,
  )

  test("it signs with a timestamp, we verify", () => {
    const repository = workspace.repository("go-signs-timestamp")
    const env = { GITSIGN_REKOR_MODE: "offline", ...services.timestampEnvironment }
    const ran = withGo(repository, env, "commit", "--quiet", "--allow-empty", "-m", "signed")
    expect(ran.status, ran.stderr).toBe(0)
    const verified = workspace.run(repository, workspace.program, ["verify", ...identity], {
      env: services.timestampEnvironment,
    })
    expect(verified.status, verified.stderr).toBe(0)
  }, 60_000)

  test.each([
    ["without a timestamp", {}],
    ["with a timestamp", "timestamp"],
  ])(
    "we sign offline %s, it verifies",
    (name, timestamp) => {
      const env = { GITSIGN_REKOR_MODE: "offline", ...(timestamp === "timestamp" ? services.timestampEnvironment : {}) }
      const repository = signed(`own-signs-${name.replaceAll(" ", "-")}`, "own", env)
      const commit = withGo(repository, env, "verify-commit", "HEAD")
      // It takes the authority's accuracy off the time, and so refuses a certificate that is younger than that.
      if (timestamp === "timestamp" && services.timestampAccuracy && commit.status !== 0) {
        expect(commit.stderr).toContain("not yet valid: timestamp authority verification failed")
        return
      }
      expect(commit.status, commit.stderr).toBe(0)
      expect(commit.stderr).toContain("Good signature")
      const tag = withGo(repository, env, "verify-tag", "v1")
      expect(tag.status, tag.stderr).toBe(0)
      expect(workspace.run(repository, goProgram, ["verify", ...identity, "HEAD"], { env }).status).toBe(0)
    },
    60_000,
  )

  test("we sign online, it verifies commits", () => {
    const repository = signed("own-signs-online", "own", { GITSIGN_REKOR_MODE: "online" })
    const commit = withGo(repository, {}, "verify-commit", "HEAD")
    expect(commit.status, commit.stderr).toBe(0)
    expect(verifyWithGo(repository, "verify", ...identity, "HEAD").status).toBe(0)
  }, 60_000)

  test("it refuses a valid commit without a final line feed, which we and git accept", () => {
    const repository = workspace.repository("no-final-line-feed")
    const tree = workspace.git(repository, "mktree")
    const made = workspace.run(repository, "git", ["commit-tree", "-S", tree], { input: "no final line feed" })
    const commit = made.stdout.trim()
    expect(withGo(repository, {}, "verify-commit", commit).status).toBe(0)
    const refused = verifyWithGo(repository, "verify", ...identity, commit)
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain("invalid message digest")
    expect(workspace.gitsign(repository, "verify", ...identity, commit).status).toBe(0)
  }, 60_000)

  test("it says N of a tampered commit, we say B", () => {
    const repository = workspace.repository("tampered")
    workspace.commit(repository, "a", "1\n")
    const object = workspace.git(repository, "cat-file", "commit", "HEAD").replace("change a", "change b")
    const forged = workspace
      .run(repository, "git", ["hash-object", "-t", "commit", "-w", "--stdin"], { input: `${object}\n` })
      .stdout.trim()
    expect(withGo(repository, {}, "log", "-1", "--format=%G?", forged).stdout.trim()).toBe("N")
    expect(statusOf(workspace, repository, forged).letter).toBe("B")
  }, 60_000)
})
