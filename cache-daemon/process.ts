/**
 * The agent as a process: its sockets, its signals, its clock and its end.
 *
 * Everything that it may ever need is imported here or below, and not later: an upgrade may take the files away under it.
 *
 * @module
 */

import type { Server } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import { GitsignError, messageOf } from "../src/errors.ts"
import type { HttpClient } from "../src/services/http.ts"
import { activatedSockets } from "./activation.ts"
import { Agent } from "./agent.ts"
import type { Confirm } from "./consent.ts"
import { findDesktopPrompt } from "./desktop-prompt.ts"
import { listenAt, type OwnSocket } from "./listen.ts"
import { loadCollector } from "./memory.ts"
import { loadPeerCheck } from "./peer.ts"
import { unexpectedError } from "./replies.ts"
import { AgentServer } from "./server.ts"

/** How an agent runs. */
export interface RunOptions {
  /** The path of its socket; not used with `activation`. */
  readonly socket: string
  /** The path of the restricted socket, when there is to be one; not used with `activation`. */
  readonly extraSocket: string | undefined
  /** Whether systemd hands the sockets over. */
  readonly activation: boolean
  /** Whether it ends when it has held nothing and nobody has asked anything for a minute. */
  readonly leaveWhenIdle: boolean
  /** Called once, when an agent can be connected to: this one, or another one that was there before. */
  readonly ready: () => void
  readonly env: NodeJS.ProcessEnv
  /** Such as `gitsign 1.0.0`. */
  readonly program: string
  /** The client for all services, made from `env`. */
  readonly http: HttpClient
  /** The agent's own settings: gitsign.agentMaxSignatures, gitsign.agentLifetime (seconds), gitsign.agentConfirm. */
  readonly settings: { readonly maxSignatures: number; readonly lifetime: number; readonly confirm: boolean }
  /** Gets one line for each thing that happened; none holds a secret. It may throw: a full disk does not end an agent. */
  readonly log: (line: string) => void
  /** How long it stays with nothing to do, in milliseconds. */
  readonly idleMs?: number
  /** How often it looks at the clock and at itself, in milliseconds. */
  readonly tickMs?: number
}

const IDLE_MS = 60_000
const TICK_MS = 5000

/** How long clients that connected as the agent left may take to come to it, and to be served, in milliseconds. */
const LAST_CALL_MS = 100
const LAST_SERVICE_MS = 60_000

/** After so many signatures and logins their remains are thrown away, and at the next tick after fewer. */
const COLLECT_AFTER = 100

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const

/** The exit status for a defect of gitsign. */
const DEFECT_STATUS = 70

/**
 * Runs an agent in this process until it is told to stop, by a request or by SIGTERM, SIGINT or SIGHUP, or has nothing more to do, and
 * returns the exit status. When another agent is there already it says `ready` and returns 0 with `leaveWhenIdle`, where it was started
 * because one is needed.
 *
 * After an error that nobody expected it drops its keys and ends the process with status 70.
 *
 * @throws ERR_AGENT when another agent is there already, or the system cannot be asked who connects
 * @throws ERR_AGENT_SOCKET when the socket or its directory will not do
 */
export async function runAgent(options: RunOptions): Promise<number> {
  const log = quietly(options.log)
  await options.http.load()
  const mayConnect = await loadPeerCheck()
  const agent = makeAgent(options, log, await loadCollector())
  let end: (why: string) => void = () => {}
  const ending = new Promise<string>((resolve) => {
    end = resolve
  })
  const sockets: OwnSocket[] = []
  const leave = (): void => {
    for (const socket of sockets) socket.remove()
  }
  const server = new AgentServer({
    program: options.program,
    handle: agent.handle,
    stop: leave,
    stopped: () => end("it was told to stop"),
    mayConnect,
    log,
  })
  const restore = watchProcess(end, (error) => {
    unexpectedError(error, log)
    agent.forget("a defect of gitsign")
    leave()
  })
  try {
    if (!(await openSockets(options, server, sockets))) {
      options.ready()
      return 0
    }
    log(`listens at ${sockets.map(({ path }) => path).join(" and ") || "the sockets of systemd"}`)
    options.ready()
    const timer = setInterval(() => tick(), options.tickMs ?? TICK_MS)
    const tick = watchIdle(options, { agent, server, sockets, end })
    const why = await ending
    clearInterval(timer)
    log(`ends: ${why}`)
    leave()
    if (why === IDLE) await lastService(server)
    agent.forget(why)
  } finally {
    leave()
    await server.close()
    options.http.close()
    restore()
  }
  return 0
}

const IDLE = "there is nothing to do"

