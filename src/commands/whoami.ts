/**
 * `gitsign whoami`: as whom a signature would be made here, how that is known, and how others verify it. It publishes nothing.
 *
 * @module
 */

import { Command, Option } from "commander"
import type { Config } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { jsonText, printable, shellQuote } from "../formats/printable.ts"
import { surveyProviders, tokenSource } from "../services/oidc/ambient.ts"
import { identityOf, isExactIdentity, issuerName, issuerOf } from "../services/oidc/token.ts"
import { agentAddressOf } from "./agent-client.ts"
import { askAgent } from "./agent-request.ts"
import { duration } from "./agent-view.ts"
import { withExamples } from "./help.ts"
import type { CommandIo } from "./io.ts"
import { type LoginWay, loginWay } from "./login-choice.ts"
import type { Messages } from "./messages.ts"
import { Person } from "./person.ts"
import { loadConfig } from "./settings.ts"

/** The version of the document; members are only ever added within one. */
const SCHEMA_VERSION = 1

interface WhoamiOptions {
  readonly verbose?: boolean
  readonly login?: boolean
  readonly format: "text" | "json"
}

/** As whom, and how that is known. */
interface Found {
  readonly identity: string
  /** Whether the certificate is known to name this identity. */
  readonly exact: boolean
  readonly issuer: string
  /** `token`: one that is at hand or can be had without a person; else where a login is kept; `login`: one that was made now. */
  readonly source: "token" | "agent" | "keyring" | "login"
  readonly tokenProvider: string
  /** When what was found ends, in seconds since 1970. */
  readonly expires: number
}

/** The verb `whoami`. */
export function whoamiCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("whoami")
    .description("say as whom you sign here, how that is known, and how others verify it")
    .option("--login", "log in to find out, where nobody is logged in; nothing is published or kept")
    .option("-v, --verbose", "say of every way to an identity token whether it applies here, and why")
    .addOption(new Option("--format <format>", "how to tell").choices(["text", "json"]).default("text"))
    .action((options: WhoamiOptions) => whoami(io, messages, options))
  return withExamples(command, [
    "gitsign whoami",
    "gitsign whoami --verbose",
    "gitsign whoami --format json | jq -r .identity",
  ])
}

async function whoami(io: CommandIo, messages: Messages, options: WhoamiOptions): Promise<void> {
  const config = await loadConfig(io, messages)
  const person = new Person(messages)
  const providers = options.verbose ? waysOf(config, io, person) : undefined
  try {
    if (options.format === "text" && providers !== undefined) io.stdout(waysText(providers))
    const found = await find(config, io, person, options)
    io.stdout(options.format === "json" ? jsonText(documentOf(found, providers)) : textOf(found, config))
  } finally {
    person.close()
  }
}

/**
 * Finds out as whom a signature would be made.
 *
 * @throws ERR_NO_TOKEN when nobody is logged in; whatever getting a token fails with
 */
async function find(config: Config, io: CommandIo, person: Person, { login }: WhoamiOptions): Promise<Found> {
  const source = tokenSource(surroundingsOf(config, io), config.tokenProvider)
  if (source.provider === "interactive" || source.provider === "device") {
    const kept = await findKept(config, io, source.provider)
    if (kept !== undefined) return kept
    if (!login) {
      const hint =
        wayOf(config, io, person) === "nobody"
          ? "run it in a terminal, or set SIGSTORE_ID_TOKEN; what else there is: gitsign whoami --verbose"
          : "log in with: gitsign login; or only look, with: gitsign whoami --login"
      throw new GitsignError("ERR_NO_TOKEN", "nobody is logged in here, and no identity token is at hand", { hint })
    }
  }
  const { obtainToken } = await import("./login.ts")
  // Nothing is published, so nobody is asked whether it may be.
  const looking = { ...config, publishConsent: "always", matchCommitter: false } as const
  const { claims, provider } = await obtainToken({ config: looking, io, person })
  return {
    identity: identityOf(claims),
    exact: isExactIdentity(claims),
    issuer: issuerOf(claims),
    source: provider === "interactive" || provider === "device" ? "login" : "token",
    tokenProvider: provider,
    expires: Math.floor(claims.expiresAt.getTime() / 1000),
  }
}

