/**
 * `gitsign sandbox`: a local Sigstore for trying, for tests and for machines without a network.
 *
 * @module
 */

import { join, resolve } from "node:path"
import { Command, InvalidArgumentError, Option } from "commander"
import { GitsignError, isGitsignError, messageOf } from "../errors.ts"
import type { DaemonReport, SandboxView } from "../sandbox/daemon.ts"
import type { SandboxFiles } from "../sandbox/sandbox-files.ts"
import type { TokenOptions } from "../sandbox/token.ts"
import { homeDirectory } from "../services/home-directory.ts"
import { helpVerb, withExamples } from "./help.ts"
import { type CommandIo, tellStarter } from "./io.ts"
import { thisProgram } from "./this-program.ts"

interface DirectoryOptions {
  readonly dir?: string
}

interface StartOptions extends DirectoryOptions {
  readonly foreground?: boolean
  readonly daemon?: boolean
}

interface EnvOptions extends DirectoryOptions {
  readonly token?: string
  readonly timestamp?: boolean
  readonly shell: Shell
}

interface TokenFlags extends DirectoryOptions {
  readonly unverified?: boolean
  readonly ttl?: number
  readonly audience?: string
  readonly subject?: string
  readonly github?: string
  readonly claim?: Readonly<Record<string, string>>
}

const SHELLS = ["sh", "fish", "powershell"] as const
type Shell = (typeof SHELLS)[number]

/** The verb `sandbox` with its own verbs. */
export function sandboxCommand(io: CommandIo): Command {
  const command = new Command("sandbox")
    .description("run a local Sigstore for trying and testing")
    .addCommand(startCommand(io))
    .addCommand(stopCommand(io))
    .addCommand(statusCommand(io))
    .addCommand(envCommand(io))
    .addCommand(tokenCommand(io))
    .addCommand(helpVerb("gitsign sandbox help token"))
    .helpCommand(false)
  return withExamples(command, [
    "gitsign sandbox start",
    'eval "$(gitsign sandbox env --token dev@example.com)"',
    'git commit -S -m "signed in the sandbox"',
    "gitsign sandbox stop",
  ])
}

const inDirectory = (command: Command): Command =>
  command.option(
    "--dir <directory>",
    "where the sandbox keeps its state (default: gitsign/sandbox in the state directory)",
  )

function startCommand(io: CommandIo): Command {
  const command = inDirectory(new Command("start"))
    .description("start the sandbox; the first start makes its keys")
    .option("--foreground", "stay in this terminal until Ctrl-C")
    .addOption(new Option("--daemon", "how the program starts itself").hideHelp())
    .action((options: StartOptions) => start(io, options))
  return withExamples(command, ["gitsign sandbox start", "gitsign sandbox start --dir /tmp/sandbox --foreground"])
}

async function start(io: CommandIo, options: StartOptions): Promise<void> {
  const directory = directoryOf(io, options)
  if (options.daemon) return runAsDaemon(io, directory)
  if (options.foreground) {
    return runUntilStopped(io, directory, ({ urls }) => {
      io.stdout(`the sandbox runs on ${urls.fulcio}\n`)
      io.stderr("gitsign: press Ctrl-C to stop it\n")
    })
  }
  const { startDaemon } = await import("../sandbox/daemon.ts")
  const { command, args } = thisProgram()
  const started = await startDaemon(directory, [command, ...args, "sandbox", "start", "--daemon", "--dir", directory])
  const { files } = await viewOf(directory)
  io.stdout(`the sandbox ${started ? "runs" : "runs already"} on ${files.urls.fulcio}\n`)
  io.stderr(`gitsign: hint: eval "$(gitsign sandbox env --token dev@example.com${dirFlag(options)})"\n`)
}

/** Serves until it is asked to stop. */
async function runUntilStopped(io: CommandIo, directory: string, ready: (files: SandboxFiles) => void): Promise<void> {
  const { startSandbox } = await import("../sandbox/sandbox.ts")
  const sandbox = await startSandbox({
    directory,
    log: (line) => io.stderr(`gitsign: ${new Date().toISOString()} ${line}\n`),
  })
  const signalled = new Promise<void>((done) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => done())
  })
  ready(sandbox)
  await sandbox.preload()
  await Promise.race([sandbox.stopped, signalled])
  await sandbox.close()
}

