/**
 * The one option table: every setting's git-config key, environment names, default, parser and sentence for the docs.
 *
 * The names and their precedence are those of sigstore/gitsign: defaults, then git config, then SIGSTORE_ROOT_FILE, then
 * SIGSTORE_*, then GITSIGN_*. A variable that is set to nothing counts as set.
 *
 * @module
 */

import { GitsignError } from "./errors.ts"
import type { GitConfigEntry } from "./git/config.ts"

/** A text that a setting cannot be, told as what it has to be. */
class WrongValue extends Error {}

interface Option<T> {
  /** The git-config key; undefined for settings that are read from the environment only. */
  readonly key?: string
  /** Environment names; the first one that is set counts. */
  readonly environment: readonly string[]
  readonly default: T
  /** One sentence for the docs, without a full stop. */
  readonly about: string
  /** Throws WrongValue. `undefined` is a git-config key without a value. */
  readonly parse: (text: string | undefined, home: string | undefined) => T
}

const option = <T>(definition: Option<T>): Option<T> => definition

const text = (value: string | undefined): string => {
  if (value === undefined) throw new WrongValue("needs a value")
  return value
}

const optionalText = (value: string | undefined): string | undefined => text(value) || undefined

/** git's own spelling of booleans (git-config(1), "Values"): a key without a value is true. */
const boolean = (value: string | undefined): boolean => {
  if (value === undefined || /^(true|yes|on|1)$/i.test(value)) return true
  if (/^(false|no|off|0|)$/i.test(value)) return false
  throw new WrongValue("must be true or false")
}

const seconds = (value: string | undefined): number => {
  if (!/^\d{1,6}$/.test(text(value))) throw new WrongValue("must be a whole number of seconds")
  return Number(value)
}

const count = (value: string | undefined): number => {
  if (!/^\d{1,6}$/.test(text(value))) throw new WrongValue("must be a whole number")
  return Number(value)
}

const address = (value: string | undefined): string => {
  const url = URL.canParse(text(value)) ? new URL(text(value)) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new WrongValue("must be an https address")
  return text(value)
}

const optionalAddress = (value: string | undefined): string | undefined =>
  text(value) === "" ? undefined : address(value)

/** A path of a file; `~/` is the home directory, as in git's own settings. */
const path = (value: string | undefined, home: string | undefined): string | undefined =>
  home !== undefined && text(value).startsWith("~/") ? `${home}${text(value).slice(1)}` : optionalText(value)

/** `auto`, or where a socket is; `off`, false and nothing are the same. */
const agentSocket = (value: string | undefined, home: string | undefined): string | undefined => {
  if (/^(off|false|no|0|)$/i.test(text(value))) return undefined
  const found = path(value, home)
  if (found === "auto" || found?.includes("/")) return found
  throw new WrongValue("must be auto, off or the path of a socket")
}

const oneOf =
  <T extends string>(...allowed: readonly T[]) =>
  (value: string | undefined): T => {
    const found = allowed.find((one) => one === value)
    if (found === undefined) throw new WrongValue(`must be ${allowed.join(" or ")}`)
    return found
  }

/** The place of the login address in `urlOpener`. */
export const URL_PLACEHOLDER = "{{.URL}}"

