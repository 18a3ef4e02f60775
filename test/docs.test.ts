/**
 * The documents are true: the README's transcript is what the demo prints, its table is the option table, and the
 * fixtures that docs/verification.md names give the codes that it says. UPDATE_DOCS=1 writes these blocks.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { expect, test } from "vitest"
import { configTable } from "../src/config.ts"
import { ERROR_CODES } from "../src/errors.ts"
import { type Case, casesOf } from "./support/fixtures.ts"

const root = resolve(import.meta.dirname, "..")

/** Compares a marked block of a document with what it has to be, or writes it there. */
function expectBlock(
  document: string,
  name: string,
  content: string,
  normalise: (text: string) => string = (text) => text,
): void {
  const file = resolve(root, document)
  const text = readFileSync(file, "utf8")
  const block = new RegExp(`(<!-- ${name} -->\n)([\\s\\S]*)(<!-- /${name} -->)`)
  const found = block.exec(text)?.[2]
  if (process.env.UPDATE_DOCS === "1" && found !== undefined && normalise(found) !== normalise(content)) {
    writeFileSync(
      file,
      text.replace(block, (_, begin, _old, end) => `${begin}${content}${end}`),
    )
    return
  }
  expect(normalise(found ?? "there is no such block")).toBe(normalise(content))
}

/** Ids, times, ports and indexes differ from run to run. */
const withoutChance = (text: string): string =>
  text
    .replace(/\b[0-9a-f]{40}\b/g, "ID")
    .replace(/\b[0-9a-f]{7}\b(?= [GB] |\])/g, "ID")
    .replace(/127\.0\.0\.1:\d+/g, "SANDBOX")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, "TIME")
    .replace(/\d+ m \d+ s left/g, "TIME left")
    .replace(/^Date: .*$/gm, "DATE")

test("the README's configuration table", () => expectBlock("README.md", "config", configTable()))

test("the README's transcript of the demo", () => {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const args = [resolve(root, "packaging/demo.mjs")]
  const demo = spawnSync(process.execPath, args, { encoding: "utf8", env, timeout: 60_000 })
  expect(demo.status, demo.stderr).toBe(0)
  expectBlock("README.md", "demo", `\`\`\`console\n${demo.stdout.trim()}\n\`\`\`\n`, withoutChance)
}, 90_000)

/** The first cases of a code, made ones before those from the wild, and how many more there are. */
function casesText(cases: readonly Case[]): string {
  const first = [...cases]
    .sort((a, b) => Number(b.name.startsWith("made-")) - Number(a.name.startsWith("made-")))
    .slice(0, 3)
  const links = first.map(({ kind, name }) => `[${name}](../fixtures/${kind}/${name})`)
  const more = cases.length - first.length
  return `${links.join(", ")}${more > 0 ? `, ${more} more` : ""}`
}

test("the table of codes and fixtures in docs/verification.md", () => {
  const cases = ["commits", "tags", "signatures", "conformance"].flatMap(casesOf)
  const rows = Object.keys(ERROR_CODES).flatMap((code) => {
    const found = cases.filter((one) => one.expect === code)
    return found.length === 0 ? [] : [`| \`${code}\` | ${casesText(found)} |\n`]
  })
  expectBlock(
    "docs/verification.md",
    "fixtures",
    `| code | fixtures that give exactly this code |\n| --- | --- |\n${rows.join("")}`,
  )
})

test.each([
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "docs/agent.md",
  "docs/architecture.md",
  "docs/verification.md",
  "docs/compatibility.md",
  "docs/decisions.md",
])("the links of %s lead somewhere", (document) => {
  const text = readFileSync(resolve(root, document), "utf8")
  const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, target = ""]) => target)
  expect(targets.filter((target) => !existsSync(resolve(root, dirname(document), target)))).toEqual([])
})

test("docs/verification.md and docs/policy.md name every code that a verification can end in", () => {
  const text = ["verification", "policy"].map((name) => readFileSync(resolve(root, `docs/${name}.md`), "utf8")).join("")
  const elsewhere = ["ERR_COMMITTER", "ERR_BUNDLE"]
  const codes = Object.entries(ERROR_CODES).filter(([code, { exit }]) => exit === 1 && !elsewhere.includes(code))
  expect(codes.map(([code]) => code).filter((code) => !text.includes(code))).toEqual([])
})
