/**
 * Takes its place as an agent does: `listen.mjs FOLDER ROUNDS`. In each round it waits for a line on stdin, all others as well, and
 * then listens at `FOLDER/N.sock`; it prints `listening`, `taken` or the code of what went wrong. Whoever connects gets its pid.
 *
 * @module
 */

import { createServer } from "node:net"
import { createInterface } from "node:readline"
import { listenAt } from "../../../cache-daemon/listen.ts"
import { isGitsignError } from "../../../src/errors.ts"

const [folder = "", rounds = "1"] = process.argv.slice(2)
process.stdout.write("ok\n")
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
for (let round = 0; round < Number(rounds); round++) {
  await lines.next()
  const server = createServer((socket) => socket.on("error", () => {}).end(String(process.pid)))
  try {
    const own = await listenAt(server, `${folder}/${round}.sock`)
    process.stdout.write(own === undefined ? "taken\n" : "listening\n")
  } catch (error) {
    process.stdout.write(`${isGitsignError(error) ? error.message : error}\n`)
  }
}
await lines.next()
process.exit()
