/**
 * JWT-SVIDs from a SPIFFE Workload API.
 *
 * @module
 */

import { chownSync, linkSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { status } from "@grpc/grpc-js"
import { describe, expect, onTestFinished, test } from "vitest"
import { spiffeToken } from "../../../src/services/oidc/spiffe.ts"
import { detectSpiffe, spiffeAddress } from "../../../src/services/oidc/spiffe-detect.ts"
import { parseIdentityToken } from "../../../src/services/oidc/token.ts"
import { closedPort, testClient } from "../loopback.ts"
import { testToken } from "../tokens.ts"
import { ISSUER, SPIFFE_ID, spiffeAgent } from "./spiffe-stand-in.ts"

const audience = "sigstore"

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "gitsign-spiffe-"))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

const environment = (socket?: string) => (socket === undefined ? {} : { SPIFFE_ENDPOINT_SOCKET: socket })

const ask = (socket: string | undefined, defaultSocket?: string, signal?: AbortSignal) =>
  spiffeToken({ env: environment(socket), audience, http: testClient(), signal }, defaultSocket)

/** A Unix socket that accepts and then does what `onConnection` does. */
async function rawSocket(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined)
    onConnection(socket)
  })
  const path = join(directory(), "api.sock")
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return path
}

describe("the address", () => {
  test.each([
    [undefined, "unix:/default.sock", "/default.sock"],
    ["  ", "unix:/default.sock", "/default.sock"],
    ["unix:///run/spire/api.sock", "unix:/run/spire/api.sock", "/run/spire/api.sock"],
    ["unix:/run/spire/api.sock", "unix:/run/spire/api.sock", "/run/spire/api.sock"],
    ["unix:///run/a%20b", "unix:/run/a b", "/run/a b"],
    ["/run/spire/api.sock", "unix:/run/spire/api.sock", "/run/spire/api.sock"],
    ["tcp://127.0.0.1:8081", "127.0.0.1:8081", undefined],
    ["tcp://[::1]:8081", "[::1]:8081", undefined],
  ])("%s", (text, target, path) => {
    expect(spiffeAddress(environment(text), "/default.sock")).toEqual({ target, path, named: Boolean(text?.trim()) })
  })

  test.each([
    "api.sock",
    "unix://host/run/api.sock",
    "unix:api.sock",
    "unix:///run/api.sock?x=1",
    "unix:///run/%00",
    "unix:///run/%ff",
    "tcp://10.0.0.1:8081",
    "tcp://localhost:8081",
    "tcp://127.0.0.1",
    "tcp://127.0.0.1:8081/path",
    "https://127.0.0.1:8081",
  ])("is refused: %s", async (text) => {
    expect(spiffeAddress(environment(text))).toBeUndefined()
    expect(detectSpiffe({ env: environment(text), audience }).applies).toBe(false)
    await expect(ask(text)).rejects.toMatchObject({ code: "ERR_CONFIG" })
  })
})

describe("whether it applies", () => {
  const detect = (socket: string | undefined, defaultSocket?: string) =>
    detectSpiffe({ env: environment(socket), audience }, defaultSocket)

  test("when the socket is there", async () => {
    const { address } = await spiffeAgent()
    expect(detect(`unix://${address}`).applies).toBe(true)
    expect(detect(undefined, address)).toEqual({ applies: true, because: `there is a socket at ${address}` })
    expect(detect("tcp://127.0.0.1:1").applies).toBe(true)
  })

  test("not when it is absent, or something else", () => {
    const file = join(directory(), "file")
    writeFileSync(file, "")
    expect(detect(file)).toEqual({ applies: false, because: "there is no socket where SPIFFE_ENDPOINT_SOCKET points" })
    expect(detect(undefined, `${file}/x`)).toEqual({ applies: false, because: `there is no socket at ${file}/x` })
  })

  test.runIf(process.getuid?.() === 0)("not when another user has put the default one there", async () => {
    const { address } = await spiffeAgent()
    chownSync(address, 65_534, 65_534)
    expect(detect(undefined, address)).toEqual({
      applies: false,
      because: `the socket at ${address} belongs to another user; name it in SPIFFE_ENDPOINT_SOCKET to use it`,
    })
    expect(detect(address).applies).toBe(true)
    await expect(ask(undefined, address)).rejects.toMatchObject({ code: "ERR_NO_TOKEN" })
  })

  test.runIf(process.getuid?.() === 0)("not when another user may put another one in its place", async () => {
    const { address } = await spiffeAgent()
    chownSync(dirname(address), 65_534, 65_534)
    expect(detect(undefined, address).applies).toBe(false)
    await expect(ask(undefined, address)).rejects.toMatchObject({ code: "ERR_NO_TOKEN" })
  })
})

