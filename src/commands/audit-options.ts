/**
 * What an audit goes by in this process: trust, the verifier's own policies, and the log for signatures in online mode.
 *
 * @module
 */

import { resolve } from "node:path"
import type { AuditOptions } from "../audit/audit.ts"
import { type PolicyInForce, readPolicy } from "../audit/policy-source.ts"
import type { Config } from "../config.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { runGit } from "../git/run.ts"
import type { CommandIo } from "./io.ts"
import { trustOf } from "./trust.ts"
import { verifyWithLog } from "./verification.ts"

/**
 * The options of an audit, without who is asked for.
 *
 * @param trustedRootFile what `--trusted-root` names
 * @throws ERR_TRUSTED_ROOT; ERR_POLICY and its kin when gitsign.rootPolicy cannot be used
 */
export async function auditOptionsOf(
  io: CommandIo,
  config: Config,
  trustedRootFile?: string | undefined,
): Promise<AuditOptions> {
  const trustedRoot = trustOf(config, trustedRootFile)
  return {
    trustedRoot,
    rootPolicy:
      config.rootPolicy === undefined ? undefined : await policyOfSetting(io, "the root policy", config.rootPolicy),
    online: (signed, ignoreSct) =>
      verifyWithLog(signed, { trustedRoot, ignoreSct }, { rekor: config.rekor, env: io.env }),
  }
}

/**
 * The policy that gitsign.policy names; undefined when it names none.
 *
 * @throws ERR_POLICY_MISSING and whatever else is wrong with it
 */
export const configuredPolicy = async (io: CommandIo, config: Config): Promise<PolicyInForce | undefined> =>
  config.policy === undefined ? undefined : policyOfSetting(io, "gitsign.policy", config.policy)

/** A relative path in a setting starts at the top of the work tree, since git runs hooks and programs from different folders. */
async function policyOfSetting(io: CommandIo, setting: string, where: string): Promise<PolicyInForce> {
  const { status, stdout } = await runGit(io, ["rev-parse", "--show-toplevel"])
  const top = stdout.toString("utf8").replace(/\n$/, "")
  try {
    return await readPolicy(io, status === 0 && top !== "" ? resolve(io.cwd, top) : io.cwd, where)
  } catch (error) {
    // That a name is ambiguous helps nobody who does not see where it was said.
    if (!isGitsignError(error) || error.code !== "ERR_GIT") throw error
    const { code, message, hint } = error
    throw new GitsignError(code, `${setting} is ${where}, and ${message}`, hint === undefined ? {} : { hint })
  }
}
