/**
 * An identity token that a command prints. No shell sees the command; it gets no input, and its time and output are bounded.
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"
import { printable } from "../answer.ts"
import type { Environment } from "./provider.ts"

/** How to run a command that prints a token. */
export interface TokenCommandOptions {
  /** The program, looked up in PATH when it is only a name, and its arguments. */
  readonly command: readonly string[]
  /** What it is called in messages; its words are not shown, because they may hold a secret. */
  readonly name: string
  /** The action that mends a failure. */
  readonly hint: string
  readonly env: Environment
  /** This process's own directory when undefined. */
  readonly cwd?: string | undefined
  /** In milliseconds; 60 000 when undefined. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** More than any token; in bytes. */
const MAX_OUTPUT = 64 * 1024
const MAX_ERROR_OUTPUT = 16 * 1024

/**
 * Runs the command and returns what it printed, without the white space around it; not yet looked at.
 *
 * @throws ERR_CONFIG when the program cannot be started; its cause is the system's error
 * @throws ERR_OIDC when it fails, prints too much or takes too long; ERR_TOKEN when it prints nothing; ERR_CANCELLED on the signal
 */
export async function commandToken(options: TokenCommandOptions): Promise<string> {
  const { command, name, hint, env, cwd, signal } = options
  const [program = "", ...args] = command
  if (signal?.aborted) throw cancelled()
  const { spawn } = await import("node:child_process")
  const cannotStart = (cause: unknown) => new GitsignError("ERR_CONFIG", `${name} cannot be started`, { cause, hint })
  const start = () => {
    try {
      return spawn(program, args, { cwd, env: { ...env }, stdio: ["ignore", "pipe", "pipe"], windowsHide: true })
    } catch (cause) {
      // An empty name, or a word with a zero byte.
      throw cannotStart(cause)
    }
  }
  return new Promise((resolve, reject) => {
    const child = start()
    const [output, errors] = [new Collected(MAX_OUTPUT), new Collected(MAX_ERROR_OUTPUT)]
    let [isOver, isKilled] = [false, false]
    const seconds = (options.timeoutMs ?? 60_000) / 1000

    const end = (finish: () => void): void => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      signal?.removeEventListener("abort", onAbort)
      finish()
    }
    const stop = (error: GitsignError): void =>
      end(() => {
        isKilled = true
        child.kill()
        // A command that does not listen, and what it has started, must not keep this process waiting.
        setTimeout(() => child.kill("SIGKILL"), 1000).unref()
        child.stdout.destroy()
        child.stderr.destroy()
        child.unref()
        reject(error)
      })
    const onAbort = (): void => stop(cancelled())
    const timer = setTimeout(
      () => stop(new GitsignError("ERR_OIDC", `${name} did not finish within ${seconds} s`, { hint })),
      seconds * 1000,
    )
    signal?.addEventListener("abort", onAbort, { once: true })

    child.stdout.on("data", (chunk: Buffer) => {
      if (output.add(chunk)) return
      stop(new GitsignError("ERR_OIDC", `${name} printed more than 64 KiB, which is no identity token`, { hint }))
    })
    child.stderr.on("data", (chunk: Buffer) => errors.add(chunk))
    child.on("error", (cause) => {
      // One that cannot be killed is reported here too; then the reason is known already.
      if (!isKilled) end(() => reject(cannotStart(cause)))
    })
    const finished = (status: number | null, signalName: NodeJS.Signals | null): void =>
      end(() => {
        child.stdout.destroy()
        child.stderr.destroy()
        const said = firstLine(errors.text())
        if (status !== 0) {
          const how = signalName === null ? `failed with status ${status}` : `was ended by ${signalName}`
          const message = `${name} ${how}${said === "" ? "" : `: ${said}`}`
          return reject(new GitsignError("ERR_OIDC", message, { hint }))
        }
        const token = output.text().trim()
        if (token !== "") return resolve(token)
        const message = `${name} printed no identity token${said === "" ? "" : `: ${said}`}`
        reject(new GitsignError("ERR_TOKEN", message, { hint }))
      })
    child.on("close", finished)
    // What it has started may live on and keep its output open; that is no reason to wait for it.
    child.on("exit", (status, signalName) => setTimeout(finished, 500, status, signalName).unref())
  })
}

/**
 * Runs `gitsign.tokenCommand`; its output is not yet looked at.
 *
 * @throws what {@link commandToken} throws; ERR_CONFIG when there is no command
 */
export async function execToken(options: Omit<TokenCommandOptions, "name" | "hint">): Promise<string> {
  if (options.command.length === 0) {
    throw new GitsignError("ERR_CONFIG", "gitsign.tokenProvider is exec, and gitsign.tokenCommand is not set", {
      hint: "name the command that prints a token: git config gitsign.tokenCommand 'COMMAND ARGUMENT'",
    })
  }
  const hint = "run the command of gitsign.tokenCommand by itself; it must print one identity token and nothing else"
  return commandToken({ ...options, name: "gitsign.tokenCommand", hint })
}

const cancelled = (): GitsignError => new GitsignError("ERR_CANCELLED", "getting the identity token was cancelled")

/** The first line with something in it, fit to be shown: tokens in it are masked. */
const firstLine = (text: string): string => printable(text.split("\n").find((line) => line.trim() !== "") ?? "")

/** Output up to a size; what is over it is dropped. */
class Collected {
  readonly #max: number
  readonly #chunks: Buffer[] = []
  #size = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Whether everything so far had room. */
  add(chunk: Buffer): boolean {
    this.#size += chunk.length
    if (this.#size <= this.#max) this.#chunks.push(chunk)
    return this.#size <= this.#max
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString("utf8")
  }
}
