/**
 * A repository that is pushed to, with a policy and gitsign's hooks, and a clone of it whose commits are signed by whom a test says.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { EMAIL, type Ran, type Services, Workspace } from "./harness.ts"

/** Who is not named in {@link policyText}, or only for branches under `wip/`. */
export const STRANGER = "mallory@example.com"

/** One rule for main and releases, a laxer one for `wip/`, none for anything else; tags `v*`. */
export const policyText = (issuer: string, more = "", team = EMAIL): string => `version: 1
signers:
  team:
    - { issuer: ${JSON.stringify(issuer)}, subject: ${team} }
  guests:
    - { issuer: ${JSON.stringify(issuer)}, subject: ${STRANGER} }
    - { issuer: ${JSON.stringify(issuer)}, subject: ${EMAIL} }
rules:
  - { name: main, branches: [main, 'release/**'], signers: [team] }
  - { name: wip, branches: ['wip/**'], signers: [guests] }
  - { name: policy, branches: ['**'], paths: ['.gitsign/**'], signers: [team] }
  - { name: tags, tags: ['v*'], signers: [team] }
${more}`

/** The repository, its clone, and what tests do with them. */
export class PushWorld {
  readonly workspace: Workspace
  readonly issuer: string
  readonly #tokens: ReadonlyMap<string, string>
  /** The bare repository. */
  readonly server: string
  /** Its clone, on main. */
  readonly clone: string
  static #count = 0

  private constructor(services: Services, workspace: Workspace, tokens: ReadonlyMap<string, string>, format: string) {
    this.workspace = workspace
    this.issuer = services.issuer
    this.#tokens = tokens
    const number = PushWorld.#count++
    this.server = workspace.repository(`server-${number}.git`, "--bare", `--object-format=${format}`)
    // A clone of an empty repository does not take its object format over with every version of git.
    this.clone = workspace.repository(`clone-${number}`, `--object-format=${format}`)
    workspace.git(this.clone, "remote", "add", "origin", this.server)
  }

  /**
   * A server whose main has the policy, and a clone. The hooks are yet to be installed.
   *
   * @param policy its text; "" for none
   */
  static async begin(
    services: Services,
    { format = "sha1", policy = policyText(services.issuer) }: { format?: "sha1" | "sha256"; policy?: string } = {},
  ): Promise<PushWorld> {
    const tokens = new Map<string, string>()
    for (const email of [EMAIL, STRANGER]) tokens.set(email, await services.token(email))
    const world = new PushWorld(services, new Workspace(services.environment), tokens, format)
    world.commit("README", { files: { README: "1\n", ...(policy === "" ? {} : { ".gitsign/policy.yaml": policy }) } })
    world.push("main")
    world.git("remote", "set-head", "origin", "main")
    return world
  }

  /** Commits on the current branch of the clone; returns the id. `by` nobody: not signed. */
  commit(
    subject: string,
    {
      by = EMAIL,
      files = { [subject]: `${subject}\n` },
    }: { by?: string | undefined; files?: Record<string, string> } = {},
  ): string {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.clone, name)), { recursive: true })
      writeFileSync(join(this.clone, name), content)
    }
    this.git("add", "-A")
    this.signing(by, "commit", "--quiet", "--allow-empty", "-m", subject)
    return this.git("rev-parse", "HEAD")
  }

  /** Runs a command of git that signs, as somebody; `nobody`: without a signature. */
  signing(by: string, command: string, ...args: string[]): void {
    const flags = by === "nobody" ? ["-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false"] : []
    const env = { SIGSTORE_ID_TOKEN: this.#tokens.get(by) ?? "" }
    const ran = this.workspace.run(this.clone, "git", [...flags, command, ...args], { env })
    if (ran.status !== 0) throw new Error(`git ${command} exited ${ran.status}\n${ran.stderr}`)
  }

  /** Runs git in the clone. */
  git(...args: string[]): string {
    return this.workspace.git(this.clone, ...args)
  }

  /** Pushes refs to the server, as told by their refspecs and flags. */
  push(...args: string[]): Ran {
    return this.workspace.tryGit(this.clone, "push", "origin", ...args)
  }

  /** Installs hooks on the server. */
  install(...args: string[]): Ran {
    return this.workspace.gitsign(this.server, "hook", "install", ...args)
  }

  /** The id that a ref of the server has; "" when it has no such ref. */
  onServer(ref: string): string {
    return this.workspace.tryGit(this.server, "rev-parse", "--verify", "--quiet", ref).stdout.trim()
  }

  close(): void {
    this.workspace.close()
  }
}

/** What the hook said to whoever pushed, without `remote: ` and what git adds. */
export const saidTo = ({ stderr }: Ran): string =>
  stderr
    .split("\n")
    .filter((line) => line.startsWith("remote: "))
    .map((line) => line.slice("remote: ".length).trimEnd())
    .join("\n")
