/**
 * What somebody who may push tries against the receive hooks: lies about what is there, ways around the name of a ref, and ways back to a
 * policy that has been given up.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { ed25519 } from "../support/ssh-signer.ts"
import { EMAIL, type Ran, type Services, startServices } from "./harness.ts"
import { PushWorld, policyText, STRANGER, saidTo } from "./push-world.ts"
import { rawPush } from "./raw-push.ts"

let services: Services
let world: PushWorld

beforeAll(async () => {
  services = await startServices()
}, 60_000)
afterAll(() => services?.close())
afterEach(() => world?.close())

async function begin(policy: string, ...install: string[]): Promise<void> {
  world = await PushWorld.begin(services, { policy })
  expect(world.install(...install).status).toBe(0)
}

const POLICY = ".gitsign/policy.yaml"
const plain = (more = ""): string => policyText(services.issuer, more)
/** The same, but that it names the stranger instead of the developer. */
const former = (more = ""): string => policyText(services.issuer, more, STRANGER)

/** Refused, with this code, and the ref where it was. */
function expectRefused(ran: Ran, code: string, ref: string, id: string): void {
  expect([ran.status, saidTo(ran)]).toEqual([1, expect.stringContaining(`[${code}]`)])
  expect(world.onServer(ref)).toBe(id)
}

describe("what is said of old ids", () => {
  const NONE = "0".repeat(40)

  test.each([["pre-receive"], ["update"]])(
    "vouches for nothing (%s)",
    async (hook) => {
      await begin(plain(), ...(hook === "update" ? ["--each-ref"] : []))
      const before = world.onServer("main")
      const bad = world.commit("bad", { by: "nobody" })
      for (const [other, claimed] of [
        // It is not there, and git finds that out when it has asked the hooks, and for this ref only.
        ["refs/heads/release/1", bad],
        ["refs/heads/main", bad],
        ["refs/tags/v1", bad],
      ] as const) {
        const first = { ref: other, before: claimed, after: bad }
        const said = rawPush(world, [
          first,
          ...(other === "refs/heads/main" ? [] : [{ ref: "refs/heads/main", before, after: bad }]),
          { ref: "refs/heads/release/2", before: NONE, after: bad },
        ])
        expect(said).toContain("ng refs/heads/release/2 ")
        expect(said).toContain("[ERR_NOT_SIGNED]")
      }
      expect([world.onServer("main"), world.onServer("refs/heads/release/2")]).toEqual([before, ""])
      // The same words without the lie are no hindrance.
      world.git("reset", "--quiet", "--hard", before)
      const good = world.commit("good")
      expect(rawPush(world, [{ ref: "refs/heads/main", before, after: good }])).toContain("ok refs/heads/main")
    },
    120_000,
  )
})

describe("a ref that is a link", () => {
  const link = (name: string, target: string): string => world.workspace.git(world.server, "symbolic-ref", name, target)

  test("is judged as what it leads to", async () => {
    await begin(plain("otherwise: allow\n"))
    const before = world.onServer("main")
    link("refs/heads/master", "refs/heads/main")
    world.commit("bad", { by: "nobody" })
    const refused = world.push("HEAD:master")
    expectRefused(refused, "ERR_NOT_SIGNED", "main", before)
    expect(saidTo(refused)).toContain("refused refs/heads/main")
    // Two changes of one branch are none that anybody could judge.
    const signed = world.commit("signed")
    world.git("reset", "--quiet", "--hard", before)
    const good = world.commit("good")
    const both = rawPush(world, [
      { ref: "refs/heads/master", before, after: signed },
      { ref: "refs/heads/main", before, after: good },
    ])
    expect(both).toContain("is a link to refs/heads/main, and this push changes both [ERR_HOOK]")
    expect(world.push("HEAD:master").status).toBe(0)
    expect(world.onServer("main")).toBe(good)
  }, 120_000)

  test("vouches for nothing by its own name", async () => {
    await begin(plain())
    world.git("switch", "--quiet", "-c", "wip/x")
    const theirs = world.commit("theirs", { by: STRANGER })
    expect(world.push("wip/x").status).toBe(0)
    link("refs/heads/release/latest", "refs/heads/wip/x")
    expectRefused(world.push("wip/x:release/1"), "ERR_IDENTITY", "refs/heads/release/1", "")
    expect(world.onServer("refs/heads/wip/x")).toBe(theirs)
  }, 60_000)

  test("to what is not there makes no branch past the rules", async () => {
    await begin(plain("otherwise: allow\n"))
    link("refs/heads/free", "refs/heads/release/1")
    world.commit("bad", { by: "nobody" })
    expectRefused(world.push("HEAD:free"), "ERR_HOOK", "refs/heads/release/1", "")
  }, 60_000)
})

