/**
 * Starting an agent that outlives its starter and takes nothing of it along.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { afterEach, describe, expect, test } from "vitest"
import { agentEnvironment, failureLine, RUNTIME_SETTINGS } from "../../cache-daemon/spawn.ts"
import { GitsignError } from "../../src/errors.ts"
import { buildPrograms, RUNTIMES, start, stopProgramsAfterEach, temporaryFolder, until } from "./programs.ts"
import { statusOf } from "./raw-client.ts"

const folder = temporaryFolder()
const { agent, spawn: starter } = await buildPrograms("agent", "spawn")
let made = 0

const hasProc = existsSync("/proc/self/fd")

/** What a commit may have in its environment and an agent must not. */
const SECRETS = {
  SIGSTORE_ID_TOKEN: "s3cret-token",
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "s3cret-actions",
  ACTIONS_ID_TOKEN_REQUEST_URL: "https://localhost/s3cret",
  BUILDKITE_AGENT_ACCESS_TOKEN: "s3cret-buildkite",
  SSH_AUTH_SOCK: "/tmp/s3cret",
  AWS_SECRET_ACCESS_KEY: "s3cret-aws",
  GITSIGN_LOG: "/tmp/s3cret-log",
  NODE_OPTIONS: "",
}

const OF_GIT = {
  GIT_DIR: "/repository/.git",
  GIT_INDEX_FILE: "/repository/.git/index",
  GIT_WORK_TREE: "/repository",
  GIT_CONFIG_COUNT: "1",
  GIT_CONFIG_KEY_0: "gitsign.fulcio",
  GIT_CONFIG_VALUE_0: "https://localhost",
  GIT_CONFIG_PARAMETERS: "'a.b=c'",
  // Whoever starts the agent must not loosen what its owner has set.
  GITSIGN_AGENT_CONFIRM: "false",
}

const KEPT = {
  GIT_CONFIG_GLOBAL: "/home/me/.gitconfig",
  GIT_CONFIG_SYSTEM: "/etc/gitconfig",
  GIT_CONFIG_NOSYSTEM: "1",
  LC_ALL: "C.UTF-8",
  XDG_CONFIG_HOME: "/home/me/.config",
  https_proxy: "http://127.0.0.1:9",
}

test("only what is on the list passes", () => {
  const env = { ...SECRETS, ...OF_GIT, ...KEPT, HOME: "/home/me", PATH: "/bin", LD_PRELOAD: "/x.so" }
  expect(agentEnvironment(env)).toEqual({ ...KEPT, HOME: "/home/me", PATH: "/bin", ...RUNTIME_SETTINGS })
})

describe.each(RUNTIMES)("an agent started on $name", ({ command }) => {
  stopProgramsAfterEach()

  let agents: number[] = []
  afterEach(() => {
    for (const pid of agents) {
      try {
        process.kill(pid, "SIGKILL")
      } catch {
        // It has ended.
      }
    }
    agents = []
  })

  /** Has a process start an agent, with descriptors open that it did not open itself; returns the agent's pid. */
  async function startAgent(): Promise<{ pid: number; starter: ReturnType<typeof start>; path: string }> {
    const path = join(folder, `d${++made}`, "agent.sock")
    const inherited = join(folder, "inherited")
    writeFileSync(inherited, "")
    const env = { ...process.env, ...SECRETS, ...OF_GIT, ...KEPT }
    const run = `exec 9<"$F" 20<"$F" 251>>"$F" 300<"$F"; exec "$0" "$@"`
    const args = ["-c", run, command, starter, path, command, agent, path]
    const program = start("/bin/bash", args, { env: { ...env, F: inherited }, cwd: folder })
    await until(() => program.output.stdout.includes("\n"))
    expect(program.output).toEqual({ stdout: "started\n", stderr: "" })
    const pid = (await statusOf(path))?.pid ?? 0
    agents.push(pid)
    return { pid, starter: program, path }
  }

  test("lets its starter end, and everybody who waits for the starter's descriptors", async () => {
    const { starter, path } = await startAgent()
    expect(await starter.ended).toBe(0)
    await wait(100)
    expect(await statusOf(path)).toBeDefined()
  })

  test.runIf(hasProc)(
    "has none of the starter's descriptors, directory, session or secrets (needs /proc)",
    async () => {
      const { pid, starter } = await startAgent()
      await starter.ended
      const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => {
        try {
          return `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`
        } catch {
          return fd
        }
      })
      expect(targets.filter((target) => target.includes("inherited"))).toEqual([])
      expect(targets).toContain("0 /dev/null")
      expect(targets).toContain("2 /dev/null")
      expect(readlinkSync(`/proc/${pid}/cwd`)).toBe("/")
      const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? []
      // Its process group and its session are its own, and it has no terminal.
      expect(fields.slice(2, 5)).toEqual([String(pid), String(pid), "0"])
      const environment = readFileSync(`/proc/${pid}/environ`, "latin1")
      expect(environment).not.toMatch(/s3cret|repository|GIT_(DIR|INDEX|WORK|CONFIG_(COUNT|KEY|VALUE|PARAM))/)
      expect(environment).toContain("GIT_CONFIG_GLOBAL=")
      expect(readFileSync(`/proc/${pid}/cmdline`, "latin1")).not.toContain("s3cret")
    },
  )

  test("goes on after Ctrl-C and after the terminal is closed", async () => {
    const { starter, path } = await startAgent()
    for (const signal of ["SIGINT", "SIGHUP"] as const) {
      try {
        process.kill(starter.pid, signal)
      } catch {
        // It had ended already.
      }
    }
    await starter.ended
    expect(await statusOf(path)).toBeDefined()
  })

  test.each<[string, readonly string[], string]>([
    ["says why not", ["/bin/sh", "-c", "echo 'the disk is full'"], "did not start: the disk is full"],
    ["ends without a word", ["/bin/sh", "-c", "exit 3"], "did not start: it ended with status 3"],
    ["cannot be run", ["/no/such/program"], "did not start: there is no program /no/such/program"],
    ["talks without end", ["/bin/sh", "-c", "yes no | tr -d '\\n' | head -c 100000"], "did not start: nonono"],
  ])("is reported when it %s", async (_, args, expected) => {
    const program = start(command, [starter, "/s.sock", ...args])
    expect(await program.ended).toBe(0)
    expect(program.output.stdout).toMatch(/^ERR_AGENT the agent for \/s\.sock /)
    expect(program.output.stdout).toContain(expected)
    expect(program.output.stdout.length).toBeLessThan(2200)
  })

  test("that says its code and a hint is reported with both", async () => {
    const line = failureLine(new GitsignError("ERR_AGENT_SOCKET", "the place\twill not do", { hint: "take another" }))
    const program = start(command, [starter, "/s.sock", "/usr/bin/printf", "%s", line])
    expect(await program.ended).toBe(0)
    expect(program.output.stdout).toBe(
      "ERR_AGENT_SOCKET the agent did not start: the place will not do; take another\n",
    )
  })

  test("is the one that has taken the place of a program that was replaced", async () => {
    const program = start(command, [starter, "/s.sock", "/bin/echo (deleted)", "ok"])
    expect(await program.ended).toBe(0)
    expect(program.output.stdout).toBe("started\n")
  })

  test("is given up when it says nothing for 10 s", { timeout: 20_000 }, async () => {
    const program = start(command, [starter, "/s.sock", "/bin/sleep", "60"])
    expect(await program.ended).toBe(0)
    expect(program.output.stdout).toContain("it said nothing for 10 s")
  })
})
