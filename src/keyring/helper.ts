/**
 * The other end of {@link startHelper}: a process of its own under Node, a thread in the standalone executable.
 *
 * @module
 */

import { parentPort } from "node:worker_threads"
import type { HelperReply, HelperRequest } from "./helper-channel.ts"
import { perform } from "./native.ts"

const answer = async ({ seq, request }: HelperRequest): Promise<HelperReply> => ({
  seq,
  reply: await perform(request),
})

if (parentPort !== null) {
  const port = parentPort
  port.on("message", async (message: HelperRequest) => port.postMessage(await answer(message)))
} else {
  process.on("message", async (message: HelperRequest) => process.send?.(await answer(message)))
  // A call that is still under way would keep an ordinary exit waiting for it.
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))
}
