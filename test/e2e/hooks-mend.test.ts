/**
 * The commands that hooks tell whoever was refused to run: pasted as they are, they mend what was refused and touch nothing else.
 *
 * @module
 */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { type Ran, type Services, startServices } from "./harness.ts"
import { PushWorld, STRANGER, saidTo } from "./push-world.ts"

let services: Services
let world: PushWorld

beforeAll(async () => {
  services = await startServices()
}, 60_000)
afterAll(() => services?.close())
beforeEach(async () => {
  world = await PushWorld.begin(services)
})
afterEach(() => world?.close())

/** The one command among what a hook said. */
function commandIn(said: string): string {
  const commands = [...said.matchAll(/gitsign: hint: (.* git push .*)$/gm)].map(([, command = ""]) => command)
  expect([said, commands.length]).toEqual([said, 1])
  return commands[0] ?? ""
}

/** What a person does with it at a shell. */
async function paste(command: string): Promise<Ran> {
  const env = { SIGSTORE_ID_TOKEN: await services.token() }
  return world.workspace.run(world.clone, "sh", ["-c", command], { env })
}

/** Names of branches and tags with what they point to. */
const refs = (): Record<string, string> =>
  Object.fromEntries(
    world
      .git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads", "refs/tags")
      .split("\n")
      .map((line) => line.split(" ") as [string, string]),
  )

/** A branch with two commits that are not signed, while another one is checked out that has one more that nobody is to see. */
function somewhereElse(branch: string): { readonly bad: string } {
  world.git("switch", "--quiet", "-c", branch)
  const bad = world.commit("bad", { by: "nobody" })
  world.commit("bad too", { by: "nobody" })
  world.git("switch", "--quiet", "main")
  world.commit("work in progress", { by: "nobody" })
  return { bad }
}

describe("commits that are refused", () => {
  test("by the server: on their own branch, whichever is checked out", async () => {
    expect(world.install().status).toBe(0)
    const { bad } = somewhereElse("release/9")
    const before = refs()
    const command = commandIn(saidTo(world.push("release/9")))
    expect(command).toBe(`gitsign resign ${bad.slice(0, 12)}^..release/9 && git push REMOTE release/9`)
    const onServer = world.onServer("main")

    // As it stands it signs, and pushes nothing anywhere.
    const pasted = await paste(command)
    expect([pasted.status, pasted.stderr]).toEqual([128, expect.stringContaining("'REMOTE' does not appear to be")])
    const pushed = await paste(command.replace(/^.*&& /, "").replace("REMOTE", "origin"))
    expect([pushed.status, saidTo(pushed)]).toEqual([0, ""])
    expect(world.onServer("release/9")).toBe(refs()["release/9"])
    expect(refs()).toEqual({ ...before, "release/9": expect.not.stringContaining(before["release/9"] ?? "") })
    expect(world.onServer("main")).toBe(onServer)
  }, 60_000)

  test("by a clone, which knows the remote: pasted as it is", async () => {
    world.git("remote", "rename", "origin", "upstream")
    expect(world.workspace.gitsign(world.clone, "hook", "install").status).toBe(0)
    const { bad } = somewhereElse("release/9")
    const before = refs()
    const refused = world.workspace.tryGit(world.clone, "push", "upstream", "release/9")
    const command = commandIn(refused.stderr)
    expect(command).toBe(`gitsign resign ${bad.slice(0, 12)}^..release/9 && git push upstream release/9`)
    const pasted = await paste(command)
    expect([pasted.status, pasted.stderr]).toEqual([0, expect.stringContaining("release/9 -> release/9")])
    expect(world.onServer("release/9")).toBe(refs()["release/9"])
    expect(refs()).toEqual({ ...before, "release/9": expect.not.stringContaining(before["release/9"] ?? "") })
  }, 60_000)

  test("of a history that was replaced: that is what is pushed, over the one that was there", async () => {
    expect(world.workspace.gitsign(world.clone, "hook", "install").status).toBe(0)
    world.commit("good")
    expect(world.push("main").status).toBe(0)
    const good = world.onServer("main")
    world.git("commit", "--quiet", "--amend", "--no-gpg-sign", "-m", "amended")
    const command = commandIn(world.push("--force", "main").stderr)
    expect(command).toMatch(/ && git push --force-with-lease=main:[0-9a-f]{40} origin main$/)
    expect(command).toContain(good)
    // Of what is there only the hint for it: signing would be refused while others may have it.
    const pasted = await paste(command)
    expect([pasted.status, world.onServer("main")]).toEqual([0, refs().main])
  }, 60_000)

  test("under another name over there, and from where no branch is", async () => {
    expect(world.workspace.gitsign(world.clone, "hook", "install").status).toBe(0)
    // Signed by whoever, which is enough for wip/ and not for a release.
    world.git("switch", "--quiet", "-c", "wip/x")
    const bad = world.commit("bad", { by: "nobody" })
    const range = `${bad.slice(0, 12)}^..`
    const to = (refspec: string): string => commandIn(world.push(refspec).stderr)
    const renamed = `gitsign resign --ref refs/heads/release/9 ${range}wip/x && git push origin wip/x:refs/heads/release/9`
    expect(to("wip/x:release/9")).toBe(renamed)
    expect(to("HEAD:refs/heads/release/9")).toBe(renamed)
    expect(to("HEAD")).toBe(`gitsign resign ${range}wip/x && git push origin wip/x`)
    expect(to(`${bad}:refs/heads/release/9`)).toBe(
      `gitsign resign --ref refs/heads/release/9 ${range}BRANCH && git push origin BRANCH:refs/heads/release/9`,
    )
    world.git("switch", "--quiet", "--detach")
    expect(to("HEAD:refs/heads/release/9")).toBe(
      `gitsign resign --ref refs/heads/release/9 ${range} && git push origin HEAD:refs/heads/release/9`,
    )
    // A branch for which there is no rule, so that it cannot be judged by its own name.
    world.git("switch", "--quiet", "-c", "topic")
    const pasted = await paste(to("topic:release/9"))
    expect([pasted.status, world.onServer("release/9")]).toEqual([0, refs().topic])
    expect(refs()["wip/x"]).toBe(bad)
  }, 60_000)

  test("on a branch whose name a shell would take apart: no name is told", () => {
    expect(world.workspace.gitsign(world.clone, "hook", "install").status).toBe(0)
    world.git("switch", "--quiet", "-c", "release/$(touch)")
    const bad = world.commit("bad", { by: "nobody" })
    const refused = world.push("refs/heads/release/$(touch)")
    expect(commandIn(refused.stderr)).toBe(`gitsign resign ${bad.slice(0, 12)}^..BRANCH && git push origin BRANCH`)
  }, 60_000)
})