/** The process behind `sandbox start`: it tells the one that waits for it whether it runs, then goes on alone. */
async function runAsDaemon(io: CommandIo, directory: string): Promise<void> {
  const report = (value: DaemonReport): void => tellStarter(`${JSON.stringify(value)}\n`)
  let running = false
  try {
    await runUntilStopped(io, directory, () => {
      running = true
      report({ ok: true })
    })
  } catch (error) {
    if (!running) {
      const hint = isGitsignError(error) ? error.hint : undefined
      report({ ok: false, message: messageOf(error), ...(hint === undefined ? {} : { hint }) })
    }
    throw error
  }
}

function stopCommand(io: CommandIo): Command {
  const command = inDirectory(new Command("stop"))
    .description("stop the sandbox; its keys and logs stay")
    .action(async (options: DirectoryOptions) => {
      const { stopDaemon } = await import("../sandbox/daemon.ts")
      const stopped = await stopDaemon(directoryOf(io, options))
      io.stdout(stopped ? "the sandbox has stopped\n" : "the sandbox did not run\n")
    })
  return withExamples(command, ["gitsign sandbox stop"])
}

function statusCommand(io: CommandIo): Command {
  const command = inDirectory(new Command("status"))
    .description("tell whether the sandbox runs; exits 3 when it does not")
    .addOption(new Option("--format <format>", "how to tell").choices(["text", "json"]).default("text"))
    .action((options: DirectoryOptions & { format: "text" | "json" }) => status(io, options))
  return withExamples(command, ["gitsign sandbox status", "gitsign sandbox status --format json"])
}

async function status(io: CommandIo, options: DirectoryOptions & { format: "text" | "json" }): Promise<void> {
  const { viewSandbox } = await import("../sandbox/daemon.ts")
  const directory = directoryOf(io, options)
  const view = await viewSandbox(directory)
  if (options.format === "json") io.stdout(`${JSON.stringify(describe(directory, view), undefined, 2)}\n`)
  else if (view?.status !== undefined) {
    const { pid, started, entries } = view.status
    io.stdout(
      [
        `the sandbox runs on ${view.files.urls.fulcio}`,
        `directory  ${directory}`,
        `process    ${pid}, since ${started}`,
        `entries    ${entries.rekor} in Rekor, ${entries.ctLog} in the CT log`,
        "",
      ].join("\n"),
    )
  }
  if (view?.status === undefined) throw notRunning(directory, options)
}

const describe = (directory: string, view: SandboxView | undefined): unknown => ({
  running: view?.status !== undefined,
  directory,
  ...(view === undefined ? {} : { urls: view.files.urls, trustedRoot: view.files.trustedRootPath }),
  ...(view?.status === undefined
    ? {}
    : { pid: view.status.pid, started: view.status.started, entries: view.status.entries }),
})

function envCommand(io: CommandIo): Command {
  const command = inDirectory(new Command("env"))
    .description("print what points gitsign and the Go gitsign at the sandbox, for eval")
    .option("--token <email>", "export an identity token for this address too")
    .option("--timestamp", "have every signature timestamped")
    .addOption(new Option("--shell <shell>", "whose language to print").choices([...SHELLS]).default("sh"))
    .action((options: EnvOptions) => env(io, options))
  return withExamples(command, [
    'eval "$(gitsign sandbox env)"',
    'eval "$(gitsign sandbox env --token dev@example.com --timestamp)"',
    "gitsign sandbox env --shell fish | source",
  ])
}

async function env(io: CommandIo, options: EnvOptions): Promise<void> {
  const directory = directoryOf(io, options)
  const { files, status } = await viewOf(directory, options)
  const { timestampEnvironment } = await import("../sandbox/sandbox-files.ts")
  const lines = Object.entries(
    files.environment({
      timestamp: options.timestamp === true,
      ...(options.token === undefined ? {} : { token: { email: options.token } }),
    }),
  ).map(([name, value]) => assignment(options.shell, name, value))
  if (!options.timestamp) {
    lines.push("# for timestamps, or use --timestamp:")
    for (const [name, value] of Object.entries(timestampEnvironment(directory, files.urls))) {
      lines.push(`# ${assignment(options.shell, name, value)}`)
    }
  }
  io.stdout(`${lines.join("\n")}\n`)
  if (status === undefined)
    io.stderr(`gitsign: the sandbox does not run; start it with: gitsign sandbox start${dirFlag(options)}\n`)
}

