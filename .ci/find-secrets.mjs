// Searches the logs of the tests for every secret that the tests have noted, and for whatever looks like a token or a private key.
// Usage: node find-secrets.mjs SECRETS LOG... Exits with 1 when there is one; prints where, never what.
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"

const [secretsFile, ...places] = process.argv.slice(2)
const secrets = new Set(
  readFileSync(secretsFile, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Buffer.from(line, "base64").toString("utf8"))
    // Shorter ones are words that stand in any log.
    .filter((text) => text.length >= 8),
)
const filesIn = (place) =>
  statSync(place).isDirectory() ? readdirSync(place).flatMap((name) => filesIn(join(place, name))) : [place]
const files = places.flatMap(filesIn)
const SHAPES = [/eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/, /-----BEGIN [A-Z ]*PRIVATE KEY-----\n/]

let found = 0
for (const file of files) {
  const text = stripVTControlCharacters(readFileSync(file, "utf8"))
  const at = (index) => text.slice(0, index).split("\n").length
  for (const one of secrets) {
    const index = text.indexOf(one)
    if (index >= 0) {
      console.log(`a secret of the tests is in ${file}, line ${at(index)}`)
      found++
    }
  }
  for (const shape of SHAPES) {
    const match = shape.exec(text)
    if (match !== null) {
      console.log(`something like a secret is in ${file}, line ${at(match.index)}`)
      found++
    }
  }
}
console.log(`${secrets.size} secrets of the tests, ${files.length} logs searched, ${found} found`)
process.exitCode = found === 0 && secrets.size > 0 ? 0 : 1
