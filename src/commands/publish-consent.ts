/**
 * Remembers which identities a person has agreed to publish, and where: a transparency log forgets nothing, and asking once is enough.
 *
 * @module
 */

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { Config } from "../config.ts"
import { GitsignError, reasonOf } from "../errors.ts"
import { printable } from "../formats/printable.ts"
import { homeDirectory } from "../services/home-directory.ts"
import type { Publication } from "../services/oidc/provider.ts"
import { describeIdentity, type IdentityTokenClaims, identityOf, issuerOf } from "../services/oidc/token.ts"
import type { CommandIo } from "./io.ts"
import type { Person } from "./person.ts"

/** A file with more than this is not ours; in bytes. */
const MAX_BYTES = 1024 * 1024

/** How long the question stands at the terminal. In milliseconds. */
const ANSWER_MS = 120_000

/** What was agreed to: this identity, in this log. */
interface Agreed {
  readonly identity: string
  readonly issuer: string
  /** The host of the log. */
  readonly log: string
}

/** The file that agreements are kept in (XDG Base Directory Specification: state); undefined where there is no place for it. */
function consentFile(env: NodeJS.ProcessEnv): string | undefined {
  const { XDG_STATE_HOME, LOCALAPPDATA } = env
  // The specification has relative paths ignored.
  if (XDG_STATE_HOME?.startsWith("/")) return join(XDG_STATE_HOME, "gitsign", "published-identities.json")
  if (process.platform === "win32" && LOCALAPPDATA) return join(LOCALAPPDATA, "gitsign", "published-identities.json")
  const home = homeDirectory(env)
  return home === undefined ? undefined : join(home, ".local", "state", "gitsign", "published-identities.json")
}

const logOf = (config: Config): string => new URL(config.rekor).host

/** What a login of this person publishes, and whether that has to be agreed to first. */
export function publicationOf(claims: IdentityTokenClaims, config: Config, io: CommandIo): Publication {
  const agreed = { identity: identityOf(claims), issuer: issuerOf(claims), log: logOf(config) }
  return {
    who: describeIdentity(claims),
    log: agreed.log,
    remarks: remarksOn(claims, config),
    needsConsent: config.publishConsent === "ask" && !readAgreed(io).some((one) => isSame(one, agreed)),
  }
}

/** GitHub's private addresses keep an address out of commits; a certificate names the one of the login all the same. */
function remarksOn({ email }: IdentityTokenClaims, { committer }: Config): readonly string[] {
  const { email: configured } = committer
  if (email === undefined || configured === email || !/@users\.noreply\.github\.com$/i.test(configured ?? "")) return []
  return [
    `user.email is ${printable(configured ?? "")}, which keeps your address out of commits; this login would publish ${printable(email)}`,
  ]
}

/**
 * Asks the person at the terminal whether an identity may be published.
 *
 * @throws ERR_CONSENT when the answer is no, none comes, or nobody can be asked
 */
export async function askToPublish({ who, log, remarks }: Publication, person: Person): Promise<void> {
  const refused = (message: string, hint?: string): GitsignError =>
    new GitsignError("ERR_CONSENT", message, hint === undefined ? {} : { hint })
  const { openTerminalInput } = await import("./ask-terminal.ts")
  const input = person.isThere ? openTerminalInput() : undefined
  if (input === undefined) {
    const message = `nobody has agreed yet that ${printable(who)} becomes public in ${log}, and there is no terminal to ask at`
    throw refused(
      message,
      "log in once from a terminal with: gitsign login; or agree for all identities: git config --global gitsign.publishConsent always",
    )
  }
  try {
    input.forget()
    person.show(
      [
        `gitsign: ${printable(who)} becomes public in ${log}, for ever and for everybody: this identity, the time and a digest of each commit that you sign\n`,
        ...remarks.map((remark) => `gitsign: note: ${remark}\n`),
        "publish this identity? [y/N] ",
      ].join(""),
    )
    const answer = await input.line(ANSWER_MS)
    if (answer === undefined) person.show("\n")
    if (!/^\s*(y|yes)\s*$/i.test(answer ?? "")) throw refused("the publication was not agreed to")
  } finally {
    input.close()
  }
}

/** Notes that a person has agreed; where it cannot be noted, that is told and the question comes again. */
export function rememberConsent(claims: IdentityTokenClaims, config: Config, io: CommandIo, person: Person): void {
  const agreed: Agreed = { identity: identityOf(claims), issuer: issuerOf(claims), log: logOf(config) }
  const others = readAgreed(io).filter((one) => !isSame(one, agreed))
  const file = consentFile(io.env)
  if (file === undefined) {
    person.tell("your answer cannot be kept: there is no home directory (HOME); you will be asked again")
    return
  }
  const fresh = `${file}.${process.pid}`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    const text = JSON.stringify({ schemaVersion: 1, identities: [...others, agreed] }, undefined, 2)
    writeFileSync(fresh, `${text}\n`, { mode: 0o600, flag: "wx" })
    renameSync(fresh, file)
  } catch (cause) {
    try {
      rmSync(fresh, { force: true })
    } catch {
      // What keeps it from being written can keep it from being removed.
    }
    person.tell(`your answer cannot be kept in ${file}: ${reasonOf(cause)}; you will be asked again`)
  }
}

const isSame = (a: Agreed, b: Agreed): boolean => a.identity === b.identity && a.issuer === b.issuer && a.log === b.log

/** What has been agreed to; nothing where the file cannot be read or is none of ours: then it is asked again. */
function readAgreed({ env }: CommandIo): readonly Agreed[] {
  try {
    const file = consentFile(env)
    const bytes = file === undefined ? Buffer.alloc(0) : readFileSync(file)
    if (bytes.length > MAX_BYTES) return []
    const value: unknown = JSON.parse(bytes.toString("utf8"))
    const list = isRecord(value) && Array.isArray(value.identities) ? value.identities : []
    return list.filter(isAgreed)
  } catch {
    return []
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null

const isAgreed = (value: unknown): value is Agreed =>
  isRecord(value) && [value.identity, value.issuer, value.log].every((text) => typeof text === "string")
