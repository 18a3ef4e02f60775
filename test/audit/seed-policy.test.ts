/**
 * The look at who has signed, at real objects: a Sigstore signature, one of GitHub's website, one that nobody can check, none.
 *
 * @module
 */

import { execFileSync } from "node:child_process"
import { appendFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { audit } from "../../src/audit/audit.ts"
import { seedPolicy } from "../../src/audit/seed-policy.ts"
import { beginningsOf, signersSeen } from "../../src/audit/signers-seen.ts"
import { proposePolicy } from "../../src/policy/propose.ts"
import { loadTrustedRoot } from "../../src/trust/load.ts"
import { caseNamed } from "../support/fixtures.ts"

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
}

let path: string
beforeAll(() => {
  path = mkdtempSync(join(tmpdir(), "gitsign-seed-"))
  git(["init", "-q", "-b", "main"])
})
afterAll(() => rmSync(path, { recursive: true, force: true }))

const git = (args: readonly string[], input: string | Buffer = ""): string =>
  execFileSync("git", args, { cwd: path, env: ENV, input, encoding: "utf8" }).trim()

/** An object as it is in the wild, without what it names. */
function object(bytes: Buffer): string {
  const id = git(["hash-object", "-w", "-t", "commit", "--literally", "--stdin"], bytes)
  appendFileSync(join(path, ".git/shallow"), `${id}\n`)
  return id
}

test("counts whom it can verify, and of the others only how many they are", async () => {
  const website = object(caseNamed("commits", "openpgp_fail").read("object"))
  const sigstore = object(caseNamed("commits", "real-ad0fb760-offline").read("object"))
  const changed = caseNamed("commits", "openpgp_fail").read("object").toString("latin1").replace("Cobra", "Kobra")
  const forged = object(Buffer.from(changed, "latin1"))
  const tree = git(["hash-object", "-w", "-t", "tree", "--stdin"])
  const parents = [website, sigstore, forged].flatMap((id) => ["-p", id])
  const tip = git(["commit-tree", "-m", "not signed", ...parents, tree])
  const target = { name: "HEAD", ref: "refs/heads/main", include: [tip], exclude: [], walk: true, fresh: false }
  const policy = await seedPolicy()
  const context = { cwd: path, env: ENV }
  const { objects } = await audit(context, [{ ...target, policy }], { trustedRoot: loadTrustedRoot({}) })
  const seen = signersSeen(objects)
  expect(seen.commits).toBe(4)
  expect(new Map(seen.unverified)).toEqual(
    new Map([
      ["ERR_NOT_SIGNED", 1],
      ["ERR_SIGNATURE", 1],
    ]),
  )
  const people = seen.signers.map((one) => ({ ...one, refs: ["refs/heads/main"] }))
  const text = proposePolicy(people, ["main"])
  expect(text).toContain("    # 1 commit since 2022-11-09, by GitHub for what is done on its website\n")
  expect(text).toContain("    # 1 of them are no merges")
  expect(text).toContain("    - openpgp: github\n      on: clean merges\n")
  expect(text).toContain("      subject: cve-detection-sa@prod-images-c6e5.iam.gserviceaccount.com\n")
  expect(seen.signers).toHaveLength(2)
  // What cannot be verified is no older than what can.
  expect(beginningsOf([tip, website], objects)).toEqual({ first: undefined, clean: undefined })
})
