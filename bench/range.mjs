// How many commits a second `gitsign verify` gets through in a long history, with one and two threads, beside a loop that verifies one
// commit after the other. Part of npm run bench; alone: node bench/range.mjs [--commits=NUMBER]
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"

if (process.env.NODE_EXTRA_CA_CERTS !== undefined) {
  console.error(
    "bench: unset NODE_EXTRA_CA_CERTS first; a large bundle in it costs every Node process tens of milliseconds",
  )
  process.exit(2)
}
const commits = Number(process.argv.find((word) => word.startsWith("--commits="))?.slice(10) ?? 10_000)
const here = import.meta.dirname
const bun = join(dirname(createRequire(import.meta.url).resolve("bun/package.json")), "bin", "bun.exe")
const native = resolve(here, "../dist/native/gitsign")
const programs = { Node: [process.execPath, resolve(here, "../dist/gitsign.cjs")] }
if (existsSync(native)) programs.standalone = [native]
const trust = ["--any-identity", "--trusted-root", resolve(here, "../fixtures/trust/made.json")]
const root = mkdtempSync(join(tmpdir(), "gitsign-bench-"))
const env = { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: "1" }

function seconds(cwd, command, args) {
  const began = performance.now()
  const ran = spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: 600_000 })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(" ")} exited ${ran.status}\n${ran.stdout}${ran.stderr}`)
  return (performance.now() - began) / 1000
}

/** The better of two runs: what else the machine does can only slow one down. */
const best = (once) => Math.min(once(), once())

try {
  console.log(`commits a second, ${commits} commits, Node ${process.version}, no network\n`)
  for (const [kind, each] of [
    ["every commit with a certificate of its own", 1],
    ["a hundred commits with one certificate, as a rebase makes them", 100],
  ]) {
    const folder = join(root, String(each))
    seconds(root, bun, [join(here, "make-history.ts"), folder, String(commits), String(each)])
    console.log(kind)
    for (const [name, [command, ...words]] of Object.entries(programs)) {
      const verify = (...args) => seconds(folder, command, [...words, "verify", ...trust, ...args])
      const LOOP = 20
      const loop =
        LOOP / best(() => Array.from({ length: LOOP }, (_, i) => verify(`main~${i}`)).reduce((a, b) => a + b))
      const line = (rate, text) =>
        console.log(`  ${rate.toFixed(0).padStart(6)} /s  ${(rate / loop).toFixed(1).padStart(6)} x  ${name}: ${text}`)
      line(loop, "a loop of single verifications")
      for (const jobs of [1, 2]) {
        line(
          commits / best(() => verify("--all", "--jobs", String(jobs))),
          `one call, ${jobs} thread${jobs > 1 ? "s" : ""}`,
        )
      }
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}
