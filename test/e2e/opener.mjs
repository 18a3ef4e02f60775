// Stands in for the command that opens a browser: hands the address to the test, which opens it. Usage: node opener.mjs FILE URL
import { appendFileSync } from "node:fs"

const [file, address] = process.argv.slice(2)
appendFileSync(file, `${address}\n`)
