/**
 * The program that git calls as gpg.x509.program, and that people call as gitsign.
 *
 * @module
 */

import { main } from "../src/commands/main.ts"

// Everything has been written synchronously; an idle connection must not keep git waiting.
main(process.argv.slice(2), process.argv0).then((status) => process.exit(status))