test("what git would show in the place of signed objects is let in by no policy that does not say so", async () => {
  await begin(plain("otherwise: allow\n"))
  const id = world.onServer("main")
  world.commit("bad", { by: "nobody" })
  expectRefused(world.push(`HEAD:refs/replace/${id}`), "ERR_REPLACED", `refs/replace/${id}`, "")
  expectRefused(world.push("HEAD:refs/namespaces/a/refs/heads/main"), "ERR_NO_RULE", "refs/namespaces/a/x", "")
  expectRefused(world.push("HEAD:refs/Tags/v1"), "ERR_NO_RULE", "refs/Tags/v1", "")
  expect(world.push("HEAD:refs/heads/free").status).toBe(0)
}, 60_000)

describe("a former policy does not come back", () => {
  test("with its key files, though its text is the same", async () => {
    const text = `version: 1
signers:
  team:
    - { issuer: ${JSON.stringify(services.issuer)}, subject: ${EMAIL} }
    - { ssh: allowed_signers }
rules:
  - { name: all, branches: ['**'], signers: [team] }
`
    const keyOf = (name: string): string => `${name}@example.com ${ed25519().line}\n`
    const file = ".gitsign/allowed_signers"
    world = await PushWorld.begin(services, { policy: "" })
    const stolen = world.commit("policy", { files: { [POLICY]: text, [file]: keyOf("stolen") } })
    expect(world.push("main").status).toBe(0)
    world.install()
    const replaced = world.commit("another key", { files: { [file]: keyOf("fresh"), ".gitsign/NOTES": "why\n" } })
    expect(world.push("main").status).toBe(0)
    const back = world.push("--force", `${stolen}:main`)
    expectRefused(back, "ERR_POLICY_CHANGE", "main", replaced)
    expect(saidTo(back)).toContain(`git checkout ${replaced.slice(0, 12)} -- ${file} && git commit -S`)
    // A history that never knew the new one, with something new on it.
    world.git("reset", "--quiet", "--hard", stolen)
    world.commit("something")
    expectRefused(world.push("--force", "main"), "ERR_POLICY_CHANGE", "main", replaced)
    // What is no part of the policy may be set back with the rest.
    world.git("reset", "--quiet", "--hard", replaced)
    world.commit("another note", { files: { ".gitsign/NOTES": "more\n" } })
    expect(world.push("main").status).toBe(0)
    expect(world.push("--force", `${replaced}:main`).status).toBe(0)
  }, 120_000)

  test("on a branch that has one of its own", async () => {
    await begin(plain())
    world.git("switch", "--quiet", "-c", "release/1")
    const first = world.commit("one", { files: { [POLICY]: former("# one\n") } })
    expect(world.push("release/1").status).toBe(0)
    const second = world.commit("two", { by: STRANGER, files: { [POLICY]: plain("# two\n") } })
    expect(world.push("release/1").status).toBe(0)
    expectRefused(world.push("--force", `${first}:release/1`), "ERR_POLICY_CHANGE", "release/1", second)
    // To one of the default branch it may go back: there the default branch's present one counts.
    expect(world.push("--force", "main:release/1").status).toBe(0)
  }, 120_000)

  test("where a setting names the default branch's", async () => {
    world = await PushWorld.begin(services, { policy: former() })
    const old = world.git("rev-parse", "HEAD")
    const now = world.commit("policy", { by: STRANGER, files: { [POLICY]: plain() } })
    expect(world.push("main").status).toBe(0)
    world.install()
    for (const name of ["HEAD", "main", "refs/heads/main"]) {
      world.workspace.git(world.server, "config", "gitsign.policy", `${name}:${POLICY}`)
      expectRefused(world.push("--force", `${old}:main`), "ERR_POLICY_CHANGE", "main", now)
    }
    const broken = world.commit("broken", { files: { [POLICY]: "version: 1\nrules: [" } })
    expectRefused(world.push("main"), "ERR_POLICY", "main", now)
    world.git("rm", "--quiet", "-r", ".gitsign")
    world.commit("none")
    expectRefused(world.push("main"), "ERR_POLICY_MISSING", "main", now)
    // For other branches nobody looks into theirs.
    expect(world.push(`${broken}:refs/heads/release/1`).status).toBe(0)
  }, 120_000)

  test("where the default branch is not there to tell", async () => {
    world = await PushWorld.begin(services, { policy: former() })
    const old = world.git("rev-parse", "HEAD")
    const now = world.commit("policy", { by: STRANGER, files: { [POLICY]: plain() } })
    expect(world.push("main").status).toBe(0)
    world.install()
    world.workspace.git(world.server, "symbolic-ref", "HEAD", "refs/heads/master")
    // What git would take for HEAD then.
    world.workspace.git(world.server, "update-ref", "refs/tags/HEAD", old)
    const refused = world.push("--force", `${old}:main`)
    expectRefused(refused, "ERR_POLICY_MISSING", "main", now)
    expect(saidTo(refused)).toContain("git symbolic-ref HEAD refs/heads/NAME")
  }, 60_000)
})

