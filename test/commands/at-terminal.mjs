/**
 * Runs a command at a terminal of its own, as a person would: bun makes the pseudo-terminal, Node has none.
 *
 * Usage: bun at-terminal.mjs JSON, with `{command, env, cwd, steps: [{after, send | run}]}`: what is written once the text has been seen
 * on the terminal (`after: ""` is at once), or a command that gets all that was shown on its stdin, and whose output is written.
 * Prints `{shown, status, signal, ms}` as JSON.
 *
 * @module
 */

const { command, env, cwd, steps } = JSON.parse(process.argv[2])
let shown = ""
let seen = 0
const started = performance.now()
const child = Bun.spawn(command, {
  env,
  cwd,
  terminal: {
    cols: 80,
    rows: 40,
    data(terminal, data) {
      shown += Buffer.from(data).toString("utf8")
      while (steps.length > 0 && shown.indexOf(steps[0].after, seen) >= 0) {
        const { after, send, run } = steps.shift()
        seen = shown.indexOf(after, seen) + after.length
        if (run === undefined) terminal.write(send)
        else {
          const { stdout } = Bun.spawnSync(run, { env, cwd, stdin: Buffer.from(shown) })
          if (stdout.length > 0) terminal.write(stdout)
        }
      }
    },
  },
})
while (steps[0]?.after === "") child.terminal.write(steps.shift().send)
const limit = setTimeout(() => child.kill("SIGKILL"), 20_000)
await child.exited
clearTimeout(limit)
await Bun.sleep(50)
child.terminal.close()
const ms = Math.round(performance.now() - started)
await Bun.write(Bun.stdout, JSON.stringify({ shown, status: child.exitCode, signal: child.signalCode ?? null, ms }))
