/**
 * Asks the person at the desktop for a yes or a no, with the dialog program that the desktop has: zenity(1), kdialog,
 * or osascript(1) on macOS.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process"
import { accessSync, constants, statSync } from "node:fs"
import { isAbsolute, join } from "node:path"
import { GitsignError } from "../src/errors.ts"

/** A dialog that nobody answers in this time has been answered with no. In milliseconds. */
const ANSWER_MS = 60_000

/** A dialog that does not close when it is told to is killed. In milliseconds. */
const CLOSE_MS = 2_000

/**
 * Questions that may wait for the dialog in front of them. Another host gets one: a row of its dialogs would keep a person
 * busy until one of them is clicked away with a yes.
 */
const MAX_WAITING = { local: 32, forwarded: 1 } as const

/** What a program that has ended may still have in its pipe is read for this long. In milliseconds. */
const DRAIN_MS = 500

const MAX_OUTPUT = 1024

/** How one dialog program is asked, and what its explicit yes is. */
interface DialogProgram {
  readonly name: string
  arguments(text: string): readonly string[]
  isYes(status: number, output: string): boolean
}

/** `text` MUST begin with a line of our own: the programs take it for neither an option nor markup then. */
const ZENITY: DialogProgram = {
  name: "zenity",
  arguments: (text) => [
    "--question",
    "--title=gitsign",
    // Markup would be read, and backslashes with it.
    "--no-markup",
    // A line that is wrapped could look like two.
    "--no-wrap",
    "--default-cancel",
    "--ok-label=Sign",
    "--cancel-label=Do not sign",
    `--text=${text}`,
  ],
  isYes: (status) => status === 0,
}

/** Not `--yesno`: its Yes is the default button and cannot be made another one, so that a stray Enter would sign. */
const KDIALOG: DialogProgram = {
  name: "kdialog",
  arguments: (text) => [
    "--title",
    "gitsign",
    "--radiolist",
    // It reads `\n` as a line feed and `\\` as a backslash.
    text.replaceAll("\\", "\\\\"),
    ...["refuse", "Do not sign", "on"],
    ...["sign", "Sign", "off"],
  ],
  isYes: (status, output) => status === 0 && output === "sign\n",
}

/** The text is an argument of the script and no part of it. */
const OSASCRIPT: DialogProgram = {
  name: "osascript",
  arguments: (text) => [
    ...["-e", "on run argv"],
    "-e",
    'return button returned of (display dialog (item 1 of argv) with title "gitsign" with icon caution ' +
      'buttons {"Do not sign", "Sign"} default button "Do not sign" cancel button "Do not sign" giving up after 60)',
    ...["-e", "end run"],
    text,
  ],
  isYes: (status, output) => status === 0 && output === "Sign\n",
}

/**
 * What a dialog needs of its surroundings. Not ZENITY_OK and its kin, which change what zenity exits with, nor what
 * makes it load code, nor any token.
 */
const ENVIRONMENT = new RegExp(
  "^(DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|DBUS_SESSION_BUS_ADDRESS|XDG_\\w+|HOME|USER|LOGNAME|PATH|TMPDIR|LANG|LC_\\w+|" +
    "DESKTOP_SESSION|KDE_\\w+|GDK_(SCALE|DPI_SCALE|BACKEND))$",
)

/**
 * Finds the dialog program of this desktop on the PATH of `env`, once: what the question runs later is this file.
 *
 * @returns undefined where there is no such program or no display to show it on
 */
export function findDesktopPrompt(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): DesktopPrompt | undefined {
  const hasDisplay = platform === "darwin" || Boolean(env.DISPLAY || env.WAYLAND_DISPLAY)
  if (platform === "win32" || !hasDisplay) return undefined
  for (const program of platform === "darwin" ? [OSASCRIPT] : [ZENITY, KDIALOG]) {
    const path = findOnPath(program.name, env.PATH ?? "")
    if (path !== undefined) return new DesktopPrompt(program, path, env)
  }
  return undefined
}

