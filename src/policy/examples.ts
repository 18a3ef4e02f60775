/**
 * Runs the examples of a policy: what it should say of a commit or tag, and what it does say.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts"
import type { CompiledPolicy } from "./compile.ts"
import type { Example } from "./example-entries.ts"
import type { Judgement, ProvenSigner } from "./facts.ts"
import { provenKey } from "./key-files.ts"

/** What came of one example. */
export interface ExampleResult {
  readonly example: Example
  readonly found: "allowed" | ErrorCode
  readonly passed: boolean
  readonly judgement: Judgement
}

/** In no window that has an end. */
export const SOME_TIME = new Date("9999-12-31T00:00:00Z")
/** The user id of a key whose user ids are not known. */
export const SOME_ADDRESS = "somebody@example.com"
/** No object has it. */
export const SOME_ID = "0".repeat(40)

/** Judges every example, in their order. */
export function runExamples(compiled: CompiledPolicy, examples: readonly Example[]): readonly ExampleResult[] {
  return examples.map((example) => {
    const judgement = judgeExample(compiled, example)
    const found = judgement.refusal?.code ?? "allowed"
    return { example, found, passed: found === example.expect, judgement }
  })
}

function judgeExample(compiled: CompiledPolicy, example: Example): Judgement {
  const signer = signerOf(compiled, example)
  const object = {
    type: example.type,
    id: SOME_ID,
    committerEmail: example.committer ?? addressOf(signer),
    parents: example.merge === "no" ? [SOME_ID] : [SOME_ID, SOME_ID],
    paths: example.paths,
    cleanMerge: example.merge === "clean",
    onFirstParent: true,
  }
  return compiled.judge(object, compiled.rulesFor(example.type, example.ref), signer)
}

function signerOf({ policy }: CompiledPolicy, { signer, mode, timestamped, time, committer }: Example): ProvenSigner {
  if ("key" in signer) return provenKey(policy, signer.key, committer ?? SOME_ADDRESS)
  const { issuer, subject, claims } = signer
  return {
    scheme: "keyless",
    identities: [subject],
    issuer,
    claims,
    mode,
    times: [time ?? SOME_TIME],
    timestamped,
    sct: true,
  }
}

/** The address of whoever signed, as far as it is known. */
export function addressOf(signer: ProvenSigner): string {
  const [first = ""] =
    signer.scheme === "keyless" ? signer.identities : signer.scheme === "ssh" ? signer.principals : signer.userIds
  return first
}
