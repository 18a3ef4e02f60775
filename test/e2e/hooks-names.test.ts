/**
 * What names stand for when a receive hook asks for the policy, whatever else is called so by then, and pushes from shallow clones.
 *
 * @module
 */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { type Ran, type Services, startServices } from "./harness.ts"
import { PushWorld, policyText, STRANGER, saidTo } from "./push-world.ts"
import { rawPush } from "./raw-push.ts"

let services: Services
let world: PushWorld

beforeAll(async () => {
  services = await startServices()
}, 60_000)
afterAll(() => services?.close())
afterEach(() => world?.close())

const POLICY = ".gitsign/policy.yaml"

/** Refused, with this code, and main where it was. */
function expectRefused(ran: Ran, code: string, id: string): void {
  expect([ran.status, saidTo(ran)]).toEqual([1, expect.stringContaining(`[${code}]`)])
  expect(world.onServer("refs/heads/main")).toBe(id)
}

const onServer = (...args: string[]): string => world.workspace.git(world.server, ...args)

describe("gitsign.policy names", () => {
  test.each([
    ["HEAD", ["refs/tags/HEAD", "refs/heads/HEAD"]],
    ["refs/heads/main", ["refs/tags/refs/heads/main"]],
  ])(
    "%s, and others bear that name: it is what it says, and is kept as the default branch is",
    async (name, others) => {
      world = await PushWorld.begin(services, { policy: policyText(services.issuer, "", STRANGER) })
      const old = world.git("rev-parse", "HEAD")
      world.commit("policy", { by: STRANGER, files: { [POLICY]: policyText(services.issuer) } })
      expect(world.push("main").status).toBe(0)
      world.install()
      onServer("config", "gitsign.policy", `${name}:${POLICY}`)
      for (const other of others) onServer("update-ref", other, old)
      // git's own client would find more than one ref of that name there.
      const push = (after: string): string =>
        rawPush(world, [{ ref: "refs/heads/main", before: world.onServer("refs/heads/main"), after }])
      const now = world.commit("by who may")
      expect(push(now)).toContain("ok refs/heads/main")
      expect(push(world.commit("by who may no more", { by: STRANGER }))).toContain("[ERR_IDENTITY]")
      expect(push(old)).toContain("[ERR_POLICY_CHANGE]")
      expect(onServer("rev-parse", "refs/heads/main")).toBe(now)
    },
    60_000,
  )

  test("main, and a tag is called so: the message says where it is said, and what to write", async () => {
    world = await PushWorld.begin(services)
    world.install()
    onServer("config", "gitsign.policy", `main:${POLICY}`)
    onServer("update-ref", "refs/tags/main", "refs/heads/main")
    const before = world.onServer("refs/heads/main")
    world.commit("good")
    const refused = world.push("main:refs/heads/main")
    expectRefused(refused, "ERR_GIT", before)
    expect(saidTo(refused)).toContain(`gitsign.policy is main:${POLICY}, and main names more than one thing`)
    expect(saidTo(refused)).toContain(`refs/heads/main:${POLICY}`)
    onServer("config", "gitsign.policy", `refs/heads/main:${POLICY}`)
    expect(world.push("main:refs/heads/main").status).toBe(0)
  }, 60_000)
})

describe("from a shallow clone", () => {
  const endAt = (id: string): void => writeFileSync(join(world.clone, ".git/shallow"), `${id}\n`)

  test("comes in what the server has the rest of", async () => {
    world = await PushWorld.begin(services)
    world.install()
    world.commit("one")
    expect(world.push("main").status).toBe(0)
    endAt(world.git("rev-parse", "HEAD"))
    world.commit("two")
    expect(world.push("main")).toMatchObject({ status: 0 })
  }, 60_000)

  test("nothing else does, also where git would let it in: nobody has signed for where the history ends", async () => {
    world = await PushWorld.begin(services)
    world.install()
    onServer("config", "receive.shallowUpdate", "true")
    const before = world.onServer("refs/heads/main")
    world.commit("not signed", { by: "nobody" })
    const end = world.commit("good")
    endAt(end)
    world.commit("better")
    expectRefused(world.push("--force", "main"), "ERR_SHALLOW", before)
  }, 60_000)
})
