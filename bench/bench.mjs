// How long signing and verifying take, as a person at git sees it: medians of alternated runs on the local Sigstore, and ratios.
// Usage: npm run bench [-- RUNS] [--commits=NUMBER]. GITSIGN_GO names a Go gitsign to compare with.
import { spawnSync } from "node:child_process"
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { Agent, request } from "node:http"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

if (process.env.NODE_EXTRA_CA_CERTS !== undefined) {
  console.error(
    "bench: unset NODE_EXTRA_CA_CERTS first; a large bundle in it costs every Node process tens of milliseconds",
  )
  process.exit(2)
}
const runs = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 15)
const root = mkdtempSync(join(tmpdir(), "gitsign-bench-"))
const entry = resolve(import.meta.dirname, "../dist/gitsign.cjs")
const native = resolve(import.meta.dirname, "../dist/native/gitsign")
const env = {
  PATH: process.env.PATH,
  HOME: root,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "dev@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "dev@example.com",
}

function run(cwd, command, args, more = {}) {
  const ran = spawnSync(command, args, { cwd, env: { ...env, ...more }, encoding: "utf8", timeout: 60_000 })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(" ")} exited ${ran.status}\n${ran.stdout}${ran.stderr}`)
  return ran.stdout
}

const wrapper = join(root, "gitsign")
writeFileSync(wrapper, `#!/bin/sh\nexec "${process.execPath}" "${entry}" "$@"\n`)
chmodSync(wrapper, 0o755)
const sandbox = (...args) => run(root, process.execPath, [entry, "sandbox", ...args, "--dir", join(root, "sandbox")])

/** One upload to the log over a connection that stays open, as the agent does it; milliseconds. */
async function uploadOnce(agent, key) {
  const data = randomBytes(32)
  const body = JSON.stringify({
    apiVersion: "0.0.1",
    kind: "hashedrekord",
    spec: {
      data: { hash: { algorithm: "sha256", value: createHash("sha256").update(data).digest("hex") } },
      signature: {
        content: sign("sha256", data, key.privateKey).toString("base64"),
        publicKey: { content: Buffer.from(key.publicKey.export({ type: "spki", format: "pem" })).toString("base64") },
      },
    },
  })
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
  const began = performance.now()
  await new Promise((done, fail) => {
    const posted = request(
      `${env.GITSIGN_REKOR_URL}/api/v1/log/entries`,
      { agent, method: "POST", headers },
      (answer) => {
        if (answer.statusCode !== 201) fail(new Error(`the log answered ${answer.statusCode}`))
        answer.resume().on("end", done)
      },
    )
    posted.on("error", fail).end(body)
  })
  return performance.now() - began
}

const medianOf = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)]

try {
  sandbox("start")
  const shellCode = sandbox("env", "--token", "dev@example.com")
  for (const line of run(root, "sh", ["-c", `${shellCode}\nenv -0`]).split("\0")) {
    const at = line.indexOf("=")
    if (shellCode.includes(line.slice(0, at))) env[line.slice(0, at)] = line.slice(at + 1)
  }
  const programs = { "gitsign on Node": wrapper }
  if (existsSync(native)) programs["gitsign standalone"] = native
  if (process.env.GITSIGN_GO) programs["Go gitsign"] = process.env.GITSIGN_GO

  const warm = []
  const cases = {}
  const add = (group, name, once) => {
    cases[`${group}|${name}`] = { once, times: [] }
  }
  const repositoryFor = (name) => {
    const repository = join(root, name.replaceAll(" ", "-"))
    mkdirSync(repository)
    run(repository, "git", ["init", "--quiet"])
    return repository
  }
  const plain = repositoryFor("plain")
  const commit = (repository, ...args) =>
    run(repository, "git", [...args, "commit", "--quiet", "--allow-empty", "-m", "x"])
  add("git commit", "unsigned", () => commit(plain))
  add("git verify-commit", "nothing to do (git cat-file)", () => run(plain, "git", ["cat-file", "commit", "HEAD"]))
  for (const [name, program] of Object.entries(programs)) {
    const repository = repositoryFor(name)
    const settings = ["-c", "gpg.format=x509", "-c", `gpg.x509.program=${program}`]
    const mode = { GITSIGN_REKOR_MODE: "offline" }
    const signed = () =>
      run(repository, "git", [...settings, "commit", "--quiet", "--allow-empty", "-S", "-m", "x"], mode)
    add("git commit", `signed by ${name}: key, certificate, log entry, own check`, signed)
    if (name !== "Go gitsign") {
      // An agent for each program, so that each is measured with its own.
      const runtime = join(root, `run-${name.replaceAll(" ", "-")}`)
      mkdirSync(runtime, { mode: 0o700 })
      const agent = { ...mode, GITSIGN_CREDENTIAL_CACHE: "auto", XDG_RUNTIME_DIR: runtime }
      warm.push({
        name,
        once: () => run(repository, "git", [...settings, "commit", "--quiet", "--allow-empty", "-S", "-m", "x"], agent),
        stop: () => run(root, program, ["agent", "stop"], agent),
      })
    }
    add("git verify-commit", name, () => run(repository, "git", [...settings, "verify-commit", "HEAD"], mode))
  }
  for (let i = 0; i <= runs; i++) {
    for (const one of Object.values(cases)) {
      const began = performance.now()
      one.once()
      // The first round fills caches.
      if (i > 0) one.times.push(performance.now() - began)
    }
  }
  console.log(`medians of ${runs} runs, Node ${process.version}, NODE_EXTRA_CA_CERTS unset, sandbox on this machine\n`)
  let group = ""
  let base = 1
  for (const [key, { times }] of Object.entries(cases).sort(([a], [b]) =>
    a.split("|")[0].localeCompare(b.split("|")[0]),
  )) {
    const [heading, name] = key.split("|")
    const median = medianOf(times)
    if (heading !== group) {
      console.log(heading)
      group = heading
      base = median
    }
    console.log(`  ${median.toFixed(1).padStart(8)} ms  ${(median / base).toFixed(1).padStart(6)} x  ${name}`)
  }
  // One program at a time and one commit after the other, as in a rebase, with an unsigned one and an upload between them.
  console.log("\ngit commit with a warm agent, over an unsigned one")
  const timeOf = (once) => {
    const began = performance.now()
    once()
    return performance.now() - began
  }
  const connection = new Agent({ keepAlive: true })
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" })
  for (const { name, once, stop } of warm) {
    const times = { unsigned: [], signed: [], log: [] }
    for (let i = 0; i <= 2 * runs; i++) {
      const unsigned = timeOf(() => commit(plain))
      const log = await uploadOnce(connection, key)
      const signed = timeOf(once)
      // The first round logs in.
      if (i > 0) for (const [kind, time] of Object.entries({ unsigned, signed, log })) times[kind].push(time)
    }
    const [unsigned, signed, log] = [medianOf(times.unsigned), medianOf(times.signed), medianOf(times.log)]
    const over = signed - unsigned
    console.log(
      `  ${over.toFixed(1).padStart(8)} ms, of which the log's own answer ${log.toFixed(1)} and the rest ${(over - log).toFixed(1)}  ${name}`,
    )
    stop()
  }
  connection.destroy()
} finally {
  if (existsSync(join(root, "sandbox"))) sandbox("stop")
  rmSync(root, { recursive: true, force: true })
}
console.log()
await import("./range.mjs")
