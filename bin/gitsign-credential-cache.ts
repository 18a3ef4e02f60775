/**
 * The program of this name for Node; the standalone executable is both programs, under two names.
 *
 * @module
 */

import { runCredentialCache } from "../src/commands/credential-cache.ts"
import { runProgram } from "../src/commands/program.ts"

runProgram(runCredentialCache, process.argv.slice(2)).then((status) => process.exit(status))
