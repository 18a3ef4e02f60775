/**
 * `gitsign agent install` and `uninstall` on Linux: which files they touch, and what they tell systemd. A systemctl of the test
 * writes down how it is called.
 *
 * @module
 */

import { execFileSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { type InstallOptions, installAgent, uninstallAgent } from "../../src/commands/agent-install.ts"
import type { CommandIo } from "../../src/commands/io.ts"
import { Messages } from "../../src/commands/messages.ts"

let folder = ""
let units = ""
let env: Record<string, string> = {}
let out = ""
let err = ""
const io = (): CommandIo => ({
  env,
  cwd: folder,
  stdout: (text) => {
    out += text
  },
  stderr: (text) => {
    err += text
  },
})

/** Puts a program on PATH that writes its arguments to `calls`, then does what `script` says. */
function program(name: string, script: string): void {
  const path = join(folder, "bin", name)
  writeFileSync(path, `#!/bin/sh\necho "${name} $*" >> "${join(folder, "calls")}"\n${script}\n`)
  chmodSync(path, 0o755)
}

/** How systemctl was called since the last time, without the questions. */
function told(): string[] {
  const file = join(folder, "calls")
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []
  rmSync(file, { force: true })
  return lines.filter((line) => !/ (show|is-active) /.test(line))
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gitsign install %h "))
  units = join(folder, "config", "systemd", "user")
  mkdirSync(join(folder, "bin"))
  mkdirSync(join(folder, "run"), { mode: 0o700 })
  const git = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim()
  for (const needed of [git, "/bin/sh"]) symlinkSync(needed, join(folder, "bin", needed.replace(/.*\//, "")))
  program("systemctl", 'case "$*" in *is-active*) exit 3 ;; esac')
  program("systemd-run", "")
  env = {
    PATH: join(folder, "bin"),
    HOME: folder,
    XDG_CONFIG_HOME: join(folder, "config"),
    XDG_RUNTIME_DIR: join(folder, "run"),
    GIT_CONFIG_NOSYSTEM: "1",
  }
  out = ""
  err = ""
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const install = (options: Partial<InstallOptions> = {}): Promise<void> =>
  installAgent(io(), new Messages(io()), { enable: true, ...options })

const read = (name: string): string => readFileSync(join(units, name), "utf8")

describe.skipIf(process.platform !== "linux")("install", () => {
  test("writes the units, enables the socket, and says what is left to do", async () => {
    env.HTTPS_PROXY = "http://me:50%@proxy:3128"
    env.SSL_CERT_FILE = "ca.pem"
    await install()
    expect(readdirSync(units).sort()).toEqual(["gitsign-agent.service", "gitsign-agent.socket"])
    expect(out).toBe(
      `wrote ${units}/gitsign-agent.socket\nwrote ${units}/gitsign-agent.service\n` +
        "enabled: systemd listens and starts the agent when it is needed\n",
    )
    expect(err).toBe("gitsign: hint: to have commits use it: git config --global gitsign.credentialCache auto\n")
    expect(told().slice(1)).toEqual([
      "systemctl --user stop gitsign-agent.socket gitsign-agent-extra.socket gitsign-agent.service",
      "systemctl --user daemon-reload",
      "systemctl --user enable --now gitsign-agent.socket",
    ])
    const service = read("gitsign-agent.service")
    expect(service).toContain("Environment=BUN_JSC_useFTLJIT=0\n")
    expect(service).toContain("Environment=HTTPS_PROXY=http://me:50%%@proxy:3128\n")
    expect(service).toContain(`Environment="SSL_CERT_FILE=${folder.replace("%", "%%")}/ca.pem"\n`)
    expect(service).toContain("\nProtectSystem=strict\n")
    // The address of a proxy may hold a password.
    expect(statSync(join(units, "gitsign-agent.service")).mode & 0o777).toBe(0o600)
  })

  test("a second time changes nothing and stops nothing", async () => {
    await install({ extraSocket: true })
    told()
    out = ""
    await install({ extraSocket: true })
    expect(out.match(/ is up to date$/gm)?.length).toBe(3)
    expect(told().filter((line) => line.includes(" stop "))).toEqual([])
    expect(readdirSync(units).length).toBe(3)
  })

  test("without --extra-socket takes the restricted socket away again", async () => {
    await install({ extraSocket: true })
    expect(read("gitsign-agent-extra.socket")).toContain("ListenStream=%t/gitsign/agent.extra.sock\n")
    expect(out).toContain(`restricted, for forwarding: ${folder}/run/gitsign/agent.extra.sock\n`)
    told()
    await install()
    expect(out).toContain(`removed ${units}/gitsign-agent-extra.socket\n`)
    expect(told()).toContain("systemctl --user disable --now gitsign-agent-extra.socket")
    expect(read("gitsign-agent.service")).toContain("\nSockets=gitsign-agent.socket\n")
  })

  test("takes the socket that the settings or the flag name, from where it is called", async () => {
    execFileSync("git", ["config", "--global", "gitsign.credentialCache", "~/my agent.sock"], { env })
    await install()
    expect(read("gitsign-agent.socket")).toContain(`ListenStream=${folder.replace("%", "%%")}/my agent.sock\n`)
    expect(err).toBe("")
    await install({ socket: "other.sock", extraSocket: true })
    expect(read("gitsign-agent.socket")).toContain(`ListenStream=${folder.replace("%", "%%")}/other.sock\n`)
    expect(read("gitsign-agent-extra.socket")).toContain(`ListenStream=${folder.replace("%", "%%")}/other.extra.sock\n`)
    expect(err).toContain(`git config --global gitsign.credentialCache '${folder}/other.sock'`)
  })

  test("says which setting fits where the session's directory is not there", async () => {
    delete env.XDG_RUNTIME_DIR
    await install({ enable: false })
    const socket = `/run/user/${process.getuid?.()}/gitsign/agent.sock`
    expect(err).toBe(`gitsign: hint: to have commits use it: git config --global gitsign.credentialCache ${socket}\n`)
    expect(read("gitsign-agent.socket")).toContain("ListenStream=%t/gitsign/agent.sock\n")
  })

  test("leaves the file system view out where the system does not allow it", async () => {
    program("systemd-run", "exit 1")
    await install()
    expect(read("gitsign-agent.service")).not.toContain("\nProtectSystem=")
    expect(read("gitsign-agent.service")).toContain("\nNoNewPrivileges=yes\n")
  })

  test("--no-enable writes the files and prints the commands", async () => {
    await install({ enable: false })
    expect(readdirSync(units).length).toBe(2)
    expect(told().filter((line) => line.startsWith("systemctl"))).toEqual([])
    expect(out).toContain(
      "not enabled; to do so:\n  systemctl --user daemon-reload\n  systemctl --user enable --now gitsign-agent.socket\n",
    )
  })

  test("says what is to be run where systemd cannot be asked", async () => {
    program("systemctl", "echo 'Failed to connect to bus: No medium found' >&2; exit 1")
    const error = await install().catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: "ERR_AGENT",
      message: "the files are written, but systemd cannot be asked: Failed to connect to bus: No medium found",
      hint: "in a session of your own, run: systemctl --user daemon-reload && systemctl --user enable --now gitsign-agent.socket",
    })
    expect(readdirSync(units).length).toBe(2)
  })

  test("writes nothing where there is no systemd", async () => {
    rmSync(join(folder, "bin", "systemctl"))
    await expect(install()).rejects.toMatchObject({ code: "ERR_AGENT", message: "there is no systemd on this system" })
    expect(existsSync(units)).toBe(false)
  })

  test("tells when systemd refuses", async () => {
    program("systemctl", 'case "$*" in *is-active*) exit 3 ;; *enable*) echo "no such unit" >&2; exit 1 ;; esac')
    await expect(install()).rejects.toMatchObject({
      code: "ERR_AGENT",
      message:
        "the files are written, but this failed: systemctl --user enable --now gitsign-agent.socket: no such unit",
    })
  })

  test.each(["gitsign-agent.socket", "gitsign-agent-extra.socket", "gitsign-agent.service"])(
    "refuses to change a %s that somebody else wrote, and writes nothing",
    async (name) => {
      mkdirSync(units, { recursive: true })
      writeFileSync(join(units, name), "[Unit]\nDescription=mine\n")
      await expect(install()).rejects.toMatchObject({ code: "ERR_IO" })
      expect(readdirSync(units)).toEqual([name])
      expect(read(name)).toBe("[Unit]\nDescription=mine\n")
      // A unit that is masked is a link to nowhere.
      rmSync(join(units, name))
      symlinkSync("/dev/null", join(units, name))
      await expect(install()).rejects.toMatchObject({ code: "ERR_IO" })
      expect(readdirSync(units)).toEqual([name])
      expect(told().filter((line) => line.startsWith("systemctl"))).toEqual([])
    },
  )
})

describe.skipIf(process.platform !== "linux")("uninstall", () => {
  test("disables and removes what install wrote, and nothing else", async () => {
    await install({ extraSocket: true })
    mkdirSync(join(units, "gitsign-agent.service.d"))
    writeFileSync(join(units, "gitsign-agent.service.d", "override.conf"), "[Service]\n")
    writeFileSync(join(units, "other.service"), "")
    told()
    out = ""
    await uninstallAgent(io())
    expect(readdirSync(units).sort()).toEqual(["gitsign-agent.service.d", "other.service"])
    expect(out.match(/^removed .*$/gm)?.length).toBe(3)
    expect(told()).toEqual([
      "systemctl --user disable --now gitsign-agent.socket gitsign-agent-extra.socket gitsign-agent.service",
      "systemctl --user daemon-reload",
    ])
    out = ""
    await uninstallAgent(io())
    expect(out).toBe("nothing was installed\n")
  })

  test("leaves the unit of somebody else and says so", async () => {
    await install()
    writeFileSync(join(units, "gitsign-agent.service"), "[Unit]\n")
    out = ""
    await uninstallAgent(io())
    expect(out).toContain(`${units}/gitsign-agent.service was not written by gitsign agent install and stays\n`)
    expect(readdirSync(units)).toEqual(["gitsign-agent.service"])
  })

  test("removes files and links also where systemd cannot be asked", async () => {
    await install()
    const wants = join(units, "sockets.target.wants")
    mkdirSync(wants)
    symlinkSync(join(units, "gitsign-agent.socket"), join(wants, "gitsign-agent.socket"))
    symlinkSync(join(units, "other.socket"), join(wants, "other.socket"))
    program("systemctl", "exit 1")
    out = ""
    await uninstallAgent(io())
    expect(readdirSync(units)).toEqual(["sockets.target.wants"])
    expect(readdirSync(wants)).toEqual(["other.socket"])
    expect(out).toContain("an agent that still runs can be ended with: gitsign agent stop\n")
  })
})
