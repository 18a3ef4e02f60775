/**
 * The sandbox as a process of its own: starting it, asking it how it is, and stopping it.
 *
 * @module
 */

import { spawn } from "node:child_process"
import { open } from "node:fs/promises"
import { request } from "node:http"
import { join, resolve } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { GitsignError, messageOf } from "../errors.ts"
import { type SandboxStatus, STATUS_PATH, STOP_PATH } from "./control.ts"
import { HOST } from "./http-server.ts"
import { openSandboxFiles, type SandboxFiles } from "./sandbox-files.ts"
import { prepareDirectory, systemError } from "./state.ts"

/** How long a sandbox on this machine may take to answer, to start and to stop; in milliseconds. */
const ANSWER_MS = 5000
const START_MS = 30_000
const STOP_MS = 10_000

/** What the daemon has to say, in its directory. */
const LOG_FILE = "sandbox.log"

/** The first line on the standard output of a daemon: whether it runs, or why not. */
export type DaemonReport =
  | { readonly ok: true }
  | { readonly ok: false; readonly message: string; readonly hint?: string }

/** A sandbox of a directory and, when it runs, what it says of itself. */
export interface SandboxView {
  readonly files: SandboxFiles
  readonly status: SandboxStatus | undefined
}

/**
 * Looks at the sandbox of a directory; undefined when there is none.
 *
 * @throws ERR_SANDBOX when its state is damaged
 */
export async function viewSandbox(directory: string): Promise<SandboxView | undefined> {
  const files = await openSandboxFiles(directory)
  return files && { files, status: await askStatus(files) }
}

interface Identified extends SandboxFiles {
  readonly instance: string
}

/** What the sandbox answers, or undefined when nothing or something else is on its port. */
async function askStatus(files: Identified): Promise<SandboxStatus | undefined> {
  try {
    const answer = await call(files, "GET", STATUS_PATH)
    const status = JSON.parse(answer.body) as SandboxStatus
    return answer.status === 200 && status.instance === files.instance ? status : undefined
  } catch {
    return undefined
  }
}

/** One request over loopback, past every proxy that the environment may name. */
function call(
  files: SandboxFiles,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; body: string }> {
  return new Promise((done, fail) => {
    const options = {
      host: HOST,
      port: Number(new URL(files.urls.fulcio).port),
      method,
      path,
      headers,
      agent: false as const,
    }
    const outgoing = request(options, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        body += chunk
      })
      response.on("end", () => done({ status: response.statusCode ?? 0, body }))
      response.on("error", fail)
    })
    outgoing.setTimeout(ANSWER_MS, () => outgoing.destroy(new Error("no answer")))
    outgoing.on("error", fail)
    outgoing.end()
  })
}

/**
 * Starts the sandbox of a directory in a process that outlives this one, and waits until it answers.
 *
 * @param command how to run this program as a daemon for that directory: the executable, then its arguments. It MUST print a
 *   {@link DaemonReport} in JSON as its first line
 * @returns whether it was started; false when it ran already
 * @throws ERR_SANDBOX when it does not come up
 */
export async function startDaemon(directory: string, command: readonly string[]): Promise<boolean> {
  if ((await viewSandbox(directory))?.status !== undefined) return false
  await prepareDirectory(directory)
  const report = await runDaemon(directory, command)
  if (report.ok) return true
  // Of two that start at once, one finds the port taken by the other.
  if ((await viewSandbox(directory))?.status !== undefined) return false
  throw new GitsignError("ERR_SANDBOX", report.message, {
    hint: report.hint ?? `the sandbox's own messages are in ${join(directory, LOG_FILE)}`,
  })
}

async function runDaemon(directory: string, [program, ...args]: readonly string[]): Promise<DaemonReport> {
  if (program === undefined) throw new RangeError("no program")
  const path = join(directory, LOG_FILE)
  const log = await open(path, "a", 0o600).catch((cause: unknown) => {
    throw systemError(`${path} cannot be written`, cause)
  })
  try {
    // The directory of the caller may have to be unmounted or removed while the daemon runs.
    const cwd = resolve(directory)
    const child = spawn(program, args, { cwd, detached: true, windowsHide: true, stdio: ["ignore", "pipe", log.fd] })
    const { stdout } = child
    if (stdout === null) throw new TypeError("the daemon has no standard output")
    const report = await new Promise<DaemonReport>((done) => {
      let output = ""
      const timer = setTimeout(() => {
        child.kill()
        done({ ok: false, message: `the sandbox did not start within ${START_MS / 1000} s` })
      }, START_MS)
      stdout.setEncoding("utf8")
      stdout.on("data", (chunk: string) => {
        output += chunk
        if (output.includes("\n")) done(parseReport(output))
      })
      child.on("error", (error) =>
        done({ ok: false, message: `the sandbox could not be started: ${messageOf(error)}` }),
      )
      child.on("close", (status) =>
        done({ ok: false, message: `the sandbox ended with status ${status} as it started` }),
      )
      child.on("close", () => clearTimeout(timer))
      stdout.on("data", () => clearTimeout(timer))
    })
    stdout.destroy()
    child.unref()
    return report
  } finally {
    await log.close()
  }
}

function parseReport(output: string): DaemonReport {
  try {
    return JSON.parse(output.split("\n", 1)[0] ?? "") as DaemonReport
  } catch {
    return { ok: false, message: "the sandbox printed something else than its report" }
  }
}

/**
 * Stops the sandbox of a directory and waits until it has closed its logs.
 *
 * @returns whether one ran
 * @throws ERR_SANDBOX when it does not stop
 */
export async function stopDaemon(directory: string): Promise<boolean> {
  const files = await openSandboxFiles(directory)
  if (files === undefined || (await askStatus(files)) === undefined) return false
  const answer = await call(files, "POST", STOP_PATH, { authorization: `Bearer ${files.controlSecret}` }).catch(
    () => undefined,
  )
  if (answer !== undefined && answer.status !== 200) {
    throw new GitsignError("ERR_SANDBOX", `the sandbox of ${directory} refused to stop (status ${answer.status})`)
  }
  for (let waited = 0; waited < STOP_MS; waited += 20) {
    if ((await askStatus(files)) === undefined) return true
    await wait(20)
  }
  throw new GitsignError("ERR_SANDBOX", `the sandbox of ${directory} did not stop within ${STOP_MS / 1000} s`)
}
