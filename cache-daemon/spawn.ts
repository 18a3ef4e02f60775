/**
 * Starts the agent as a process of its own, which outlives the commit that needed it and takes nothing of it along.
 *
 * @module
 */

import { type ChildProcess, type StdioOptions, spawn } from "node:child_process"
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs"
import { ERROR_CODES, type ErrorCode, GitsignError, messageOf } from "../src/errors.ts"

/** How long an agent may take until it listens, in milliseconds. */
const START_MS = 10_000

/** How much of what it says instead is shown, in characters. */
const MAX_REPORT = 2000

/** How to run the agent. */
export interface AgentCommand {
  readonly command: string
  /** They MUST make it print `ok` and a line feed on stdout when it listens, or one line, best a {@link failureLine}, that says why not. */
  readonly args: readonly string[]
  /** For messages. */
  readonly socket: string
  /** The environment of the caller, of which the agent gets {@link agentEnvironment}. */
  readonly env: NodeJS.ProcessEnv
}

/**
 * What an agent needs of an environment. It is a list of what may pass: a commit's environment holds tokens (SIGSTORE_ID_TOKEN,
 * ACTIONS_ID_TOKEN_REQUEST_TOKEN, whatever a CI system adds next year) that an agent would keep, readable in /proc, for hours,
 * and git's own variables, which would point it at one repository.
 */
const KEPT: ReadonlySet<string> = new Set([
  ...["HOME", "PATH", "USER", "LOGNAME", "LANG", "TMPDIR"],
  ...["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS"],
  ...["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"],
  ...["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"],
])
const KEPT_PREFIX = /^(LC|XDG)_/

/** Set for the agent: its stdout is read by the one who started it, and by nobody else. */
const STARTED_BY = "GITSIGN_AGENT_STARTER"

/** Whether this process is an agent that {@link startAgent} has started, and waits for on its stdout. */
export const isAwaited = (env: NodeJS.ProcessEnv): boolean => env[STARTED_BY] === "waits"

/** The line by which an agent tells its starter why it does not start. */
export const failureLine = ({ code, message, hint = "" }: GitsignError): string =>
  `${[code, message, hint].map((text) => text.replace(/[\t\r\n]+/g, " ")).join("\t")}\n`

/** What such a line says; undefined for any other line. */
function readFailure(line: string): GitsignError | undefined {
  const [code = "", message, hint] = line.split("\t")
  if (message === undefined || !Object.hasOwn(ERROR_CODES, code)) return undefined
  return new GitsignError(code as ErrorCode, `the agent did not start: ${message}`, hint ? { hint } : {})
}

/**
 * The path of the program that runs, as the system knows it: Linux says so when another file has taken its place, as at an upgrade,
 * and then that one is meant.
 */
export function currentProgram(path: string): string {
  const replaced = path.replace(/ \(deleted\)$/, "")
  return existsSync(path) ? path : replaced
}

/**
 * What an agent's runtime is told. The last tier of bun's compiler takes megabytes for code that waits for the network and for
 * cryptography anyway; Node does not look at it (WebKit: JavaScriptCore/runtime/OptionsList.h, useFTLJIT).
 */
export const RUNTIME_SETTINGS: Readonly<Record<string, string>> = { BUN_JSC_useFTLJIT: "0" }

/** The environment of an agent: what may pass of its starter's, and what its runtime is told. */
export function agentEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => KEPT.has(name) || KEPT_PREFIX.test(name))
  return { ...Object.fromEntries(kept), ...RUNTIME_SETTINGS }
}

/**
 * Starts an agent and waits until it listens, at most 10 s. It has its own session, so that neither Ctrl-C nor the end of the terminal
 * reaches it, the root as its working directory, so that it holds no repository and no home, and no descriptor of the caller, so that
 * nobody waits for one to be closed.
 *
 * @throws what the agent ended with; ERR_AGENT when it did not say, and on Windows, where there is none
 */
export async function startAgent({ command, args, socket, env }: AgentCommand): Promise<void> {
  if (process.platform === "win32") throw new GitsignError("ERR_AGENT", "the signing agent does not run on Windows yet")
  const said = await run(currentProgram(command), args, env)
  if (said === "ok") return
  const failure = readFailure(said)
  if (failure !== undefined) throw failure
  throw new GitsignError("ERR_AGENT", `the agent for ${socket} did not start: ${said}`, {
    hint: "see what is wrong with: gitsign agent start --foreground",
  })
}

/** The first line that the agent prints, or why it printed none. */
async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const leaks = inheritableDescriptors()
  const nothing = leaks.length > 0 ? openSync("/dev/null", "r+") : undefined
  try {
    const stdio: StdioOptions = ["ignore", "pipe", "ignore", ...covers(leaks, nothing)]
    const options = { cwd: "/", env: { ...agentEnvironment(env), [STARTED_BY]: "waits" }, detached: true, stdio }
    return await firstLine(spawn(command, args, options), command)
  } catch (error) {
    return startError(error, command)
  } finally {
    if (nothing !== undefined) closeSync(nothing)
  }
}

function startError(error: unknown, command: string): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  if (code === "ENOENT") return `there is no program ${command}`
  return code === "EACCES" ? `this user may not run ${command}` : messageOf(error)
}

function firstLine(child: ChildProcess, command: string): Promise<string> {
  return new Promise((done) => {
    let output = ""
    const timer = setTimeout(() => {
      child.kill("SIGKILL")
      end(`it said nothing for ${START_MS / 1000} s`)
    }, START_MS)
    const end = (said: string): void => {
      clearTimeout(timer)
      child.stdout?.destroy()
      child.unref()
      done(said)
    }
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      output = (output + chunk).slice(0, MAX_REPORT)
      if (output.includes("\n")) end(output.split("\n", 1)[0] ?? "")
    })
    child.on("error", (error) => end(startError(error, command)))
    child.on("close", (status, signal) => end(output.trim() || `it ended with ${signal ?? `status ${status}`}`))
  })
}

/**
 * The descriptors above stderr that a child would inherit. Node closes those only that it opened itself and, as it starts, those
 * up to the first gap; the pipe that some other program waits on at 250 would stay open as long as the agent lives. bun closes all,
 * and so does macOS.
 */
function inheritableDescriptors(): number[] {
  if (process.platform !== "linux" || "Bun" in globalThis) return []
  try {
    return readdirSync("/proc/self/fd").map(Number).filter(isInheritable)
  } catch {
    return []
  }
}

const O_CLOEXEC = 0o2000000

/** Higher ones are left alone: covering them takes a list as long as their number. */
const MAX_COVERED = 4096

function isInheritable(fd: number): boolean {
  if (fd <= 2 || fd > MAX_COVERED) return false
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0"
    return (Number.parseInt(flags, 8) & O_CLOEXEC) === 0
  } catch {
    // It was the one that listed the directory.
    return false
  }
}

/** One entry for each descriptor from 3 on that puts /dev/null over those that would leak. */
const covers = (leaks: readonly number[], nothing: number | undefined): (number | "ignore")[] =>
  Array.from({ length: Math.max(2, ...leaks) - 2 }, (_, index) =>
    nothing !== undefined && leaks.includes(index + 3) ? nothing : "ignore",
  )
