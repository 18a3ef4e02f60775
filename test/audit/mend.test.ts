/**
 * For which refusals signing again is offered at all.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { resignCommand } from "../../src/audit/mend.ts"
import { ERROR_CODES, type ErrorCode } from "../../src/errors.ts"

const refused = (digit: string, code: ErrorCode, parents = ["f".repeat(40)]) =>
  ({ type: "commit", id: digit.repeat(40), verdict: "bad", problem: { code }, parents }) as const

const HERE = { branch: "topic", published: false }

/** What a commit of a range can be refused for: every code that says that something was checked and does not hold. */
const REFUSALS = (Object.keys(ERROR_CODES) as ErrorCode[]).filter((code) => ERROR_CODES[code].exit === 1)

describe("signing again is offered", () => {
  const MENDED: readonly ErrorCode[] = ["ERR_NOT_SIGNED", "ERR_SCHEME", "ERR_OFFLINE_PROOF", "ERR_TIMESTAMP_MISSING"]

  test.each(REFUSALS)("%s", (code) => {
    const command = MENDED.includes(code) ? "gitsign resign 111111111111^..topic" : undefined
    expect(resignCommand([refused("1", code)], HERE)).toBe(command)
    // What stands on one that is not signed would be signed with it.
    const mixed = command && "gitsign resign 222222222222^..topic"
    expect(resignCommand([refused("1", code), refused("2", "ERR_NOT_SIGNED")], HERE)).toBe(mixed)
    expect(resignCommand([refused("1", "ERR_NOT_SIGNED"), refused("2", code)], HERE)).toBe(mixed)
  })

  test.each([
    ["from the first commit on", { branch: "topic" }, [], "gitsign resign --root topic"],
    [
      "with --force for what is published",
      { branch: "a/b-1", published: true },
      undefined,
      "--force 111111111111^..a/b-1",
    ],
    [
      "as another branch",
      { branch: "topic", published: true, judgedAs: "refs/heads/main" },
      undefined,
      "resign --force --ref main 1",
    ],
    ["for the branch that is checked out", { branch: "" }, undefined, "gitsign resign 111111111111^.."],
  ])("%s", (_, mendable, parents, command) => {
    expect(resignCommand([refused("1", "ERR_NOT_SIGNED", parents)], mendable)).toContain(command)
  })

  test.each(["x;id", "$(id)", "-x", "\u202emoc", "HEAD", "refs/heads/x", "heads/x", "tags/x", "remotes/o/x", "a b"])(
    "not for a branch called %s",
    (branch) => expect(resignCommand([refused("1", "ERR_NOT_SIGNED")], { branch })).toBeUndefined(),
  )

  test("for a branch as bots call theirs", () => {
    const branch = "dependabot/npm_and_yarn/@types/node-22"
    expect(resignCommand([refused("1", "ERR_NOT_SIGNED")], { branch })).toBe(`gitsign resign 111111111111^..${branch}`)
  })

  test("not as a ref that a shell would take for something else", () => {
    const judgedAs = "refs/heads/$(id)"
    expect(resignCommand([refused("1", "ERR_NOT_SIGNED")], { branch: "topic", judgedAs })).toBeUndefined()
  })

  test("not for tags", () => {
    const tag = { ...refused("1", "ERR_NOT_SIGNED"), type: "tag" } as const
    expect(resignCommand([tag], HERE)).toBeUndefined()
  })
})
