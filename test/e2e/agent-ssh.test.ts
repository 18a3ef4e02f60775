/**
 * The restricted socket of the agent, forwarded to another account's view of the world by a real sshd: it signs with what is
 * there, and does nothing else.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { socketOf, stopAgent, withAgent } from "./agent-harness.ts"
import { EMAIL, type Ran, type Services, startServices, Workspace } from "./harness.ts"

const SSHD = "/usr/sbin/sshd"
const missing = !existsSync(SSHD)
  ? "no sshd"
  : process.getuid?.() === 0 && !existsSync("/run/sshd")
    ? "sshd needs /run/sshd"
    : undefined

describe.skipIf(missing !== undefined)(`a forwarded socket (${missing ?? "with a real sshd"})`, () => {
  let services: Services
  /** Where the agent runs and the person sits. */
  let local: Workspace
  /** Where the work is done: another home, no token, no browser. */
  let remote: Workspace
  let repository: string
  let sshd: ChildProcess
  let port: number

  beforeAll(async () => {
    services = await startServices()
    local = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: await services.token() })
    withAgent(local)
    remote = new Workspace(services.environment)
    repository = remote.repository("work")
    remote.env.GITSIGN_CREDENTIAL_CACHE = join(remote.root, "forwarded.sock")
    port = await freePort()
    sshd = await startSshd()
    const started = local.gitsign(local.root, "agent", "start", "--extra-socket")
    expect(started.status, started.stderr).toBe(0)
  }, 90_000)

  afterAll(async () => {
    if (local !== undefined) stopAgent(local)
    sshd?.kill("SIGKILL")
    remote?.close()
    local?.close()
    await services?.close()
  })

  async function startSshd(): Promise<ChildProcess> {
    const at = (name: string): string => join(local.root, name)
    for (const key of ["host", "user"])
      local.run(local.root, "ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(key)])
    local.run(local.root, "cp", [at("user.pub"), at("authorized")])
    const lines = [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${at("host")}`,
      `AuthorizedKeysFile ${at("authorized")}`,
      "PidFile none",
      "StrictModes no",
      "UsePAM no",
      "StreamLocalBindUnlink yes",
      "PermitRootLogin yes",
    ]
    writeFileSync(at("sshd_config"), `${lines.join("\n")}\n`)
    const child = spawn(SSHD, ["-D", "-e", "-f", at("sshd_config")], { stdio: ["ignore", "ignore", "pipe"] })
    await new Promise<void>((done, fail) => {
      let said = ""
      child.stderr?.on("data", (chunk) => {
        said += chunk
        if (said.includes("listening on")) done()
      })
      child.on("close", () => fail(new Error(`sshd ended: ${said}`)))
    })
    return child
  }

  /** Runs a command over there, with the agent's restricted socket forwarded. */
  function overSsh(...command: readonly string[]): Ran {
    const socket = remote.env.GITSIGN_CREDENTIAL_CACHE ?? ""
    rmSync(socket, { force: true })
    const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
    const variables = Object.entries(remote.env).map(([name, value]) => quoted(`${name}=${value}`))
    const extra = socketOf(local).replace(/\.sock$/, ".extra.sock")
    const script = `cd ${quoted(repository)} && env -i ${variables.join(" ")} ${command.map(quoted).join(" ")}`
    return local.run(local.root, "ssh", [
      ...["-F", "none", "-p", String(port), "-i", join(local.root, "user"), "-o", "BatchMode=yes"],
      ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
      ...["-o", "ExitOnForwardFailure=yes", "-R", `${socket}:${extra}`, "127.0.0.1", script],
    ])
  }

  test("makes no credential: the commit over there is refused, and says where to log in", () => {
    const ran = overSsh("git", "commit", "--allow-empty", "-m", "cold")
    expect(ran.status).toBe(128)
    const program = overSsh(remote.program, "--status-fd=2", "-bsau", "x", join(repository, ".git/HEAD"))
    expect(program.status).toBe(3)
    expect(program.stdout).toBe("")
    expect(program.stderr).toMatch(/gitsign agent warm|ERR_AGENT_COLD/)
  })

  test("signs over there with the credential that is here", () => {
    const warm = local.gitsign(local.root, "agent", "warm")
    expect(warm.status, warm.stderr).toBe(0)
    const ran = overSsh("git", "commit", "--allow-empty", "-m", "signed over ssh")
    expect(ran.status, ran.stderr).toBe(0)
    expect(remote.git(repository, "log", "-1", "--format=%G? %GS")).toBe(`G ${EMAIL} (${services.issuer})`)
  })

  test.each([
    ["list", ["list"]],
    ["clear", ["clear"]],
    ["stop", ["stop"]],
    ["warm, for something new", ["warm"]],
    ["lock", ["lock", "--passphrase-file", "/dev/null"]],
  ])("refuses %s", (_, args) => {
    const ran = overSsh(remote.program, "agent", ...args)
    expect(ran.status).not.toBe(0)
    expect(ran.stderr).toMatch(/ERR_AGENT_REFUSED|ERR_USAGE|ERR_CONFIG/)
    expect(ran.stdout).toBe("")
  })

  test("tells its state, and not who", () => {
    const ran = overSsh(remote.program, "agent", "status")
    expect(ran.status, ran.stderr).toBe(0)
    expect(ran.stdout).toContain("warm")
    expect(ran.stdout).not.toContain(EMAIL)
  })

  test("the agent is as it was", () => {
    const ran = local.gitsign(local.root, "agent", "list")
    expect(ran.stdout).toContain(EMAIL)
  })
})

function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((done) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => done(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
}
