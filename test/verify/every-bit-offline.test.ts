/**
 * Every bit of a real signature in offline mode without a timestamp; a file of its own, so that it has a core of its own.
 *
 * @module
 */

import { describe } from "vitest"
import { everyBitOf } from "../support/every-bit.ts"

describe("commits/real-478985dd-offline-short-proof", () => everyBitOf("commits", "real-478985dd-offline-short-proof"))
