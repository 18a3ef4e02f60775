/**
 * Which way to an identity token will be taken, told without taking it: nothing is asked of anybody, and no library is loaded.
 *
 * @module
 */

import {
  detectBuildkite,
  detectCircleci,
  detectEnvironmentToken,
  detectExec,
  detectGithubActions,
} from "./environment.ts"
import { detectFilesystem } from "./filesystem.ts"
import { detectGitlab } from "./gitlab.ts"
import { detectGoogleImpersonation, detectGoogleWorkload } from "./google-detect.ts"
import type { Environment, TokenProvider } from "./provider.ts"
import { detectSpiffe } from "./spiffe-detect.ts"

/** What the ways are told apart by. */
export interface Surroundings {
  readonly env: Environment
  /** The audience that the token has to have: `gitsign.clientID`. */
  readonly audience: string
  /** `gitsign.tokenFile`. */
  readonly tokenFile?: string | undefined
  /** The words of `gitsign.tokenCommand`. */
  readonly tokenCommand?: readonly string[] | undefined
}

/** Whether a provider has something to go by here; it may still turn out that it has no token. */
export interface Detection {
  readonly applies: boolean
  /** One sentence for people, without a full stop and without any secret. */
  readonly because: string
  /** The token where it is at hand, not yet looked at. */
  readonly token?: string | undefined
}

/** What can be told before a token is asked for. */
export interface TokenSource {
  /** A name that `gitsign.tokenProvider` may have; whether a configured one is known is not checked here. */
  readonly provider: string
  /** The token where it is at hand, not yet looked at. */
  readonly token: string | undefined
  /** One sentence for people, without a full stop and without any secret. */
  readonly because: string
  /**
   * What else of the surroundings decides whom the token will name; "" when nothing does. Two runs that differ in it MUST NOT share a
   * login. It is no secret.
   */
  readonly scope: string
}

/** What is said of one provider to a person who asks how the token was found. */
export interface Surveyed {
  readonly provider: TokenProvider
  readonly applies: boolean
  /** Whether it is the one that will be asked first. */
  readonly chosen: boolean
  readonly because: string
}

/** A provider that needs nobody to log in. */
export type AmbientProvider = Exclude<TokenProvider, "interactive" | "device">

/** A provider that applies here. */
export interface AmbientSource {
  readonly provider: AmbientProvider
  readonly token: string | undefined
  readonly because: string
}

/**
 * The providers in the order in which they are asked; cosign leaves it to chance. What somebody has set up for gitsign comes first, then
 * what a job has, then what the machine has.
 */
const AMBIENT: ReadonlyMap<AmbientProvider, (surroundings: Surroundings) => Detection> = new Map<
  AmbientProvider,
  (surroundings: Surroundings) => Detection
>([
  ["exec", detectExec],
  ["buildkite-agent", detectBuildkite],
  ["envvar", detectEnvironmentToken],
  ["filesystem", detectFilesystem],
  ["github-actions", detectGithubActions],
  ["google-impersonation", (surroundings) => detectGoogleImpersonation(surroundings)],
  ["gitlab", detectGitlab],
  ["circleci", detectCircleci],
  // Hosted runners are such machines: what the job has of its own goes before the machine's account.
  ["google-workload-identity", (surroundings) => detectGoogleWorkload(surroundings)],
  ["spiffe", (surroundings) => detectSpiffe(surroundings)],
])

/** All names that `gitsign.tokenProvider` may have, in the order in which they are asked. */
export const TOKEN_PROVIDERS: readonly TokenProvider[] = [...AMBIENT.keys(), "interactive", "device"]

/** The provider that a configured name means. cosign registers one of them under another name than gitsign documents. */
export const canonicalProvider = (name: string): string =>
  name === "google-impersonate" ? "google-impersonation" : name

/** Variables that tell which job, machine or account a token without a name at hand will be of. None holds a secret. */
const SCOPE: Readonly<Record<string, readonly string[]>> = {
  "buildkite-agent": ["BUILDKITE_JOB_ID"],
  "github-actions": ["GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"],
  "google-impersonation": ["GOOGLE_SERVICE_ACCOUNT_NAME", "GOOGLE_APPLICATION_CREDENTIALS"],
  "google-workload-identity": ["GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"],
  spiffe: ["SPIFFE_ENDPOINT_SOCKET"],
  circleci: ["CIRCLE_WORKFLOW_JOB_ID"],
}

/** The source that is configured, else the first provider that applies here, else a login. */
export function tokenSource(surroundings: Surroundings, configured: string | undefined): TokenSource {
  if (configured) {
    const source = configuredSource(surroundings, configured)
    return { ...source, scope: scopeOf([source], surroundings) }
  }
  const sources = possibleSources(surroundings)
  const { provider, token, because } = sources[0] ?? LOGIN
  return { provider, token, because, scope: scopeOf(sources, surroundings) }
}

/** The providers of which one will have the token: each that has none at hand lets the next one try. */
function possibleSources(surroundings: Surroundings): readonly AmbientSource[] {
  const sources: AmbientSource[] = []
  for (const source of ambientSources(surroundings)) {
    sources.push(source)
    if (source.token !== undefined) break
  }
  return sources
}

const LOGIN = { provider: "interactive", token: undefined, because: "nothing here has an identity token" } as const

function configuredSource(surroundings: Surroundings, configured: string) {
  const provider = canonicalProvider(configured)
  return { provider, token: detect(provider, surroundings)?.token, because: `gitsign.tokenProvider is ${configured}` }
}

/** The providers that apply here, in order; each is looked at only when it is its turn. */
export function* ambientSources(surroundings: Surroundings): Generator<AmbientSource, undefined> {
  for (const [provider, look] of AMBIENT) {
    const { applies, token, because } = look(surroundings)
    if (applies) yield { provider, token, because }
  }
}

/** What a provider finds here; undefined for one that is not ambient. */
export const detect = (provider: string, surroundings: Surroundings): Detection | undefined =>
  AMBIENT.get(provider as AmbientProvider)?.(surroundings)

/** Looks at all providers, in order, whichever is chosen. */
export function surveyProviders(surroundings: Surroundings, configured: string | undefined): readonly Surveyed[] {
  const chosen = tokenSource(surroundings, configured)
  return TOKEN_PROVIDERS.map((provider) => {
    const { applies, because } = detect(provider, surroundings) ?? loginDetection(provider, chosen)
    return { provider, applies, chosen: provider === chosen.provider, because }
  })
}

function loginDetection(provider: TokenProvider, chosen: TokenSource): Detection {
  if (chosen.provider === provider) return { applies: true, because: chosen.because }
  const because =
    chosen.provider === "interactive"
      ? "it is taken where no browser can be opened, or when gitsign.tokenProvider asks for it"
      : `a person is asked only when nothing else applies, and ${chosen.provider} does`
  return { applies: false, because }
}

/** What decides whom the token of these will name. */
function scopeOf(sources: readonly Pick<TokenSource, "provider">[], { env, tokenCommand }: Surroundings): string {
  const scopes: string[][] = []
  for (const { provider } of sources) {
    const values = provider === "exec" ? (tokenCommand ?? []) : (SCOPE[provider] ?? []).map((name) => env[name] ?? "")
    if (values.some((value) => value !== "")) scopes.push([provider, ...values])
  }
  return scopes.length === 0 ? "" : JSON.stringify(scopes)
}