describe("the token", () => {
  test("has the audience and the workload's identity", async () => {
    const { address, asked } = await spiffeAgent()
    for (const token of [await ask(`unix://${address}`), await ask(address), await ask(undefined, address)]) {
      expect(parseIdentityToken(token)).toMatchObject({ iss: ISSUER, sub: SPIFFE_ID, aud: [audience] })
    }
    expect(asked.map(({ audiences }) => audiences)).toEqual([[audience], [audience], [audience]])
  })

  test("comes over a port of this machine too, and never through a proxy", async () => {
    const { address } = await spiffeAgent({ tcp: true })
    const before = process.env.http_proxy
    process.env.http_proxy = `http://127.0.0.1:${await closedPort()}`
    onTestFinished(() => {
      if (before === undefined) delete process.env.http_proxy
      else process.env.http_proxy = before
    })
    expect(parseIdentityToken(await ask(`tcp://${address}`)).sub).toBe(SPIFFE_ID)
  })

  test("is the first where there are several", async () => {
    const { address } = await spiffeAgent({ answer: () => [testToken({ sub: "first" }), testToken({ sub: "second" })] })
    expect(parseIdentityToken(await ask(address)).sub).toBe("first")
  })
})

describe("refused", () => {
  test.each([
    [
      status.PERMISSION_DENIED,
      "no identity issued",
      "ERR_NO_TOKEN",
      /has no identity for this process: no identity issued$/,
    ],
    [status.INVALID_ARGUMENT, "audience must be specified", "ERR_OIDC", /refused: audience must be specified$/],
    [status.UNIMPLEMENTED, "no JWT here", "ERR_OIDC", /gives no JWT-SVIDs: no JWT here$/],
    [status.UNAVAILABLE, "starting", "ERR_NETWORK", /does not answer: starting$/],
    [status.INTERNAL, `bad ${testToken()}`, "ERR_OIDC", /refused: bad \(token\)$/],
  ])("with status %i: %s", async (code, details, expected, message) => {
    const { address } = await spiffeAgent({ answer: () => ({ code, details }) })
    await expect(ask(address)).rejects.toMatchObject({ code: expected, message: expect.stringMatching(message) })
  })

  test("an answer without a token, or with too much", async () => {
    for (const svids of [[], [""], ["x".repeat(70_000)]]) {
      const { address } = await spiffeAgent({ answer: () => svids })
      await expect(ask(address)).rejects.toMatchObject({ code: "ERR_OIDC" })
    }
  })

  test("a socket that nobody listens at, or that speaks something else", async () => {
    const gone = join(directory(), "gone.sock")
    await expect(ask(gone)).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `the SPIFFE Workload API at ${gone} does not answer: there is no such socket`,
    })
    await expect(ask(undefined, gone)).rejects.toMatchObject({ code: "ERR_NO_TOKEN" })
    const left = createServer()
    const original = join(directory(), "api.sock")
    await new Promise<void>((resolve) => left.listen(original, resolve))
    linkSync(original, `${original}.left`)
    await new Promise((resolve) => left.close(resolve))
    await expect(ask(`${original}.left`)).rejects.toThrow(/does not answer: nobody listens there$/)
    const other = await rawSocket((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
    await expect(ask(other)).rejects.toMatchObject({ code: "ERR_NETWORK" })
  })

  test("one that accepts and says nothing ends after ten seconds, and at once when cancelled", async () => {
    const silent = await rawSocket(() => undefined)
    await expect(ask(silent, undefined, AbortSignal.timeout(100))).rejects.toMatchObject({ code: "ERR_CANCELLED" })
    await expect(ask(silent, undefined, AbortSignal.abort())).rejects.toMatchObject({ code: "ERR_CANCELLED" })
    const begun = performance.now()
    await expect(ask(silent)).rejects.toMatchObject({ code: "ERR_NETWORK" })
    expect(performance.now() - begun).toBeLessThan(15_000)
  }, 30_000)

  test("an agent that takes the request and never answers ends as well", async () => {
    const { address, asked } = await spiffeAgent({ answer: () => undefined })
    await expect(ask(address)).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringMatching(/did not answer within 10 s$/),
    })
    expect(asked).toHaveLength(1)
  }, 30_000)
})