/** The login that the agent or the keyring keeps for what is set here. */
async function findKept(config: Config, io: CommandIo, tokenProvider: string): Promise<Found | undefined> {
  if (config.credentialCacheMode === "agent") {
    const address = agentAddressOf(config, io)
    const list = address === undefined ? undefined : await askAgent(address.path, { type: "list" }, "list")
    const usable = (list?.credentials ?? []).filter(
      (one) =>
        one.tokenProvider === tokenProvider &&
        one.fulcio === config.fulcio &&
        one.rekor === config.rekor &&
        // What it had to name is what it has to name now.
        (config.matchCommitter || one.committer === ""),
    )
    const [longest] = usable.sort((a, b) => b.expires - a.expires)
    if (longest === undefined) return undefined
    const { identity, issuer, expires } = longest
    return { identity, exact: true, issuer, source: "agent", tokenProvider, expires }
  }
  if (config.credentialCacheMode !== "system") return undefined
  const { findInKeyring } = await import("./kept-login.ts")
  const kept = await findInKeyring(config, io)
  return kept === undefined ? undefined : { ...kept, exact: true, source: "keyring", tokenProvider }
}

const surroundingsOf = (config: Config, { env }: CommandIo) => ({
  env,
  audience: config.clientID,
  tokenFile: config.tokenFile,
  tokenCommand: config.tokenCommand,
})

/** One way to an identity token. */
interface Way {
  readonly provider: string
  readonly applies: boolean
  readonly chosen: boolean
  readonly because: string
}

const LOGIN_WAYS = {
  browser: "a browser is opened here",
  device: "there is a terminal and no display of yours: a code is shown for a browser anywhere",
  paste: "there is a terminal and no display of yours: an address is shown, and what it leads to is pasted",
  nobody: "there is no terminal and no display, so nobody can be asked",
} as const

/** How somebody would log in here. */
function wayOf(config: Config, io: CommandIo, person: Person): LoginWay {
  const wanted =
    config.tokenProvider === "interactive" || config.tokenProvider === "device" ? config.tokenProvider : "auto"
  return loginWay({
    env: io.env,
    platform: process.platform,
    wanted,
    hasTerminal: person.isThere,
    hasOpener: config.urlOpener !== undefined,
  })
}

function waysOf(config: Config, io: CommandIo, person: Person): readonly Way[] {
  const ways = surveyProviders(surroundingsOf(config, io), config.tokenProvider)
  const way = wayOf(config, io, person)
  const ambient = ways.filter(({ provider }) => provider !== "interactive" && provider !== "device")
  const chosen = !ambient.some((one) => one.chosen)
  return [...ambient, { provider: "login", applies: way !== "nobody", chosen, because: LOGIN_WAYS[way] }]
}

function waysText(ways: readonly Way[]): string {
  const width = Math.max(...ways.map(({ provider }) => provider.length))
  const mark = ({ applies, chosen }: Way): string => (!applies ? "no   " : chosen ? "takes" : "could")
  return `${ways.map((way) => `${mark(way)}  ${way.provider.padEnd(width)}  ${printable(way.because)}\n`).join("")}\n`
}

/** None where they would be a guess: a flag that is wrong refuses what is right. */
const flagsOf = ({ identity, exact, issuer }: Found): readonly string[] =>
  exact ? [`--certificate-identity=${identity}`, `--certificate-oidc-issuer=${issuer}`] : []

const documentOf = (found: Found, providers: readonly Way[] | undefined): unknown => ({
  schemaVersion: SCHEMA_VERSION,
  identity: found.identity,
  exact: found.exact,
  issuer: found.issuer,
  source: found.source,
  tokenProvider: found.tokenProvider,
  expires: new Date(found.expires * 1000).toISOString().replace(".000Z", "Z"),
  verifyFlags: flagsOf(found),
  ...(providers === undefined ? {} : { providers }),
})

const SOURCES: Readonly<Record<Found["source"], string>> = {
  token: "an identity token",
  agent: "the login that the agent holds",
  keyring: "the login in the system's keyring",
  login: "a login just now, which is not kept",
}

function textOf(found: Found, { fulcio }: Config): string {
  const { identity, exact, issuer, source, tokenProvider, expires } = found
  const left = duration(expires - Date.now() / 1000)
  const how = source === "token" ? `${SOURCES.token} (${tokenProvider})` : SOURCES[source]
  const verify = exact
    ? `gitsign verify ${flagsOf(found).map(shellQuote).join(" ")}`
    : "sign once, and see whom the certificate names: git log -1 --format=%GS"
  return [
    `${printable(identity)} (${printable(issuerName(issuer))})`,
    exact
      ? `identity  ${printable(identity)}`
      : `identity  depends on how ${new URL(fulcio).host} is configured for this issuer`,
    `issuer    ${printable(issuer)}`,
    `from      ${how}, ${left} left`,
    `verify    ${verify}`,
    "",
  ].join("\n")
}
