/**
 * A session bus of its own with a gnome-keyring, for tests of the real Secret Service.
 *
 * @module
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { connect, createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join, resolve } from "node:path"
import { createInterface } from "node:readline"

const isInstalled = (program: string): boolean =>
  (process.env.PATH ?? "").split(delimiter).some((directory) => existsSync(join(directory, program)))

/** What has to be installed for these tests, as far as it is not. */
export const MISSING: readonly string[] = [
  ...(process.platform === "linux" ? [] : ["Linux"]),
  ...["gnome-keyring-daemon", "dbus-run-session", "dbus-send"].filter((program) => !isInstalled(program)),
]

/** The program that asks the keyring, as the build makes it. */
export const HELPER = new URL(`file://${resolve(import.meta.dirname, "../../dist/lazy/keyring-helper.mjs")}`)

/** With `unlock` there is a login keyring, and it is unlocked; without, there is a keyring service that has no keyring yet. */
export class Session {
  readonly #process: ChildProcess
  readonly #root: string
  readonly env: NodeJS.ProcessEnv

  private constructor(child: ChildProcess, root: string, env: NodeJS.ProcessEnv) {
    this.#process = child
    this.#root = root
    this.env = env
  }

  static async start({ unlock }: { readonly unlock: boolean }): Promise<Session> {
    const root = mkdtempSync(join(tmpdir(), "gitsign-keyring-"))
    const directory = (name: string): string => {
      mkdirSync(join(root, name), { mode: 0o700 })
      return join(root, name)
    }
    const env: NodeJS.ProcessEnv = {
      PATH: process.env.PATH,
      LANG: "C.UTF-8",
      HOME: directory("home"),
      XDG_RUNTIME_DIR: directory("run"),
      XDG_DATA_HOME: directory("data"),
      XDG_CONFIG_HOME: directory("config"),
      XDG_CACHE_HOME: directory("cache"),
    }
    const start = `printf 'pass phrase' | gnome-keyring-daemon --unlock --components=secrets >/dev/null`
    const script = `${unlock ? start : ":"}; echo "$DBUS_SESSION_BUS_ADDRESS"; cat >/dev/null`
    const child = spawn("dbus-run-session", ["--", "sh", "-c", script], { env, stdio: ["pipe", "pipe", "ignore"] })
    const [address] = await once(createInterface({ input: child.stdout }), "line")
    return new Session(child, root, { ...env, DBUS_SESSION_BUS_ADDRESS: String(address) })
  }

  /** Locks the login keyring, as the screen lock may. */
  lock(): void {
    const collection = "array:objpath:/org/freedesktop/secrets/collection/login"
    const method = "org.freedesktop.Secret.Service.Lock"
    const args = ["--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"]
    const { status, stderr } = spawnSync("dbus-send", [...args, method, collection], {
      env: this.env,
      encoding: "utf8",
      timeout: 10_000,
    })
    if (status !== 0) throw new Error(`the keyring was not locked: ${stderr}`)
  }

  /** Where the bus listens. */
  get socket(): string {
    const [, path] = /^unix:path=([^,]+)/.exec(this.env.DBUS_SESSION_BUS_ADDRESS ?? "") ?? []
    if (path === undefined) throw new Error("the bus listens on no socket file")
    return path
  }

  async close(): Promise<void> {
    const closed = once(this.#process, "close")
    this.#process.stdin?.end()
    await closed
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** A way to a bus that can be made to stand still, as a question that nobody answers does. */
export class Bridge {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #root: string
  readonly path: string

  private constructor(server: Server, root: string, path: string) {
    this.#server = server
    this.#root = root
    this.path = path
  }

  /** Without a bus behind it, it takes connections and never says a word. */
  static async listen(bus?: string): Promise<Bridge> {
    const root = mkdtempSync(join(tmpdir(), "gitsign-bus-"))
    const server = createServer()
    const bridge = new Bridge(server, root, join(root, "bus"))
    server.on("connection", (near) => {
      const ends = bus === undefined ? [near] : [near, connect(bus)]
      for (const end of ends) {
        bridge.#sockets.add(end)
        end.on("error", () => undefined)
        end.on("close", () => {
          bridge.#sockets.delete(end)
          for (const other of ends) other.destroy()
        })
      }
      const [, far] = ends
      if (far === undefined) near.resume()
      else near.pipe(far).pipe(near)
    })
    server.listen(bridge.path)
    await once(server, "listening")
    return bridge
  }

  /** From now on nothing gets through, on new connections either. */
  stall(): void {
    for (const socket of this.#sockets) socket.unpipe().resume()
    this.#server.removeAllListeners("connection")
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket.resume())
      socket.on("error", () => undefined)
      socket.on("close", () => this.#sockets.delete(socket))
    })
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sockets.size
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    rmSync(this.#root, { recursive: true, force: true })
  }
}
