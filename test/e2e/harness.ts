/**
 * What every end-to-end test stands on: a Sigstore to sign with, a fresh HOME, and real git calling the built program.
 *
 * @module
 */

import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, join, resolve } from "node:path"
import { secret } from "../support/secrets.ts"

/** The built program for Node; `npm test` builds it. */
const ENTRY = resolve(import.meta.dirname, "../../dist/gitsign.cjs")

/** A Sigstore: the sandbox, or servers that the environment names (see README.md in this folder). */
export interface Services {
  /** What makes a program use them; no token among it. */
  readonly environment: Readonly<Record<string, string>>
  /** The variables that add a timestamp to every signature. */
  readonly timestampEnvironment: Readonly<Record<string, string>>
  /** Whether the timestamp authority states an accuracy of a second, as real ones do. */
  readonly timestampAccuracy: boolean
  readonly issuer: string
  token(email?: string): Promise<string>
  /** Runs a verb of `gitsign sandbox`; with servers that the environment names there is none. */
  sandbox(...args: string[]): string
  close(): Promise<void>
}

/** Whom the tokens of the tests name unless told otherwise. */
export const EMAIL = "dev@example.com"

/** Starts the sandbox, or takes the servers that GITSIGN_E2E_* names. */
export async function startServices(): Promise<Services> {
  const { env } = process
  if (env.GITSIGN_E2E_FULCIO_URL !== undefined) return externalServices(env)
  const directory = mkdtempSync(join(tmpdir(), "gitsign-sandbox-"))
  // Its own process: the tests wait for git, and whoever waits cannot answer.
  const sandbox = (...args: string[]): string => {
    const ran = spawnSync(process.execPath, [ENTRY, "sandbox", ...args, "--dir", directory], {
      encoding: "utf8",
      timeout: 60_000,
    })
    if (ran.status !== 0)
      throw new Error(`gitsign sandbox ${args.join(" ")} exited ${ran.status}\n${ran.stdout}${ran.stderr}`)
    return args[0] === "token" ? secret(ran.stdout) : ran.stdout
  }
  sandbox("start")
  const environment = exportsOf(sandbox("env"))
  const timestamped = exportsOf(sandbox("env", "--timestamp"))
  return {
    environment,
    timestampEnvironment: Object.fromEntries(Object.entries(timestamped).filter(([name]) => !(name in environment))),
    timestampAccuracy: false,
    issuer: environment.GITSIGN_OIDC_ISSUER ?? "",
    token: async (email = EMAIL) => sandbox("token", email).trim(),
    sandbox,
    close: async () => {
      sandbox("stop")
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** The variables that shell code exports, as a shell understands it. */
function exportsOf(shellCode: string): Record<string, string> {
  const ran = spawnSync("sh", ["-c", 'eval "$1" && env -0', "sh", shellCode], {
    encoding: "utf8",
    env: { PATH: process.env.PATH ?? "" },
  })
  if (ran.status !== 0) throw new Error(`the shell refused: ${ran.stderr}`)
  const variables = ran.stdout.split("\0").flatMap((line) => {
    const [, name, value] = /^(\w+)=([\s\S]*)$/.exec(line) ?? []
    return name !== undefined && value !== undefined && shellCode.includes(name) ? [[name, value] as const] : []
  })
  return Object.fromEntries(variables)
}

function externalServices(env: NodeJS.ProcessEnv): Services {
  const named = (name: string): string => {
    const value = env[`GITSIGN_E2E_${name}`]
    if (value === undefined) throw new Error(`GITSIGN_E2E_${name} is missing; see test/e2e/README.md`)
    return value
  }
  return {
    environment: {
      GITSIGN_FULCIO_URL: named("FULCIO_URL"),
      GITSIGN_REKOR_URL: named("REKOR_URL"),
      GITSIGN_OIDC_ISSUER: named("ISSUER"),
      GITSIGN_FULCIO_ROOT: named("FULCIO_ROOT"),
      SIGSTORE_REKOR_PUBLIC_KEY: named("REKOR_KEY"),
      SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: named("CT_KEY"),
      ...(env.GITSIGN_E2E_TUF_MIRROR === undefined
        ? {}
        : {
            TUF_MIRROR: env.GITSIGN_E2E_TUF_MIRROR,
            TUF_ROOT: named("TUF_ROOT"),
            TUF_ROOT_JSON: named("TUF_ROOT_JSON"),
          }),
    },
    timestampEnvironment: {
      GITSIGN_TIMESTAMP_SERVER_URL: named("TSA_URL"),
      GITSIGN_TIMESTAMP_CERT_CHAIN: named("TSA_CHAIN"),
    },
    timestampAccuracy: true,
    issuer: named("ISSUER"),
    token: async (email = EMAIL) => {
      const response = await fetch(`${named("TOKEN_URL")}${encodeURIComponent(email)}`)
      return (await response.text()).trim()
    },
    sandbox: () => {
      throw new Error("there is no sandbox")
    },
    close: async () => {},
  }
}

/** Where GITSIGN_TEST_LOGS names a folder, everything that git and gitsign log goes there, to be searched for secrets. */
function logsToSearch(root: string): Record<string, string> {
  const { GITSIGN_TEST_LOGS: folder } = process.env
  if (!folder) return {}
  return { GITSIGN_LOG: join(folder, `${basename(root)}.log`), GIT_TRACE: join(folder, `${basename(root)}.trace`) }
}

/** The result of one command. */
export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A HOME of its own with the built program in it, and git set up to use it. */
export class Workspace {
  readonly root: string
  /** The program under test: GITSIGN_E2E_PROGRAM, or the build for Node. */
  readonly program: string
  env: Record<string, string>

  constructor(environment: Readonly<Record<string, string>>) {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), "gitsign-e2e-")))
    const bin = join(this.root, "bin")
    mkdirSync(bin)
    this.program = join(bin, "gitsign")
    const target = process.env.GITSIGN_E2E_PROGRAM ?? `${process.execPath}" "${ENTRY}`
    writeFileSync(this.program, `#!/bin/sh\nexec "${target}" "$@"\n`)
    chmodSync(this.program, 0o755)
    if (!existsSync(ENTRY)) throw new Error("the program is not built: npm run build")
    const home = join(this.root, "home")
    mkdirSync(home)
    this.env = {
      PATH: `${bin}:${process.env.PATH ?? ""}`,
      HOME: home,
      XDG_CACHE_HOME: join(home, ".cache"),
      XDG_CONFIG_HOME: join(home, ".config"),
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      LC_ALL: "C.UTF-8",
      // Logins here are answered by programs; the tests of the question take this away.
      GITSIGN_PUBLISH_CONSENT: "always",
      TMPDIR: this.root,
      ...logsToSearch(this.root),
      ...environment,
    }
    this.git(home, "config", "--global", "user.name", "A Developer")
    this.git(home, "config", "--global", "user.email", EMAIL)
    this.git(home, "config", "--global", "init.defaultBranch", "main")
    this.git(home, "config", "--global", "gpg.format", "x509")
    this.git(home, "config", "--global", "gpg.x509.program", this.program)
    this.git(home, "config", "--global", "commit.gpgsign", "true")
    this.git(home, "config", "--global", "tag.gpgsign", "true")
    this.git(home, "config", "--global", "protocol.file.allow", "always")
    this.git(home, "config", "--global", "advice.detachedHead", "false")
  }

  /** Runs a program; never throws for its exit status. */
  run(
    cwd: string,
    command: string,
    args: readonly string[],
    options: { env?: Record<string, string>; input?: string } = {},
  ): Ran {
    const result: SpawnSyncReturns<string> = spawnSync(command, args, {
      cwd,
      env: { ...this.env, ...options.env },
      encoding: "utf8",
      input: options.input ?? "",
      timeout: 60_000,
      maxBuffer: 64 * 1024 * 1024,
    })
    if (result.error !== undefined) throw result.error
    this.#keep(result.stderr)
    return { status: result.status, stdout: result.stdout, stderr: result.stderr }
  }

  /** Runs a program while this process goes on, for tests that answer it. `started` gets the child. */
  runAsync(
    cwd: string,
    command: string,
    args: readonly string[],
    options: {
      env?: Record<string, string>
      detached?: boolean
      timeout?: number
      started?: (child: ChildProcess) => void
    } = {},
  ): Promise<Ran> {
    const child = spawn(command, args, {
      cwd,
      env: { ...this.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: options.timeout ?? 60_000,
      detached: options.detached ?? false,
    })
    options.started?.(child)
    return new Promise((done, reject) => {
      let stdout = ""
      let stderr = ""
      child.stdout.on("data", (chunk) => {
        stdout += chunk
      })
      child.stderr.on("data", (chunk) => {
        stderr += chunk
      })
      child.on("error", reject)
      child.on("close", (status) => {
        this.#keep(stderr)
        done({ status, stdout, stderr })
      })
    })
  }

  #keep(stderr: string): void {
    const { GITSIGN_TEST_LOGS: folder } = process.env
    if (folder && stderr !== "") appendFileSync(join(folder, `${basename(this.root)}.stderr`), stderr)
  }

  /** Runs git and expects it to succeed; returns what it prints on stdout, without the last line feed. */
  git(cwd: string, ...args: string[]): string {
    const ran = this.run(cwd, "git", args)
    if (ran.status !== 0) throw new Error(`git ${args.join(" ")} exited ${ran.status}\n${ran.stdout}${ran.stderr}`)
    return ran.stdout.replace(/\n$/, "")
  }

  /** Runs git and returns everything, whatever its exit status. */
  tryGit(cwd: string, ...args: string[]): Ran {
    return this.run(cwd, "git", args)
  }

  /** Runs the program under test. */
  gitsign(cwd: string, ...args: string[]): Ran {
    return this.run(cwd, this.program, args)
  }

  /** A new repository in a folder of this name. */
  repository(name: string, ...initArguments: string[]): string {
    const path = join(this.root, name)
    mkdirSync(path, { recursive: true })
    this.git(path, "init", "--quiet", ...initArguments)
    return path
  }

  /** Writes a file, adds it and commits it, signed; returns the commit's id. */
  commit(repository: string, file: string, content: string, ...args: string[]): string {
    writeFileSync(join(repository, file), content)
    this.git(repository, "add", file)
    this.git(repository, "commit", "--quiet", "-m", `change ${file}`, ...args)
    return this.git(repository, "rev-parse", "HEAD")
  }

  close(): void {
    rmSync(this.root, { recursive: true, force: true })
  }
}

/** What git says of a commit's signature: letter, trust, key, fingerprint and signer, through `git log`. */
export function statusOf(
  workspace: Workspace,
  repository: string,
  revision = "HEAD",
): Record<"letter" | "trust" | "key" | "fingerprint" | "signer", string> {
  const [letter = "", trust = "", key = "", fingerprint = "", signer = ""] = workspace
    .git(repository, "log", "-1", "--format=%G?%n%GT%n%GK%n%GF%n%GS", revision)
    .split("\n")
  return { letter, trust, key, fingerprint, signer }
}
