/**
 * The dialog at the desktop: which program is run, with which arguments, and what counts as a yes. Programs of our own stand
 * in for zenity and its kin here; their looks are checked by hand.
 *
 * @module
 */

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { type DesktopPrompt, findDesktopPrompt } from "../../cache-daemon/desktop-prompt.ts"

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gitsign-prompt-"))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** A program under `name` in the folder; it writes its arguments and environment down before it does `what`. */
function standIn(name: string, what: string, folder = directory): string {
  const path = join(folder, name)
  const log = join(directory, "log")
  const script = `#!/bin/sh
PATH=/usr/bin:/bin
printf 'begin\\n' >> '${log}'
printf '%s\\0' "$@" > '${log}.arguments'
env > '${log}.env'
${what}
code=$?
printf 'end\\n' >> '${log}'
exit $code
`
  writeFileSync(path, script)
  chmodSync(path, 0o755)
  return path
}
const logged = (): string[] => readFileSync(join(directory, "log"), "utf8").trimEnd().split("\n")
const argumentsGiven = (): string[] => readFileSync(join(directory, "log.arguments"), "utf8").split("\0").slice(0, -1)

const env = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  PATH: `${directory}:/usr/bin:/bin`,
  DISPLAY: ":99",
  LANG: "C.UTF-8",
  ...more,
})
const promptWith = (what: string, name = "zenity", platform: NodeJS.Platform = "linux"): DesktopPrompt => {
  standIn(name, what)
  const prompt = findDesktopPrompt(env({ PATH: `${directory}` }), platform)
  if (prompt === undefined) throw new Error("no prompt")
  return prompt
}
const never = (): AbortSignal => new AbortController().signal
const TEXT = "gitsign: sign this commit?\n\nsubject: $(touch x) `id` \"'\\n\\u{a} <b>größe</b>\n"

describe.skipIf(process.platform === "win32")("findDesktopPrompt", () => {
  test("takes the first of the programs, by its absolute path", () => {
    standIn("kdialog", "true")
    const only = { PATH: directory }
    expect(findDesktopPrompt(env(only), "linux")?.path).toBe(join(directory, "kdialog"))
    standIn("zenity", "true")
    expect(findDesktopPrompt(env(only), "linux")?.path).toBe(join(directory, "zenity"))
    expect(findDesktopPrompt(env({ ...only, DISPLAY: undefined, WAYLAND_DISPLAY: "w" }), "linux")?.path).toBeDefined()
  })

  test("none without a display, on Windows, or where there is no such program", () => {
    standIn("zenity", "true")
    const only = { PATH: directory }
    expect(findDesktopPrompt(env({ ...only, DISPLAY: undefined }), "linux")).toBeUndefined()
    expect(findDesktopPrompt(env({ ...only, DISPLAY: "" }), "linux")).toBeUndefined()
    expect(findDesktopPrompt(env(only), "win32")).toBeUndefined()
    expect(findDesktopPrompt(env({ PATH: "/nowhere" }), "linux")).toBeUndefined()
    expect(findDesktopPrompt({ DISPLAY: ":0" }, "linux")).toBeUndefined()
  })

  test("macOS needs no display", () => {
    standIn("osascript", "true")
    expect(findDesktopPrompt({ PATH: directory }, "darwin")?.path).toBe(join(directory, "osascript"))
  })

  test("no folder, no file that cannot be run, and nothing relative to where the agent stands", () => {
    mkdirSync(join(directory, "a", "zenity"), { recursive: true })
    mkdirSync(join(directory, "b"))
    writeFileSync(join(directory, "b", "zenity"), "#!/bin/sh\n", { mode: 0o644 })
    const path = ["", ".", "b", join(directory, "a"), join(directory, "b")].join(":")
    expect(findDesktopPrompt(env({ PATH: path }), "linux")).toBeUndefined()
  })
})

