/**
 * Every bit of a real signature in offline mode with a timestamp; a file of its own, so that it has a core of its own.
 *
 * @module
 */

import { describe } from "vitest"
import { everyBitOf } from "../support/every-bit.ts"

describe("commits/go-offline-tsa", () => everyBitOf("commits", "go-offline-tsa"))
