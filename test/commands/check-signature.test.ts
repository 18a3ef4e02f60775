/**
 * A signature of an agent elsewhere reaches git only when it is over git's payload, in the form git asked for, and verifies here.
 *
 * @module
 */

import { join } from "node:path"
import { expect, test } from "vitest"
import { checkSignature } from "../../src/commands/check-signature.ts"
import { resolveConfig } from "../../src/config.ts"
import { sign } from "../../src/sign/sign.ts"
import { FIXTURES } from "../support/fixtures.ts"
import { signRequest } from "../support/made/ports.ts"
import { PAYLOAD } from "../support/made/signatures.ts"

const config = resolveConfig({
  gitConfig: [],
  env: { GITSIGN_TRUSTED_ROOT: join(FIXTURES, "trust", "made.json") },
})

async function reply(detached: boolean, payload: Uint8Array = PAYLOAD) {
  const { der, signer } = await sign(await signRequest({ detached, payload }))
  const said = { logIndex: 7, signingTime: 1, fingerprint: "00".repeat(20), signatureAlgorithm: "1.2.3" }
  return { type: "signed" as const, signature: der, certificate: signer.certificate.der, ...said }
}

const OTHER = Buffer.concat([PAYLOAD, Buffer.from("more\n")])

test.each([true, false])(
  "one that is right is taken, with what its certificate says (detached: %s)",
  async (detached) => {
    const made = checkSignature(await reply(detached), { payload: PAYLOAD, detached }, config)
    expect(made.logIndex).toBe(7)
    expect(made.fingerprint).not.toBe("00".repeat(20))
    expect(made.signatureAlgorithm).not.toBe("1.2.3")
  },
)

test.each([
  ["over something else", true, true, OTHER],
  ["over something else that it holds", false, false, OTHER],
  ["that holds its payload, where it was not asked to", false, true, PAYLOAD],
  ["that does not hold its payload, where it was asked to", true, false, PAYLOAD],
])("one %s is refused", async (_, made, asked, payload) => {
  const answer = await reply(made, payload)
  expect(() => checkSignature(answer, { payload: PAYLOAD, detached: asked }, config)).toThrow(
    expect.objectContaining({ code: "ERR_SELF_CHECK" }),
  )
})