describe.skipIf(process.platform === "win32")("DesktopPrompt.ask", () => {
  test.each([0, 1, 2, 5, 127, 255])("zenity that exits with %d", async (status) => {
    expect(await promptWith(`(exit ${status})`).ask(TEXT, never())).toBe(status === 0)
  })

  test("the text is one argument and nothing else, and no is the default", async () => {
    expect(await promptWith("true").ask(TEXT, never())).toBe(true)
    expect(argumentsGiven()).toEqual([
      "--question",
      "--title=gitsign",
      "--no-markup",
      "--no-wrap",
      "--default-cancel",
      "--ok-label=Sign",
      "--cancel-label=Do not sign",
      `--text=${TEXT}`,
    ])
  })

  test.each([
    ["printf 'sign\\n'", true],
    ["printf 'refuse\\n'", false],
    ["printf ''", false],
    ["printf 'sign\\n'; false", false],
    ["printf 'sign\\nsign\\n'", false],
    ["head -c 100000 /dev/zero", false],
  ])("kdialog that does %j", async (what, expected) => {
    expect(await promptWith(what, "kdialog").ask(TEXT, never())).toBe(expected)
    const given = argumentsGiven()
    expect(given.slice(0, 3)).toEqual(["--title", "gitsign", "--radiolist"])
    // kdialog turns `\\n` into a line feed otherwise.
    expect(given[3]).toBe(TEXT.replaceAll("\\", "\\\\"))
    expect(given.slice(4)).toEqual(["refuse", "Do not sign", "on", "sign", "Sign", "off"])
  })

  test.each([
    ["echo Sign", true],
    ["echo 'Do not sign'", false],
    ["echo", false],
    ["false", false],
  ])("osascript that does %j", async (what, expected) => {
    expect(await promptWith(what, "osascript", "darwin").ask(TEXT, never())).toBe(expected)
    const given = argumentsGiven()
    expect(given.at(-1)).toBe(TEXT)
    expect(given.filter((one) => one.includes("sign this commit"))).toHaveLength(1)
    expect(given.join(" ")).toMatch(/default button "Do not sign"/)
  })

  test("gets nothing of the agent's environment that a dialog does not need", async () => {
    standIn("zenity", "true")
    const all = env({
      ZENITY_CANCEL: "0",
      SIGSTORE_ID_TOKEN: "secret",
      GTK_MODULES: "evil",
      HOME: directory,
      LANG: "de_DE",
    })
    expect(await findDesktopPrompt(all, "linux")?.ask(TEXT, never())).toBe(true)
    const given = readFileSync(join(directory, "log.env"), "utf8")
    expect(given).not.toMatch(/ZENITY|SIGSTORE|GTK/)
    expect(given).toMatch(/^DISPLAY=:99$/m)
    // Without a UTF-8 locale zenity refuses the text.
    expect(given).toMatch(/^LC_ALL=C\.UTF-8$/m)
  })

  const TOO_MANY = expect.objectContaining({
    code: "ERR_AGENT_REFUSED",
    message: "too many questions are waiting for an answer",
  })

  test("one dialog at a time, in order, 32 wait, more are told that they are too many", async () => {
    const prompt = promptWith("sleep 0.02")
    const answers = await Promise.allSettled(Array.from({ length: 40 }, () => prompt.ask(TEXT, never())))
    expect(answers).toEqual(
      Array.from({ length: 40 }, (_, i) =>
        i < 33 ? { status: "fulfilled", value: true } : { status: "rejected", reason: TOO_MANY },
      ),
    )
    expect(logged()).toEqual(Array.from({ length: 66 }, (_, i) => (i % 2 === 0 ? "begin" : "end")))
    expect(await prompt.ask(TEXT, never())).toBe(true)
  })

  test("of another host one dialog waits, and those of this machine come before it", async () => {
    const prompt = promptWith(`printf '%s\\n' "$8" >> '${join(directory, "order")}'; sleep 0.1`)
    const order: string[] = []
    const ask = (name: string, from?: "local" | "forwarded"): Promise<boolean> =>
      prompt.ask(name, never(), from).then((answer) => {
        order.push(name)
        return answer
      })
    const forwarded = [ask("shown", "forwarded"), ask("waits", "forwarded")]
    const refused = await Promise.allSettled(Array.from({ length: 40 }, () => ask("refused", "forwarded")))
    expect(refused).toEqual(Array.from({ length: 40 }, () => ({ status: "rejected", reason: TOO_MANY })))
    const local = [ask("first"), ask("second", "local")]
    expect(await Promise.all([...forwarded, ...local])).toEqual([true, true, true, true])
    expect(order).toEqual(["shown", "first", "second", "waits"])
    const shown = readFileSync(join(directory, "order"), "utf8")
    expect(shown).toBe("--text=shown\n--text=first\n--text=second\n--text=waits\n")
  })

  test("a place in the row is free again when its client is gone", async () => {
    const prompt = promptWith("sleep 0.2")
    const shown = prompt.ask(TEXT, never(), "forwarded")
    const gone = new AbortController()
    const waits = prompt.ask(TEXT, gone.signal, "forwarded")
    await expect(prompt.ask(TEXT, never(), "forwarded")).rejects.toEqual(TOO_MANY)
    gone.abort()
    expect(await waits).toBe(false)
    const next = prompt.ask(TEXT, never(), "forwarded")
    expect(await Promise.all([shown, next])).toEqual([true, true])
  })

  test("a client that is gone closes its dialog, and the next one is shown", async () => {
    const prompt = promptWith("exec sleep 30")
    const gone = new AbortController()
    const first = prompt.ask(TEXT, gone.signal)
    const alsoGone = new AbortController()
    const second = prompt.ask(TEXT, alsoGone.signal)
    await until(() => existsSync(join(directory, "log.env")))
    standIn("zenity", "true")
    const third = prompt.ask(TEXT, never())
    alsoGone.abort()
    expect(await second).toBe(false)
    gone.abort()
    expect(await first).toBe(false)
    expect(await third).toBe(true)
    expect(logged()).toEqual(["begin", "begin", "end"])
    expect(await prompt.ask(TEXT, AbortSignal.abort())).toBe(false)
    expect(logged()).toHaveLength(3)
  })

  test("a yes that comes when the client is gone is none", async () => {
    const prompt = promptWith("trap 'exit 0' TERM; while :; do sleep 0.05; done")
    const gone = new AbortController()
    const answer = prompt.ask(TEXT, gone.signal)
    await until(() => existsSync(join(directory, "log.env")))
    gone.abort()
    expect(await answer).toBe(false)
  })

  test("a dialog that does not close is killed, and one that leaves a process behind holds nothing up", async () => {
    const stubborn = promptWith("trap '' TERM; while :; do sleep 0.05; done")
    const gone = new AbortController()
    const answer = stubborn.ask(TEXT, gone.signal)
    await until(() => existsSync(join(directory, "log.env")))
    standIn("zenity", "sleep 20 & true")
    gone.abort()
    expect(await answer).toBe(false)
    const started = performance.now()
    expect(await stubborn.ask(TEXT, never())).toBe(true)
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  test("a program that is gone by now is a no, and so is the next question", async () => {
    const prompt = promptWith("true")
    rmSync(join(directory, "zenity"))
    expect(await prompt.ask(TEXT, never())).toBe(false)
    expect(await prompt.ask("gitsign\0", never())).toBe(false)
  })
})

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !condition(); i++) await wait(25)
  expect(condition()).toBe(true)
}