/** One exported variable in a shell's language; the value stands for itself, whatever is in it. */
function assignment(shell: Shell, name: string, value: string): string {
  switch (shell) {
    case "sh":
      return `export ${name}='${value.replaceAll("'", "'\\''")}'`
    case "fish":
      return `set -gx ${name} '${value.replace(/['\\]/g, "\\$&")}'`
    case "powershell":
      return `$env:${name} = '${value.replaceAll("'", "''")}'`
  }
}

function tokenCommand(io: CommandIo): Command {
  const command = inDirectory(new Command("token"))
    .description("print an identity token of the sandbox, for scripts")
    .argument("[email]", "the address it is for (default: dev@example.com)")
    .option("--unverified", "say that the address is not verified")
    .option("--ttl <seconds>", "how long it lasts; negative: it expired so long ago (default: 3600)", parseSeconds)
    .option("--audience <name>", "another audience than sigstore")
    .option("--subject <subject>", "the sub claim; a URI without an address becomes the certificate's name")
    .option("--github <owner/name>", "be a GitHub Actions job of this repository")
    .option("--claim <name=value>", "set any claim; may be given again", collectClaim)
    .action(async (email: string | undefined, options: TokenFlags) => {
      const { files } = await viewOf(directoryOf(io, options), options)
      io.stdout(`${await files.token(tokenOptions(email, options))}\n`)
    })
  return withExamples(command, [
    "SIGSTORE_ID_TOKEN=$(gitsign sandbox token dev@example.com) git commit -S",
    "gitsign sandbox token --github example/project --claim ref=refs/tags/v1",
    "gitsign sandbox token dev@example.com --ttl -60",
  ])
}

function tokenOptions(email: string | undefined, flags: TokenFlags): TokenOptions {
  const { unverified, ttl, audience, subject, github, claim } = flags
  if (email !== undefined && github !== undefined) {
    throw new GitsignError("ERR_USAGE", "the token of a GitHub Actions job has no e-mail address")
  }
  return {
    ...(email === undefined ? {} : { email }),
    ...(unverified === undefined ? {} : { emailVerified: false }),
    ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
    ...(audience === undefined ? {} : { audience }),
    ...(subject === undefined ? {} : { subject }),
    ...(github === undefined ? {} : { github }),
    ...(claim === undefined ? {} : { claims: claim }),
  }
}

function parseSeconds(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new InvalidArgumentError("it has to be a whole number of seconds")
  return Number(text)
}

function collectClaim(text: string, claims: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError("it has to be NAME=VALUE")
  return { ...claims, [name]: value }
}

/** The sandbox's directory: the one that is named, or the one for this user (XDG Base Directory Specification). */
function directoryOf(io: CommandIo, { dir }: DirectoryOptions): string {
  if (dir !== undefined) return resolve(io.cwd, dir)
  const { XDG_STATE_HOME, LOCALAPPDATA } = io.env
  // The specification has relative paths ignored.
  if (XDG_STATE_HOME?.startsWith("/")) return join(XDG_STATE_HOME, "gitsign", "sandbox")
  if (process.platform === "win32" && LOCALAPPDATA) return join(LOCALAPPDATA, "gitsign", "sandbox")
  const home = io.env.HOME || homeDirectory(io.env)
  if (home !== undefined) return join(home, ".local", "state", "gitsign", "sandbox")
  throw new GitsignError("ERR_CONFIG", "there is no home directory to keep the sandbox in", {
    hint: "say where: --dir DIRECTORY",
  })
}

const dirFlag = ({ dir }: DirectoryOptions): string =>
  dir === undefined ? "" : ` --dir '${dir.replaceAll("'", "'\\''")}'`

async function viewOf(directory: string, options: DirectoryOptions = {}): Promise<SandboxView> {
  const { viewSandbox } = await import("../sandbox/daemon.ts")
  const view = await viewSandbox(directory)
  if (view !== undefined) return view
  throw new GitsignError("ERR_SANDBOX", `there is no sandbox in ${directory}`, { hint: startHint(options) })
}

const notRunning = (directory: string, options: DirectoryOptions): GitsignError =>
  new GitsignError("ERR_SANDBOX", `the sandbox of ${directory} does not run`, { hint: startHint(options) })

const startHint = (options: DirectoryOptions): string => `start it with: gitsign sandbox start${dirFlag(options)}`
