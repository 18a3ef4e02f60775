// Adds up vitest's JSON reports: names what was skipped, and ends with one line "N passed, N failed, N skipped".
import { readFileSync } from "node:fs"

let passed = 0
let failed = 0
const skipped = []
for (const file of process.argv.slice(2)) {
  const report = JSON.parse(readFileSync(file, "utf8"))
  passed += report.numPassedTests
  // A file that cannot even be loaded has no tests to count as failed.
  failed += Math.max(report.numFailedTests, report.success ? 0 : 1)
  for (const { assertionResults } of report.testResults) {
    for (const { status, fullName } of assertionResults)
      if (status !== "passed" && status !== "failed") skipped.push(fullName)
  }
}
for (const name of new Set(skipped)) console.log(`skipped: ${name}`)
console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