/** Splits a command into words as a shell does, except that only quotes have a meaning: no shell will ever see it. */
const command = (value: string | undefined): readonly string[] | undefined => {
  if (text(value).trim() === "") return undefined
  if (!/^("[^"]*"|'[^']*'|[^"'])*$/.test(text(value))) throw new WrongValue("has a quote without its other half")
  const words = text(value).match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? []
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"))
}

const commandWithUrl = (value: string | undefined): readonly string[] | undefined => {
  const words = command(value)
  if (words !== undefined && !text(value).includes(URL_PLACEHOLDER)) {
    throw new WrongValue(`must hold ${URL_PLACEHOLDER}, the login address`)
  }
  return words
}

/** `auto` is the same as nothing; the others are known where they are used. */
const tokenProvider = (value: string | undefined): string | undefined =>
  text(value) === "auto" ? undefined : optionalText(value)

const rekorVersion = (value: string | undefined): 1 => {
  if (value === "2") throw new WrongValue("is not supported yet; only version 1 is")
  if (value !== "1") throw new WrongValue("must be 1")
  return 1
}

/** `GITSIGN_x` counts before `SIGSTORE_x`. */
const both = (name: string): readonly string[] => [`GITSIGN_${name}`, `SIGSTORE_${name}`]

/** Every setting by its name in git config; {@link configTable} shows it to people. */
const OPTIONS = {
  fulcio: option({
    key: "gitsign.fulcio",
    environment: both("FULCIO_URL"),
    default: "https://fulcio.sigstore.dev",
    about: "address of the certificate authority",
    parse: address,
  }),
  rekor: option({
    key: "gitsign.rekor",
    environment: both("REKOR_URL"),
    default: "https://rekor.sigstore.dev",
    about: "address of the transparency log",
    parse: address,
  }),
  rekorMode: option<"offline" | "online">({
    key: "gitsign.rekorMode",
    environment: ["GITSIGN_REKOR_MODE"],
    default: "offline",
    about:
      "`offline` puts the log's proof into the signature; `online` leaves it in the log, where verifiers must search",
    parse: oneOf("offline", "online"),
  }),
  rekorVersion: option<1>({
    key: "gitsign.rekorVersion",
    environment: both("REKOR_VERSION"),
    default: 1,
    about: "version of the log's API; only 1 is supported yet",
    parse: rekorVersion,
  }),
  issuer: option({
    key: "gitsign.issuer",
    environment: both("OIDC_ISSUER"),
    default: "https://oauth2.sigstore.dev/auth",
    about: "address of the OpenID issuer to log in at",
    parse: address,
  }),
  clientID: option({
    key: "gitsign.clientID",
    environment: both("OIDC_CLIENT_ID"),
    default: "sigstore",
    about: "OpenID client to log in as",
    parse: text,
  }),
  clientSecretFile: option<string | undefined>({
    key: "gitsign.clientSecretFile",
    environment: both("OIDC_CLIENT_SECRET_FILE"),
    default: undefined,
    about: "file with the secret of the OpenID client, where the issuer asks for one",
    parse: path,
  }),
  redirectURL: option<string | undefined>({
    key: "gitsign.redirectURL",
    environment: both("OIDC_REDIRECT_URL"),
    default: undefined,
    about: "address that the browser returns to after the login; a free port of this machine when not set",
    parse: optionalAddress,
  }),
  connectorID: option<string | undefined>({
    key: "gitsign.connectorID",
    environment: both("CONNECTOR_ID"),
    default: undefined,
    about: "login to choose without asking, such as `https://github.com/login/oauth`",
    parse: optionalText,
  }),
  tokenProvider: option<string | undefined>({
    key: "gitsign.tokenProvider",
    environment: both("TOKEN_PROVIDER"),
    default: undefined,
    about:
      "where to get the identity token (`gitsign whoami --verbose` lists the ways); `auto`, or not set: what the surroundings offer, else a login",
    parse: tokenProvider,
  }),
  tokenCommand: option<readonly string[] | undefined>({
    key: "gitsign.tokenCommand",
    environment: ["GITSIGN_TOKEN_COMMAND"],
    default: undefined,
    about: "command that prints an identity token, for `exec`; no shell runs it",
    parse: command,
  }),
  tokenFile: option<string | undefined>({
    key: "gitsign.tokenFile",
    environment: ["GITSIGN_TOKEN_FILE"],
    default: undefined,
    about:
      "file that an identity token is projected into, for `filesystem`; `/var/run/sigstore/cosign/oidc-token` when not set",
    parse: path,
  }),
  publishConsent: option<"ask" | "always">({
    key: "gitsign.publishConsent",
    environment: ["GITSIGN_PUBLISH_CONSENT"],
    default: "ask",
    about:
      "`ask` shows whoever logs in what becomes public, and asks once for each identity; `always` takes the answer for given",
    parse: oneOf("ask", "always"),
  }),
  autoclose: option({
    key: "gitsign.autoclose",
    environment: both("AUTOCLOSE"),
    default: true,
    about: "whether the browser page closes itself after the login; only where connectorID is set",
    parse: boolean,
  }),
  autocloseTimeout: option({
    key: "gitsign.autocloseTimeout",
    environment: both("AUTOCLOSE_TIMEOUT"),
    default: 6,
    about: "seconds until it does",
    parse: seconds,
  }),
  urlOpener: option<readonly string[] | undefined>({
    key: "gitsign.urlOpener",
    environment: ["GITSIGN_URL_OPENER"],
    default: undefined,
    about: "command that opens the login page, such as `firefox {{.URL}}`; the system's own when not set",
    parse: commandWithUrl,
  }),
  matchCommitter: option({
    key: "gitsign.matchCommitter",
    environment: [],
    default: false,
    about: "sign only when the certificate names `user.email` (or, as a URI, `user.name`)",
    parse: boolean,
  }),
  timestampServerURL: option<string | undefined>({
    key: "gitsign.timestampServerURL",
    environment: both("TIMESTAMP_SERVER_URL"),
    default: undefined,
    about: "address of an RFC 3161 timestamp authority; no timestamp is asked for when not set",
    parse: optionalAddress,
  }),
  timestampCertChain: option<string | undefined>({
    key: "gitsign.timestampCertChain",
    environment: both("TIMESTAMP_CERT_CHAIN"),
    default: undefined,
    about: "PEM file with the certificates of that authority, up to its root",
    parse: path,
  }),
  trustedRoot: option<string | undefined>({
    key: "gitsign.trustedRoot",
    environment: ["GITSIGN_TRUSTED_ROOT"],
    default: undefined,
    about: "trusted_root.json of a Sigstore instance; that of the public-good instance when not set",
    parse: path,
  }),
  fulcioRoot: option<string | undefined>({
    key: "gitsign.fulcioRoot",
    environment: [...both("FULCIO_ROOT"), "SIGSTORE_ROOT_FILE"],
    default: undefined,
    about: "PEM file with the certificates of the certificate authority, instead of those of the trusted root",
    parse: path,
  }),
  rekorPublicKey: option<string | undefined>({
    environment: ["SIGSTORE_REKOR_PUBLIC_KEY"],
    default: undefined,
    about: "PEM file with the key of the transparency log, instead of those of the trusted root",
    parse: path,
  }),
  ctLogPublicKey: option<string | undefined>({
    environment: ["SIGSTORE_CT_LOG_PUBLIC_KEY_FILE"],
    default: undefined,
    about: "PEM file with the key of the certificate transparency log, instead of those of the trusted root",
    parse: path,
  }),
  logPath: option<string | undefined>({
    key: "gitsign.logPath",
    environment: ["GITSIGN_LOG"],
    default: undefined,
    about: "file that gets a copy of every message, with its causes",
    parse: path,
  }),
  credentialCacheMode: option<"off" | "agent" | "system" | undefined>({
    key: "gitsign.credentialCacheMode",
    environment: ["GITSIGN_CREDENTIAL_CACHE_MODE"],
    default: undefined,
    about:
      "where a login is kept for the ten minutes of its certificate: `off`, `agent`, or `system`, the keyring of the operating system; `agent` when credentialCache is set, else `off`",
    parse: (value) => (text(value) === "" ? undefined : oneOf("off", "agent", "system")(value)),
  }),
  refreshLogin: option({
    key: "gitsign.refreshLogin",
    environment: ["GITSIGN_REFRESH_LOGIN"],
    default: false,
    about:
      "whether to keep the issuer's refresh token in the system's keyring, so that the next login needs nobody; with credentialCacheMode `system` only",
    parse: boolean,
  }),
  credentialCache: option<string | undefined>({
    key: "gitsign.credentialCache",
    environment: ["GITSIGN_CREDENTIAL_CACHE"],
    default: undefined,
    about:
      "the signing agent: `auto` starts one when a commit needs it, a path names the socket of one that runs; `off` when not set",
    parse: agentSocket,
  }),
  credentialCacheScope: option<"user" | "repository">({
    key: "gitsign.credentialCacheScope",
    environment: ["GITSIGN_CREDENTIAL_CACHE_SCOPE"],
    default: "user",
    about: "`user` lets one login serve all repositories, `repository` asks for one in each",
    parse: oneOf("user", "repository"),
  }),
  agentConfirm: option({
    key: "gitsign.agentConfirm",
    environment: ["GITSIGN_AGENT_CONFIRM"],
    default: false,
    about: "whether the agent asks before each signature",
    parse: boolean,
  }),
  agentMaxSignatures: option({
    key: "gitsign.agentMaxSignatures",
    environment: ["GITSIGN_AGENT_MAX_SIGNATURES"],
    default: 0,
    about: "signatures that one login is good for; 0 is no limit",
    parse: count,
  }),
  agentLifetime: option({
    key: "gitsign.agentLifetime",
    environment: ["GITSIGN_AGENT_LIFETIME"],
    default: 0,
    about: "seconds that one login is good for, where the certificate's ten minutes are too long; 0 is no limit",
    parse: seconds,
  }),
  policy: option<string | undefined>({
    key: "gitsign.policy",
    environment: ["GITSIGN_POLICY"],
    default: undefined,
    about:
      "the policy that verification goes by: a file, or `REF:path`; when not set, that of the commit before the change",
    parse: path,
  }),
  rootPolicy: option<string | undefined>({
    key: "gitsign.rootPolicy",
    environment: ["GITSIGN_ROOT_POLICY"],
    default: undefined,
    about: "a policy outside of the repository that says who may change the repository's own",
    parse: path,
  }),
  hookTimeLimit: option({
    key: "gitsign.hookTimeLimit",
    environment: ["GITSIGN_HOOK_TIME_LIMIT"],
    default: 60,
    about: "seconds that a receive hook may take before it refuses; 0 is no limit",
    parse: seconds,
  }),
  hookUnchecked: option<"refuse" | "warn">({
    key: "gitsign.hookUnchecked",
    environment: ["GITSIGN_HOOK_UNCHECKED"],
    default: "refuse",
    about: "what a receive hook does with what could not be checked: `refuse`, or `warn` and accept",
    parse: oneOf("refuse", "warn"),
  }),
  enableSigstoreGo: option({
    key: "gitsign.enableSigstoreGo",
    environment: ["GITSIGN_ENABLE_SIGSTORE_GO"],
    default: true,
    about: "accepted and without effect: there is one verifier",
    parse: boolean,
  }),
}

type Options = typeof OPTIONS
type OptionName = keyof Options
type Values = { readonly [K in OptionName]: Options[K]["default"] }

/** All settings, each from where it counts. */
export interface Config extends Values {
  /** Where a login is kept: what is set, else `agent` where gitsign.credentialCache says where that is. */
  readonly credentialCacheMode: "off" | "agent" | "system"
  /** `auto` or a path where the agent is used; undefined where it is not. */
  readonly credentialCache: string | undefined
  /** git's `user.name` and `user.email`, not those of the environment, as the Go program compares them. */
  readonly committer: { readonly name: string | undefined; readonly email: string | undefined }
}

/** Where settings come from: what git has, and the environment of the process. */
export interface ConfigSources {
  readonly gitConfig: readonly GitConfigEntry[]
  readonly env: NodeJS.ProcessEnv
}

/**
 * The settings that count.
 *
 * @throws ERR_CONFIG for the first wrong value that counts; the message names the key, the value and where it was set
 */
export function resolveConfig(sources: ConfigSources): Config {
  const inGit = new Map(sources.gitConfig.map((entry) => [entry.key.toLowerCase(), entry]))
  const home = sources.env.HOME || sources.env.USERPROFILE
  const values = Object.entries(OPTIONS).map(([name, one]) => [name, settingOf(one, inGit, sources.env, home)])
  const committer = { name: inGit.get("user.name")?.value, email: inGit.get("user.email")?.value }
  const set = Object.fromEntries(values) as Values
  return { ...set, ...cacheOf(set), committer }
}

/** The mode says whether there is an agent, credentialCache where it is; each is enough to switch it on. */
function cacheOf({ credentialCacheMode, credentialCache }: Values) {
  const mode = credentialCacheMode ?? (credentialCache === undefined ? "off" : "agent")
  return {
    credentialCacheMode: mode,
    credentialCache: mode === "agent" ? (credentialCache ?? "auto") : undefined,
  } as const
}

function settingOf(
  option: Option<unknown>,
  inGit: ReadonlyMap<string, GitConfigEntry>,
  env: NodeJS.ProcessEnv,
  home: string | undefined,
): unknown {
  const name = option.environment.find((one) => env[one] !== undefined)
  const entry = option.key === undefined ? undefined : inGit.get(option.key.toLowerCase())
  if (name === undefined && entry === undefined) return option.default
  const value = name === undefined ? entry?.value : env[name]
  try {
    return option.parse(value, name === undefined ? home : undefined)
  } catch (cause) {
    if (!(cause instanceof WrongValue)) throw cause
    const where = name === undefined ? `git config ${entry?.origin}` : `environment variable ${name}`
    const shown = value === undefined ? "no value" : JSON.stringify(value)
    throw new GitsignError("ERR_CONFIG", `${option.key ?? name} is ${shown} and ${cause.message} (${where})`)
  }
}

const shownDefault = (value: unknown): string => (value === undefined ? "" : String(value))

/** The option table in Markdown, for the README. */
export function configTable(): string {
  const rows = Object.values(OPTIONS).map(
    (one: Option<unknown>) =>
      `| ${[
        one.key === undefined ? "" : `\`${one.key}\``,
        one.environment.map((name) => `\`${name}\``).join(", "),
        one.default === undefined ? "" : `\`${shownDefault(one.default)}\``,
        one.about,
      ].join(" | ")} |`,
  )
  return `${["| git config | environment | default | what it is |", "| --- | --- | --- | --- |", ...rows].join("\n")}\n`
}

/** Makes lines of words, each behind so many blanks. */
type Fill = (words: readonly string[], indent: number) => string

const oneLine: Fill = (words, indent) => " ".repeat(indent) + words.join(" ")

/** The option table as text for a terminal, whose width is known to `fill`. */
export function configHelp(fill: Fill = oneLine): string {
  const blocks = Object.values(OPTIONS).map((one: Option<unknown>) => {
    const names = [one.key, ...one.environment].filter((name) => name !== undefined)
    const fallback = one.default === undefined ? [] : [`default: ${shownDefault(one.default)}`]
    const about = `${one.about.replaceAll("`", "")}${fallback.length > 0 ? ";" : ""}`
    return `${fill(names.join(", ").split(" "), 0)}\n${fill([...about.split(" "), ...fallback], 4)}\n`
  })
  return blocks.join("")
}
