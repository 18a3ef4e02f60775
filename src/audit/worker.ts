/**
 * The part of an audit that runs in a worker thread: checks signatures, object by object.
 *
 * @module
 */

import { parentPort, workerData } from "node:worker_threads"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import { checkObject, type StoredObject } from "./check.ts"

const { trustedRoot } = workerData as { trustedRoot: TrustedRoot }

parentPort?.on("message", ({ seq, objects }: { seq: number; objects: readonly StoredObject[] }) => {
  parentPort?.postMessage({ seq, checked: objects.map((object) => checkObject(object, trustedRoot)) })
})