interface RunningAgent extends Pick<Agent, "handle" | "tick" | "forget"> {
  readonly isIdle: () => boolean
}

/** The agent with the consent that its settings ask for: of the desktop, or where there is none of the client's person. */
function makeAgent(
  { program, http, settings, env }: RunOptions,
  log: (line: string) => void,
  collect: () => void,
): RunningAgent {
  const prompt = settings.confirm ? findDesktopPrompt(env, process.platform) : undefined
  const confirm: Confirm | undefined = prompt && ((text, signal, from) => prompt.ask(text, signal, from))
  if (settings.confirm && prompt === undefined) log("no dialog can be shown here, so the clients are asked for consent")
  const limits = { signatures: settings.maxSignatures, lifetime: settings.lifetime }
  let served = 0
  const free = (): void => {
    served = 0
    collect()
  }
  const agent = new Agent({ program, http, limits, confirm, mustConfirm: settings.confirm, log })
  return {
    handle: async (request, conversation) => {
      await agent.handle(request, conversation)
      // Others leave nothing behind, and cost less than the cleaning up.
      if ((request.type === "sign" || request.type === "warm") && ++served >= COLLECT_AFTER) free()
    },
    tick: () => {
      agent.tick()
      if (served > 0) free()
    },
    forget: (why) => agent.forget(why),
    isIdle: () => agent.isIdle,
  }
}

/**
 * Makes all sockets listen, and puts into `sockets` those that are ours to remove. Returns false when another agent is there, which is
 * as good for the one who wanted this one to start.
 */
async function openSockets(options: RunOptions, server: AgentServer, sockets: OwnSocket[]): Promise<boolean> {
  if (options.activation) {
    for (const { fd, restricted } of activatedSockets(options.env)) await listenOn(server.add(restricted), fd)
    return true
  }
  const paths = [options.socket, ...(options.extraSocket === undefined ? [] : [options.extraSocket])]
  for (const [index, path] of paths.entries()) {
    const socket = await listenAt(server.add(index > 0), path)
    if (socket !== undefined) sockets.push(socket)
    else if (index === 0 && options.leaveWhenIdle) return false
    else throw new GitsignError("ERR_AGENT", `another agent listens at ${path} already`)
  }
  return true
}

function listenOn(server: Server, fd: number): Promise<void> {
  return new Promise((done, fail) => {
    server.once("error", (cause) => {
      const message = `the agent cannot listen on descriptor ${fd}: ${messageOf(cause)}`
      fail(new GitsignError("ERR_AGENT_SOCKET", message, { cause }))
    })
    server.listen({ fd }, done)
  })
}

/** What happens every few seconds. */
function watchIdle(
  options: RunOptions,
  parts: { agent: RunningAgent; server: AgentServer; sockets: readonly OwnSocket[]; end: (why: string) => void },
): () => void {
  const { agent, server, sockets, end } = parts
  let idleSince: number | undefined
  return () => {
    agent.tick()
    // Nobody can come any more, as at the end of a session that takes its runtime directory away.
    if (!sockets.every((socket) => socket.isInPlace())) return end("its socket was taken away")
    const now = performance.now()
    idleSince = agent.isIdle() && server.connections === 0 ? Math.max(idleSince ?? now, server.lastActive) : undefined
    if (!options.leaveWhenIdle || idleSince === undefined) return
    if (now - idleSince >= (options.idleMs ?? IDLE_MS)) end(IDLE)
  }
}

/** Serves those who connected just before the socket was removed. */
async function lastService(server: AgentServer): Promise<void> {
  await wait(LAST_CALL_MS)
  const deadline = performance.now() + LAST_SERVICE_MS
  while (server.connections > 0 && performance.now() < deadline) await wait(LAST_CALL_MS)
}

/** Listens for signals and unexpected errors; returns how to stop that. */
function watchProcess(end: (why: string) => void, onDefect: (error: unknown) => void): () => void {
  const defect = (error: unknown): void => {
    try {
      onDefect(error)
    } finally {
      process.exit(DEFECT_STATUS)
    }
  }
  const onSignal = (signal: NodeJS.Signals): void => end(signal)
  for (const signal of SIGNALS) process.on(signal, onSignal)
  // Before those of the program around us, which would end the process first.
  process.prependListener("uncaughtException", defect)
  process.prependListener("unhandledRejection", defect)
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal)
    process.off("uncaughtException", defect)
    process.off("unhandledRejection", defect)
  }
}

const quietly =
  (log: (line: string) => void) =>
  (line: string): void => {
    try {
      log(line)
    } catch {
      // There is nobody left to tell.
    }
  }