describe("a tag that is not signed", () => {
  const MESSAGES = [
    "v1.0\n",
    "First\n\n\n# git takes this for a comment\n  indented\n\nlast\n\n",
    "First\n\n#last",
    `it's "quoted" $(id) \`id\` é\n`,
  ]

  test("keeps its message, whatever is in it", async () => {
    expect(world.install().status).toBe(0)
    for (const [index, message] of MESSAGES.entries()) {
      const args = ["tag", "--no-sign", "--cleanup=verbatim", "-F", "-", `v${index}`]
      expect(world.workspace.run(world.clone, "git", args, { input: message }).status).toBe(0)
    }
    const commit = world.git("rev-parse", "v0^{}")
    // What is checked out has nothing to do with it.
    world.commit("later")
    for (const [index, message] of MESSAGES.entries()) {
      const command = commandIn(saidTo(world.push(`v${index}`)))
      expect(command).toMatch(/ && git push REMOTE tag v\d$/)
      const pasted = await paste(command.replace("REMOTE", "origin"))
      expect([pasted.status, pasted.stderr]).toEqual([0, expect.stringContaining(`v${index} -> v${index}`)])
      const { stdout } = world.workspace.run(world.server, "git", ["cat-file", "tag", `v${index}`])
      const [, kept] = /\n\n([\s\S]*)-----BEGIN SIGNED MESSAGE-----/.exec(stdout) ?? []
      expect(kept).toBe(message.endsWith("\n") ? message : `${message}\n`)
      expect(world.onServer(`v${index}^{commit}`)).toBe(commit)
    }
  }, 60_000)

  test("is told with the remote where that is known, and with no name that a shell would take apart", () => {
    expect(world.workspace.gitsign(world.clone, "hook", "install").status).toBe(0)
    world.git("tag", "--no-sign", "-m", "one", "v1")
    expect(commandIn(world.push("v1").stderr)).toMatch(/ && git push origin tag v1$/)
    world.git("tag", "--no-sign", "-m", "one", "v1'$(touch)")
    const command = commandIn(world.push("refs/tags/v1'$(touch)").stderr)
    expect(command).toMatch(
      /^git cat-file tag refs\/tags\/NAME \|.* NAME 'refs\/tags\/NAME\^\{\}' && git push origin tag NAME$/,
    )
  }, 60_000)

  test("and one that somebody else has signed is not told to be signed", () => {
    expect(world.install().status).toBe(0)
    world.signing(STRANGER, "tag", "-m", "one", "v1")
    expect(saidTo(world.push("v1"))).toMatch(/^gitsign: refused refs\/tags\/v1(?![\s\S]*git cat-file)/)
  }, 60_000)
})
