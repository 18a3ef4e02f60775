/**
 * Programs that open an address in a browser: the platform's own, or one that is configured.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process"
import { win32 } from "node:path"

/** How long a program that opens browsers is watched; one that runs longer has become, or waits for, the browser itself. */
const OPENER_WATCH_MS = 3000

/**
 * Opens an address with the platform's own browser. Resolves when that seems to have worked, three seconds later at the latest.
 *
 * @throws Error that says what could not be started, or gave up at once
 */
export async function openDefaultBrowser(loginUrl: string): Promise<void> {
  const { default: open } = await import("open")
  const name = "the program that opens browsers"
  const opener = await open(loginUrl).catch((cause: unknown) => Promise.reject(cannotStart(name, cause)))
  await watch(opener, name)
}

/**
 * Opens an address with this command, which holds it as one of its words; no shell sees it. Resolves as {@link openDefaultBrowser}.
 *
 * @throws Error as {@link openDefaultBrowser}
 */
export async function openWithCommand([program = "", ...args]: readonly string[]): Promise<void> {
  const name = "the command of gitsign.urlOpener"
  let opener: ChildProcess
  try {
    opener = spawn(program, args, { detached: true, stdio: "ignore", windowsHide: true })
  } catch (cause) {
    throw cannotStart(name, cause)
  }
  opener.unref()
  await watch(opener, name, isExplorer(program))
}

/** Windows' Explorer, also from WSL, ends with 1 whether or not it has opened the address. */
const isExplorer = (program: string): boolean => /^explorer(\.exe)?$/i.test(win32.basename(program))

/** Whether the program that was to open a browser could be started at all: what ends with an error may have opened one all the same. */
export const wasStarted = (error: unknown): boolean => error instanceof Error && error.cause === undefined

/** MUST be called at once: an error that nobody listens for yet ends the process. */
function watch(opener: ChildProcess, name: string, isAnyStatusGood = false): Promise<void> {
  return new Promise((resolve, reject) => {
    const ended = (status: number | null): void =>
      status === 0 || isAnyStatusGood ? resolve() : reject(new Error(`${name} ended with ${status ?? "a signal"}`))
    opener.once("error", (cause) => reject(cannotStart(name, cause)))
    opener.once("exit", ended)
    if (opener.exitCode !== null) ended(opener.exitCode)
    setTimeout(resolve, OPENER_WATCH_MS).unref()
  })
}

/** The system's own words differ by what this runs on; its code does not. */
function cannotStart(name: string, cause: unknown): Error {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? ` (${cause.code})` : ""
  return new Error(`${name} cannot be started${code}`, { cause })
}