describe("who may not change the policy", () => {
  /** Mallory may sign everywhere, but for the policy. */
  const guarded = (): string => `version: 1
signers:
  owner: [{ issuer: ${JSON.stringify(services.issuer)}, subject: ${EMAIL} }]
  team: [{ issuer: ${JSON.stringify(services.issuer)}, subject: ${STRANGER} }, { issuer: ${JSON.stringify(services.issuer)}, subject: ${EMAIL} }]
rules:
  - { name: all, branches: ['**'], signers: [team] }
  - { name: policy, branches: ['**'], paths: ['.gitsign/**'], signers: [owner] }
`
  const chainguard = (): string =>
    `spec:\n  authorities:\n    - keyless:\n        url: https://f.example\n        identities: [{ issuer: ${JSON.stringify(services.issuer)}, subject: ${STRANGER} }]\n`

  test("does not with a history that begins without one, and a file that would count then", async () => {
    world = await PushWorld.begin(services, { policy: "" })
    const root = world.git("rev-parse", "HEAD")
    const now = world.commit("policy", { files: { [POLICY]: guarded() } })
    expect(world.push("main").status).toBe(0)
    world.install()
    for (const start of [
      ["--orphan", "fresh"],
      ["-b", "older", root],
    ]) {
      world.git("checkout", "--quiet", ...start)
      world.git("rm", "-rf", "--quiet", "--ignore-unmatch", ".gitsign")
      mkdirSync(join(world.clone, ".chainguard"), { recursive: true })
      writeFileSync(join(world.clone, ".chainguard/source.yaml"), chainguard())
      world.commit("mine now", { by: STRANGER })
      expectRefused(world.push("--force", "HEAD:main"), "ERR_POLICY_CHANGE", "main", now)
    }
    // On another branch it may lie there, and nobody goes by it: it does not name who signs now.
    expect(world.push("HEAD:other").status).toBe(0)
    const theirs = world.commit("by the owner")
    expect(world.push("HEAD:other").status).toBe(0)
    world.commit("not signed", { by: "nobody" })
    expectRefused(world.push("HEAD:other"), "ERR_NOT_SIGNED", "other", theirs)
  }, 120_000)
})

test("a policy that would refuse everything after it is not let in", async () => {
  await begin(plain())
  const before = world.onServer("main")
  world.commit("policy", { files: { [POLICY]: plain(`since: ${"a".repeat(40)}\n`) } })
  const refused = world.push("main")
  expectRefused(refused, "ERR_POLICY", "main", before)
  expect(saidTo(refused)).toContain("which is no commit of this repository")
  // One that comes with it will do.
  world.git("reset", "--quiet", "--hard", before)
  const since = world.commit("from here on")
  world.commit("policy", { files: { [POLICY]: plain(`since: ${since}\n`) } })
  expect(world.push("main").status).toBe(0)
  world.commit("more")
  expect(world.push("main").status).toBe(0)
}, 60_000)
