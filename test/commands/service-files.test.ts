/**
 * The files that have systemd and launchd start the agent: what they say, and that those who read them read the same.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { launchdPlist, MARKER, systemdUnits, type UnitDescription } from "../../src/commands/service-files.ts"

const hasProgram = (name: string): boolean => spawnSync(name, ["--version"]).error === undefined

const PLAIN: UnitDescription = {
  program: ["/usr/bin/gitsign"],
  socket: undefined,
  extraSocket: undefined,
  environment: {},
  ownFileSystem: true,
}

const textOf = (description: Partial<UnitDescription>, name: string): string => {
  const file = systemdUnits({ ...PLAIN, ...description }).find((one) => one.name === name)
  if (file === undefined) throw new Error(`there is no ${name}`)
  return file.text
}

describe("systemd units", () => {
  test("the socket is the user's own, the service is the program on systemd's sockets", () => {
    const units = systemdUnits(PLAIN)
    expect(units.map(({ name }) => name)).toEqual(["gitsign-agent.socket", "gitsign-agent.service"])
    for (const { text } of units) expect(text).toContain(MARKER)
    const socket = textOf({}, "gitsign-agent.socket")
    for (const line of ["ListenStream=%t/gitsign/agent.sock", "DirectoryMode=0700", "SocketMode=0600"]) {
      expect(socket.split("\n")).toContain(line)
    }
    const service = textOf({}, "gitsign-agent.service").split("\n")
    expect(service).toContain(
      "ExecStart=/usr/bin/gitsign agent start --foreground --systemd-socket-activation --leave-when-idle",
    )
    for (const line of ["LimitCORE=0", "NoNewPrivileges=yes", "UMask=0177", "ProtectSystem=strict"]) {
      expect(service).toContain(line)
    }
    expect(service.filter((line) => line.startsWith("MemoryDenyWriteExecute"))).toEqual([])
  })

  test("the restricted socket has a unit and a descriptor name of its own", () => {
    const extra = textOf({ extraSocket: true }, "gitsign-agent-extra.socket").split("\n")
    expect(extra).toContain("ListenStream=%t/gitsign/agent.extra.sock")
    expect(extra).toContain("FileDescriptorName=extra")
    expect(extra).toContain("Service=gitsign-agent.service")
    const service = textOf({ extraSocket: "/run/other.sock" }, "gitsign-agent.service")
    expect(service).toContain("\nSockets=gitsign-agent.socket gitsign-agent-extra.socket\n")
  })

  test("blanks, quotes, % and $ stand for themselves", () => {
    expect(textOf({ socket: "/tmp/100 %t/a.sock" }, "gitsign-agent.socket")).toContain(
      "\nListenStream=/tmp/100 %%t/a.sock\n",
    )
    const service = textOf(
      {
        program: ["/opt/my node$/node", '/opt/a "b"\\c$HOME/%h.cjs'],
        environment: { HTTPS_PROXY: 'http://u:p%40$x"@proxy:1', NO_PROXY: "a, b" },
      },
      "gitsign-agent.service",
    )
    expect(service).toContain('\nExecStart="/opt/my node$/node" "/opt/a \\"b\\"\\\\c$$HOME/%%h.cjs" agent start ')
    expect(service).toContain('\nEnvironment="HTTPS_PROXY=http://u:p%%40$x\\"@proxy:1"\n')
    expect(service).toContain('\nEnvironment="NO_PROXY=a, b"\n')
  })

  test("without user namespaces there is no view of the file system of its own", () => {
    expect(textOf({ ownFileSystem: false }, "gitsign-agent.service")).not.toMatch(/^Protect(System|Home)=/m)
  })

  test.each([
    ["a line feed in a socket", { socket: "/tmp/a\nExecStart=/bin/sh" }],
    ["a blank at the end of a socket", { socket: "/tmp/a " }],
    ["a backslash at the end of a socket", { socket: "/tmp/a\\" }],
    ["a line feed in the environment", { environment: { NO_PROXY: "a\nExecStart=/bin/sh" } }],
    ["a program that is not a path", { program: ["node"] }],
    ["a quote in the path of the program", { program: ['/opt/"/node'] }],
  ])("%s is refused", (_, description) => {
    expect(() => systemdUnits({ ...PLAIN, ...description })).toThrowError(
      expect.objectContaining({ code: "ERR_USAGE" }),
    )
  })

  describe.skipIf(!hasProgram("systemd-analyze"))("as systemd-analyze reads them", () => {
    let folder = ""
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "gitsign units "))
    })
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    const verify = (description: Partial<UnitDescription>): { status: number | null; said: string } => {
      const units = systemdUnits({ ...PLAIN, ...description, extraSocket: true })
      for (const { name, text } of units) writeFileSync(join(folder, name), text)
      const runtime = join(folder, "runtime")
      mkdirSync(runtime, { recursive: true, mode: 0o700 })
      const ran = spawnSync("systemd-analyze", ["verify", "--user", ...units.map(({ name }) => join(folder, name))], {
        encoding: "utf8",
        env: { PATH: process.env.PATH, HOME: folder, XDG_RUNTIME_DIR: runtime },
        timeout: 20_000,
      })
      // Other units of the machine may have something wrong with them.
      const said = ran.stderr.split("\n").filter((line) => line.includes("gitsign"))
      return { status: ran.status, said: said.join("\n") }
    }

    test("they are right, whatever is in the paths", () => {
      const program = join(folder, "a 100%t $HOME program")
      writeFileSync(program, "#!/bin/sh\n")
      chmodSync(program, 0o755)
      const description = { program: [program, '/opt/"x"/\\%h'], socket: `${folder}/s %t.sock` }
      expect(verify({ ...description, environment: { NO_PROXY: '"%h" \\' } })).toEqual({ status: 0, said: "" })
    })

    test("the test can fail: a program that is not there", () => {
      expect(verify({ program: ["/nowhere/gitsign"] }).said).toContain("/nowhere/gitsign")
    })
  })
})

describe("the launchd agent", () => {
  const description = {
    ...PLAIN,
    program: ["/opt/a & b/node", "/opt/<gitsign>.cjs"],
    socket: "/Users/me/Library/Caches/sigstore/gitsign/agent.sock",
    extraSocket: "/tmp/extra.sock",
    environment: { HTTPS_PROXY: "http://u:p&x@proxy" },
  }

  test.skipIf(!hasProgram("python3"))("reads as what was meant", () => {
    const { text } = launchdPlist(description, "/Users/me/Library/Logs/gitsign-agent.log")
    expect(text).toContain(MARKER)
    const script = "import plistlib,json,sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))"
    const ran = spawnSync("python3", ["-c", script], { input: text, encoding: "utf8", timeout: 20_000 })
    expect(JSON.parse(ran.stdout)).toMatchObject({
      Label: "gitsign-agent",
      ProgramArguments: [
        ...description.program,
        ...["agent", "start", "--foreground", "--socket", description.socket, "--extra-socket", "/tmp/extra.sock"],
      ],
      EnvironmentVariables: description.environment,
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      HardResourceLimits: { Core: 0 },
      SoftResourceLimits: { Core: 0 },
    })
  })

  test("has nothing for an empty environment", () => {
    expect(launchdPlist({ ...description, environment: {} }, "/log").text).not.toContain("EnvironmentVariables")
  })

  test("refuses what XML cannot hold", () => {
    expect(() => launchdPlist({ ...description, socket: "/tmp/\x01" }, "/log")).toThrowError(
      expect.objectContaining({ code: "ERR_USAGE" }),
    )
  })
})
