/**
 * Brings a clone to where tests and demo can run: installs what the lock file names, if it is not installed, and builds dist/,
 * if a source is newer. Needs nothing installed itself, and no network where nothing is missing.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = resolve(fileURLToPath(import.meta.url), "..", "..")

/** The packages in a lock file: where each is, and in which version. */
function packagesOf(file) {
  if (!existsSync(file)) return undefined
  const { packages } = JSON.parse(readFileSync(file, "utf8"))
  return Object.entries(packages).filter(([path]) => path !== "")
}

/** npm keeps its own record of what it installed; packages for other platforms are in the lock file only. */
function isInstalled() {
  const wanted = packagesOf(join(root, "package-lock.json"))
  const present = new Map(packagesOf(join(root, "node_modules", ".package-lock.json")))
  return wanted.every(
    ([path, entry]) => present.get(path)?.version === entry.version || (entry.optional && !present.has(path)),
  )
}

const modifiedAt = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0)

function isBuilt() {
  const sources = ["bin", "src", "cache-daemon"].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true }).map((path) => join(top, path)),
  )
  const inputs = [...sources, "package.json", "package-lock.json", join("packaging", "build.mjs")]
  const builtAt = modifiedAt(join(root, "dist", "gitsign.cjs"))
  return inputs.every((path) => modifiedAt(join(root, path)) <= builtAt)
}

function run(command, args) {
  // npm is a .cmd file on Windows, which only a shell can start; the arguments are ours.
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  })
  if (status !== 0) process.exit(status ?? 1)
}

if (!isInstalled()) run("npm", ["ci", "--no-audit", "--no-fund"])
if (!isBuilt()) run(process.execPath, [join("packaging", "build.mjs")])
