/**
 * Verifies one object of the repository and reports it; what `gitsign verify` and `gitsign verify-tag` have in common.
 *
 * @module
 */

import { hintForUnsigned } from "../audit/mend.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { parseSignedObject, type SignedObject, signatureMarker } from "../formats/git-object.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import { printableLines } from "../formats/printable.ts"
import type { Signer } from "../formats/signer.ts"
import type { GitObject } from "../git/objects.ts"
import { findDisguise, replacedObject } from "../git/replaced.ts"
import { identityCheck, namesSigner } from "../policy/identity.ts"
import { STEPS } from "../verify/steps.ts"
import type { VerificationSummary } from "../verify/summary.ts"
import type { VerifyOptions } from "../verify/verify.ts"
import { acceptingCommand, identityFlagsOf, type VerifyFlags } from "./identity-options.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { loadConfig } from "./settings.ts"
import { trustOf } from "./trust.ts"
import { signerText, verdictText } from "./verdict-text.ts"
import { verifyWithLog } from "./verification.ts"

/** One call of `verify` or `verify-tag`. */
export interface VerifyCall {
  readonly verb: "verify" | "verify-tag"
  /** The revision or the tag's name, as given. */
  readonly name: string
  readonly flags: VerifyFlags
  readonly io: CommandIo
  readonly messages: Messages
  /** Reads the object; asked for after the flags were found in order. */
  readonly read: () => Promise<GitObject & { readonly type: "commit" | "tag" }>
  /** Refuses the object for more than its signature. */
  readonly check?: (object: SignedObject) => void
}

/**
 * Verifies the object, tells people on stdout who signed it, and returns when it is verified.
 *
 * @throws the reason when it is not verified or could not be checked; ERR_REPLACED; ERR_IDENTITY_REQUIRED, ERR_PATTERN, ERR_CONFIG,
 * ERR_TRUSTED_ROOT, ERR_GIT
 */
export async function verifyObject(call: VerifyCall): Promise<void> {
  const { flags, io, messages } = call
  const config = await loadConfig(io, messages)
  const options: VerifyOptions = {
    trustedRoot: trustOf(config, flags.trustedRoot),
    ignoreSct: flags.insecureIgnoreSct,
    authorize: await authorizeOf(call),
  }
  const object = await call.read()
  const summary = await verifyRaw(call, object, (signed) =>
    verifyWithLog(signed, options, { rekor: config.rekor, env: io.env }),
  )
  // What is wrong with it counts first, then that git shows something else, then what could not be checked.
  if (summary.error?.exitStatus === 1) throw summary.error
  const replaced = await replacedIn(io, object)
  if (replaced !== undefined) throw new GitsignError("ERR_REPLACED", replaced)
  if (summary.error !== undefined) throw summary.error
  io.stdout(printableLines(`${object.type} ${object.id}\n${verdictText(summary)}`))
}

/** Asked of what is read without replace refs and grafts, while everybody else looks at it with them. */
async function replacedIn(
  io: CommandIo,
  { type, id, raw }: Awaited<ReturnType<VerifyCall["read"]>>,
): Promise<string | undefined> {
  const { target, targetType } = summarizeObject(raw)
  return replacedObject(io, await findDisguise(io), { type, id, target, targetType })
}

async function verifyRaw(
  call: VerifyCall,
  object: GitObject & { readonly type: "commit" | "tag" },
  verify: (signed: { payload: Uint8Array; signature: Uint8Array }) => Promise<VerificationSummary>,
): Promise<VerificationSummary> {
  try {
    const signed = parseSignedObject(object.type, object.raw, object.id.length === 40 ? "sha1" : "sha256")
    call.check?.(signed)
    const { payload, signature } = signed
    if (signature === undefined) {
      const message = `${object.type} ${object.id} is not signed`
      throw new GitsignError("ERR_NOT_SIGNED", message, { hint: await hintForUnsigned(call.io, object, call.name) })
    }
    // git knows a signature by its first line; bare DER is for files only.
    if (signatureMarker(signature) === undefined) {
      throw new GitsignError("ERR_PEM", "the signature header does not begin as git's signatures do")
    }
    return await verify({ payload, signature })
  } catch (error) {
    if (!isGitsignError(error) || error.exitStatus !== 1) throw error
    return refusal(error)
  }
}

/** The result for an object that was refused before there was a signature to verify. */
const refusal = (error: GitsignError): VerificationSummary => ({
  verdict: "failed",
  error,
  notAllowed: false,
  steps: STEPS.map((step) => ({ step, outcome: "not checked" })),
  signer: undefined,
  mode: "online",
  logged: undefined,
  timestamps: [],
  claimedSigningTime: undefined,
})

/** The check of a signer that the flags ask for. */
export async function authorizeOf(
  call: Pick<VerifyCall, "verb" | "name" | "flags" | "messages">,
): Promise<(signer: Pick<Signer, "identity" | "identities" | "issuer" | "claims">) => GitsignError | undefined> {
  const { flags, messages } = call
  const asked = identityFlagsOf(flags)
  const check = await identityCheck(asked)
  if (namesSigner(asked)) {
    if (flags.anyIdentity)
      throw new GitsignError("ERR_USAGE", "--any-identity contradicts the identity that is asked for")
    return check
  }
  if (!flags.anyIdentity) return (signer) => check(signer) ?? identityRequired(call, signer)
  messages.say("warning: --any-identity accepts whoever signed; this proves only that somebody did")
  return check
}

/** Everything else was in order: says who signed, and how to accept exactly them. */
function identityRequired(
  { verb, flags, name }: Pick<VerifyCall, "verb" | "name" | "flags">,
  signer: Pick<Signer, "identity" | "issuer">,
): GitsignError {
  const message = `signed by ${signerText(signer)}, and you have not said whom to expect`
  return new GitsignError("ERR_IDENTITY_REQUIRED", message, {
    hint: `accept this signer with: ${acceptingCommand(verb, flags, name, signer)}`,
  })
}
