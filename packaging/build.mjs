/**
 * Builds dist/: gitsign.cjs, a CommonJS file with everything git calls for each commit, gitsign-credential-cache.cjs, and beside
 * them the parts that are loaded when they are asked for, as ES modules (esbuild). With --native also dist/native/gitsign, a standalone executable (bun).
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { basename, dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
const dist = join(root, "dist")

const COMMON = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node20.19",
  // The first is of the runtime inside the standalone executable, and asked for nowhere else; the other is a native module.
  external: ["bun:ffi", "@napi-rs/keyring"],
  charset: "utf8",
  legalComments: "eof",
  logLevel: "warning",
}

/** What git calls stays in the entry, one file being faster to load than two; it is still evaluated only when it is called. */
const IN_ENTRY = new Set(["git-sign.ts", "sign-here.ts", "login.ts", "git-verify.ts", "online-verification.ts"])

/** Everything else behind `import()` becomes a file of its own, which the entry loads when it gets there. */
function lazyParts() {
  const parts = new Map()
  const plugin = {
    name: "lazy-parts",
    setup({ onResolve, resolve: resolvePath }) {
      onResolve({ filter: /.*/ }, async ({ path, kind, resolveDir, pluginData }) => {
        if (kind !== "dynamic-import" || /^(node|bun):/.test(path) || pluginData === "inner") return undefined
        if (IN_ENTRY.has(basename(path))) return undefined
        const found = await resolvePath(path, { kind, resolveDir, pluginData: "inner" })
        if (found.errors.length > 0) return { errors: found.errors }
        const digest = createHash("sha256").update(found.path.slice(root.length)).digest("hex").slice(0, 8)
        const name = `${basename(path).replace(/\.[cm]?[jt]s$/, "")}-${digest}`
        parts.set(name, found.path)
        return { path: `./lazy/${name}.mjs`, external: true }
      })
    },
  }
  return { parts, plugin }
}

/** Built beside the old one and then put in its place, so that a gitsign which is running meanwhile finds all its parts. */
async function buildForNode() {
  const fresh = `${dist}.${process.pid}`
  rmSync(fresh, { recursive: true, force: true })
  const { parts, plugin } = lazyParts()
  await build({
    ...COMMON,
    entryPoints: { gitsign: "bin/gitsign.ts", "gitsign-credential-cache": "bin/gitsign-credential-cache.ts" },
    outdir: fresh,
    outExtension: { ".js": ".cjs" },
    format: "cjs",
    banner: { js: "#!/usr/bin/env node" },
    plugins: [plugin],
  })
  await build({
    ...COMMON,
    // The code of a thread (src/audit/pool.ts) and of a process (src/keyring/helper-channel.ts) is loaded by name.
    entryPoints: {
      ...Object.fromEntries(parts),
      "audit-worker": "src/audit/worker.ts",
      "keyring-helper": "src/keyring/helper.ts",
    },
    outdir: join(fresh, "lazy"),
    outExtension: { ".js": ".mjs" },
    format: "esm",
    splitting: true,
    chunkNames: "part-[hash]",
    // CommonJS packages inside an ES module still ask for node's own modules with require().
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"\nconst require = __createRequire(import.meta.url)',
    },
  })
  for (const program of ["gitsign.cjs", "gitsign-credential-cache.cjs"]) chmodSync(join(fresh, program), 0o755)
  // What --native built stays until that is built again.
  if (existsSync(join(dist, "native"))) renameSync(join(dist, "native"), join(fresh, "native"))
  rmSync(dist, { recursive: true, force: true })
  renameSync(fresh, dist)
}

/** Called as gitsign-credential-cache, through a link of that name, the executable is that program. */
const linkName = process.platform === "win32" ? undefined : "gitsign-credential-cache"

/**
 * Without the two --no-compile-autoload flags the executable would load .env and run the preloads of bunfig.toml from the
 * directory it is started in, and git starts it in whatever repository somebody has cloned.
 */
function buildNative() {
  const bun = join(dirname(createRequire(import.meta.url).resolve("bun/package.json")), "bin", "bun.exe")
  const outfile = join(dist, "native", process.platform === "win32" ? "gitsign.exe" : "gitsign")
  mkdirSync(dirname(outfile), { recursive: true })
  const { status } = spawnSync(
    bun,
    [
      ...["build", "--compile", "--bytecode", "--format=esm", "--splitting"],
      // Less to load at each commit; stacks keep their names.
      ...["--minify", "--keep-names"],
      ...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
      // After the program the code of its threads (src/audit/pool.ts, src/keyring/helper-channel.ts).
      ...["bin/gitsign.ts", "src/audit/worker.ts", "src/keyring/helper.ts", `--outfile=${outfile}`],
    ],
    { cwd: root, stdio: ["ignore", "ignore", "inherit"] },
  )
  if (status !== 0) throw new Error(`bun build ended with ${status}`)
  if (linkName === undefined) return
  const link = join(dirname(outfile), linkName)
  rmSync(link, { force: true })
  symlinkSync(basename(outfile), link)
}

if (process.argv.includes("--native")) buildNative()
else await buildForNode()
