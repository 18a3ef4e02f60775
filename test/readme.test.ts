/**
 * The README is true: its transcript is what the demo prints, its table is the option table. UPDATE_README=1 writes both.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { expect, test } from "vitest"
import { configTable } from "../src/config.ts"

const root = resolve(import.meta.dirname, "..")
const file = resolve(root, "README.md")

/** Compares a marked block of the README with what it has to be, or writes it there. */
function expectBlock(name: string, content: string, normalise: (text: string) => string = (text) => text): void {
  const readme = readFileSync(file, "utf8")
  const block = new RegExp(`(<!-- ${name} -->\n)([\\s\\S]*)(<!-- /${name} -->)`)
  if (process.env.UPDATE_README === "1") {
    writeFileSync(
      file,
      readme.replace(block, (_, begin, _old, end) => `${begin}${content}${end}`),
    )
    return
  }
  expect(normalise(block.exec(readme)?.[2] ?? "")).toBe(normalise(content))
}

/** Ids, times, ports and indexes differ from run to run. */
const withoutChance = (text: string): string =>
  text
    .replace(/\b[0-9a-f]{40}\b/g, "ID")
    .replace(/\b[0-9a-f]{7}\b(?= [GB] |\])/g, "ID")
    .replace(/127\.0\.0\.1:\d+/g, "SANDBOX")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, "TIME")
    .replace(/^Date: .*$/gm, "DATE")

test("the configuration table", () => expectBlock("config", configTable()))

test("the transcript of the demo", () => {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const demo = spawnSync(process.execPath, [resolve(root, "packaging/demo.mjs")], {
    encoding: "utf8",
    env,
    timeout: 60_000,
  })
  expect(demo.status, demo.stderr).toBe(0)
  expectBlock("demo", `\`\`\`console\n${demo.stdout.trim()}\n\`\`\`\n`, withoutChance)
}, 90_000)