/** A relative folder on PATH would mean a program of whatever directory the agent stands in. */
function findOnPath(name: string, path: string): string | undefined {
  const candidates = path.split(":").filter(isAbsolute)
  return candidates.map((folder) => join(folder, name)).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Whose request a question is about: of this machine, or of another one that a socket is forwarded to. */
export type QuestionSource = "local" | "forwarded"

/** Shows one dialog at a time; the questions behind it wait their turn, those of this machine first. */
export class DesktopPrompt {
  /** The absolute path of the program. */
  readonly path: string
  readonly #program: DialogProgram
  readonly #env: NodeJS.ProcessEnv
  #isAsking = false
  /** The forwarded ones are the last. */
  readonly #waiting: { readonly from: QuestionSource; readonly begin: () => void }[] = []

  constructor(program: DialogProgram, path: string, env: NodeJS.ProcessEnv) {
    this.#program = program
    this.path = path
    this.#env = Object.fromEntries(Object.entries(env).filter(([name]) => ENVIRONMENT.test(name)))
    // In the C locale the programs refuse arguments that are not ASCII.
    if (!/utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || "")) this.#env.LC_ALL = "C.UTF-8"
  }

  /**
   * Shows `text` and waits for the answer, at most 60 seconds once it is on the screen. The text MUST be made by
   * `describePayload`: plain lines, the first of them without a word of others.
   *
   * @param signal when aborted, the dialog is closed and the answer is no
   * @param from MUST be "forwarded" for whatever came through a restricted socket
   * @returns true for an explicit yes only; false for no, a closed dialog, or one that could not be shown
   * @throws ERR_AGENT_REFUSED, without having asked, when 32 questions of this machine wait already, or one forwarded one
   */
  async ask(text: string, signal: AbortSignal, from: QuestionSource = "local"): Promise<boolean> {
    if (!(await this.#turn(signal, from))) return false
    if (!signal.aborted) return this.#show(text, signal)
    this.#next()
    return false
  }

  /** Resolves to true when nothing else is on the screen; false when the client is gone before that. */
  #turn(signal: AbortSignal, from: QuestionSource): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false)
    if (!this.#isAsking) {
      this.#isAsking = true
      return Promise.resolve(true)
    }
    if (this.#waiting.filter((one) => one.from === from).length >= MAX_WAITING[from]) {
      const hint = "answer the dialogs on the screen, then run the command again"
      throw new GitsignError("ERR_AGENT_REFUSED", "too many questions are waiting for an answer", { hint })
    }
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(question), 1)
        resolve(false)
      }
      const begin = (): void => {
        signal.removeEventListener("abort", leave)
        resolve(true)
      }
      const question = { from, begin }
      const forwarded = this.#waiting.findIndex((one) => one.from === "forwarded")
      this.#waiting.splice(from === "local" && forwarded >= 0 ? forwarded : this.#waiting.length, 0, question)
      signal.addEventListener("abort", leave, { once: true })
    })
  }

  #next(): void {
    const question = this.#waiting.shift()
    if (question === undefined) this.#isAsking = false
    else question.begin()
  }

  /** The turn ends when the dialog is gone from the screen, which may be after the answer. */
  #show(text: string, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      let killing: NodeJS.Timeout | undefined
      let child: ChildProcess | undefined
      let isOver = false
      const refuse = (): void => {
        resolve(false)
        child?.kill("SIGTERM")
        killing ??= setTimeout(() => child?.kill("SIGKILL"), CLOSE_MS)
      }
      const limit = setTimeout(refuse, ANSWER_MS)
      signal.addEventListener("abort", refuse)
      const end = (answer: boolean): void => {
        // A program that cannot be started is told twice.
        if (isOver) return
        isOver = true
        clearTimeout(limit)
        clearTimeout(killing)
        signal.removeEventListener("abort", refuse)
        // After a refusal this changes nothing: a promise keeps its first answer.
        resolve(answer)
        this.#next()
      }
      try {
        child = this.#start(text, end)
      } catch {
        end(false)
      }
    })
  }

  #start(text: string, end: (answer: boolean) => void): ChildProcess {
    const child = spawn(this.path, this.#program.arguments(text), {
      env: this.#env,
      cwd: "/",
      stdio: ["ignore", "pipe", "ignore"],
    })
    // First of all: where no descriptor is left for the pipe, there is no stdout and this is what is told.
    child.on("error", () => end(false))
    const output: Buffer[] = []
    let size = 0
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_OUTPUT) output.push(chunk)
    })
    // A process that it left behind may hold its stdout.
    child.on("exit", () => setTimeout(() => child.stdout.destroy(), DRAIN_MS).unref())
    child.on("close", (status) =>
      end(status !== null && this.#program.isYes(status, Buffer.concat(output).toString("utf8"))),
    )
    return child
  }
}
