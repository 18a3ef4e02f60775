/**
 * Starts what talks to the native keyring module.
 *
 * A call of that module that waits for a person, or for a bus that does not answer, cannot be broken off, and Node does not end
 * while one is under way. So under Node it is in a process that can be killed. The standalone executable does end, and keeps it in
 * a thread, which starts sooner.
 *
 * @module
 */

import { fork } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { messageOf } from "../errors.ts"
import { type KeyringReply, type KeyringRequest, perform } from "./native.ts"

/** What is sent to the helper. */
export interface HelperRequest {
  readonly seq: number
  readonly request: KeyringRequest
}

/** What the helper sends back. */
export interface HelperReply {
  readonly seq: number
  readonly reply: KeyringReply
}

/** A helper that runs. It keeps this process alive only while something is asked. */
export interface Helper {
  /** One request; the caller bounds the wait. Never rejects. */
  readonly ask: (request: KeyringRequest) => Promise<KeyringReply>
  /** Ends it at once; what is asked then, and afterwards, is not answered. */
  readonly kill: () => void
}

/** What both kinds of helper are underneath. */
interface Peer {
  readonly send: (message: HelperRequest) => void
  readonly ref: (wanted: boolean) => void
  readonly kill: () => void
}

/** Starts the helper: `file`, or what the build has put beside this file; from source without either, everything is done in this process. */
export function startHelper(file: URL | undefined): Helper {
  if ("Bun" in globalThis) return converse((events) => threadPeer(events))
  const beside = file ?? new URL("./keyring-helper.mjs", import.meta.url)
  if (!existsSync(beside)) return { ask: perform, kill: () => undefined }
  return converse((events) => processPeer(fileURLToPath(beside), events))
}

interface Events {
  readonly reply: (message: HelperReply) => void
  readonly gone: (why: string) => void
}

/** The question on the screen must not outlive the program that asked it. */
const running = new Set<() => void>()
const killAll = (): void => {
  for (const kill of running) kill()
}

function converse(start: (events: Events) => Peer): Helper {
  const waiting = new Map<number, (reply: KeyringReply) => void>()
  let seq = 0
  let ended: string | undefined
  const gone = (why: string): void => {
    ended ??= why
    for (const resolve of waiting.values()) resolve({ trouble: "failed", message: ended })
    waiting.clear()
  }
  const reply = (message: HelperReply): void => {
    waiting.get(message.seq)?.(message.reply)
    waiting.delete(message.seq)
    if (waiting.size === 0) peer.ref(false)
  }
  const peer = start({ reply, gone })
  peer.ref(false)
  const kill = (): void => peer.kill()
  if (running.size === 0) process.once("exit", killAll)
  running.add(kill)
  return {
    ask: (request) => {
      if (ended !== undefined) return Promise.resolve({ trouble: "failed", message: ended })
      return new Promise((resolve) => {
        seq += 1
        waiting.set(seq, resolve)
        peer.ref(true)
        peer.send({ seq, request })
      })
    },
    kill: () => {
      running.delete(kill)
      if (running.size === 0) process.off("exit", killAll)
      kill()
      gone("the keyring is not asked any more")
    },
  }
}

function processPeer(file: string, { reply, gone }: Events): Peer {
  const child = fork(file, [], { execArgv: [], stdio: ["ignore", "ignore", "ignore", "ipc"] })
  child.on("message", (message: HelperReply) => reply(message))
  child.on("error", (error) => gone(`the keyring could not be asked: ${messageOf(error)}`))
  child.on("exit", () => gone("what asked the keyring has ended unexpectedly"))
  return {
    send: (message) => child.send(message, (error) => error !== null && gone("what asked the keyring has ended")),
    ref: (wanted) => {
      const method = wanted ? "ref" : "unref"
      child[method]()
      child.channel?.[method]()
    },
    kill: () => void child.kill("SIGKILL"),
  }
}

function threadPeer({ reply, gone }: Events): Peer {
  const worker = new Worker(new URL("./src/keyring/helper.js", import.meta.url))
  worker.on("message", (message: HelperReply) => reply(message))
  worker.on("error", (error) => gone(`the keyring could not be asked: ${messageOf(error)}`))
  worker.on("exit", () => gone("what asked the keyring has ended unexpectedly"))
  return {
    send: (message) => worker.postMessage(message),
    ref: (wanted) => (wanted ? worker.ref() : worker.unref()),
    kill: () => void worker.terminate(),
  }
}
