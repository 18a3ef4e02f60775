/**
 * What takes minutes to show, and runs only when GITSIGN_TEST_LONG is set: an agent that signs ten thousand times keeps nothing of
 * it.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { type AgentChannel, connectAgent } from "../../cache-daemon/connect.ts"
import type { CredentialKey, TrustFiles } from "../../cache-daemon/protocol.ts"
import { KEY } from "../cache-daemon/credential-key.ts"
import { agentStatus, socketOf, stopAgent, withAgent } from "./agent-harness.ts"
import { startServices, Workspace } from "./harness.ts"

const CONNECTIONS = 4

/** How often memory is looked at, ten signatures apart. */
const LOOKS = 50

const missing = process.env.GITSIGN_TEST_LONG === undefined || !existsSync("/proc/self/status")

test.skipIf(missing)(
  "RSS after 10,000 signatures is within 10 % of that after 1,000 (GITSIGN_TEST_LONG)",
  { timeout: 900_000 },
  async () => {
    const services = await startServices()
    const token = await services.token()
    const workspace = new Workspace(services.environment)
    withAgent(workspace)
    try {
      expect(workspace.gitsign(workspace.root, "agent", "start").status).toBe(0)
      const pid = Number(agentStatus(workspace).pid)
      const { environment } = services
      const key: CredentialKey = {
        ...KEY,
        fulcio: environment.GITSIGN_FULCIO_URL ?? "",
        rekor: environment.GITSIGN_REKOR_URL ?? "",
        issuer: services.issuer,
        tokenProvider: "envvar",
      }
      const read = (path: string | undefined): string | undefined => (path ? readFileSync(path, "utf8") : undefined)
      const trust: TrustFiles = {
        trustedRoot: read(environment.GITSIGN_TRUSTED_ROOT),
        fulcioRoot: read(environment.GITSIGN_FULCIO_ROOT),
        rekorPublicKey: read(environment.SIGSTORE_REKOR_PUBLIC_KEY),
        ctLogPublicKey: read(environment.SIGSTORE_CT_LOG_PUBLIC_KEY_FILE),
        timestampCertChain: undefined,
      }
      let next = 0
      const signOne = async (channel: AgentChannel): Promise<void> => {
        const payload = Buffer.from(
          `tree ${"4b825dc642cb6eb9a060e54bf8d69288fbee4904"}\nauthor A <a@b> ${next} +0000\ncommitter A <a@b> ${next++} +0000\n\nx\n`,
        )
        channel.send({
          type: "sign",
          key,
          trust,
          limits: { signatures: 0, lifetime: 0 },
          payload,
          detached: true,
          mode: "offline",
          confirm: false,
          context: undefined,
        })
        for (;;) {
          const reply = await channel.receive(60_000)
          if (reply.type === "signed") return
          if (reply.type === "error") throw new Error(`${reply.code}: ${reply.message}`)
          if (reply.type === "token_needed") channel.send({ type: "token", identityToken: token })
        }
      }
      const signUntil = (count: number): Promise<unknown> =>
        Promise.all(
          Array.from({ length: CONNECTIONS }, async () => {
            const channel = await connectAgent(socketOf(workspace), { program: "gitsign test", timeoutMs: 5000 })
            while (next < count) await signOne(channel)
            channel.close()
          }),
        )
      /** The median over the last signatures: where between two collections a single look falls is chance. */
      const rssAfter = async (count: number): Promise<number> => {
        const seen: number[] = []
        for (let looks = LOOKS; looks >= 0; looks--) {
          await signUntil(count - looks * 10)
          seen.push(rssOf(pid))
        }
        return seen.sort((a, b) => a - b)[LOOKS / 2] ?? Number.NaN
      }
      const early = await rssAfter(1000)
      const late = await rssAfter(10_000)
      process.stderr.write(`RSS of the agent: ${early} KiB after 1,000 signatures, ${late} KiB after 10,000\n`)
      expect(late).toBeLessThan(early * 1.1)
    } finally {
      stopAgent(workspace)
      workspace.close()
      await services.close()
    }
  },
)

/** Resident memory in KiB. */
const rssOf = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
