/**
 * The HTTP client against servers that behave and servers that do not.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { createHttpClient, endpoint } from "../../src/services/http.ts"
import { describeNetworkError } from "../../src/services/network-error.ts"
import { closedPort, httpServer, json, rawServer, testClient } from "./loopback.ts"

const networkError = (message: RegExp) => ({ code: "ERR_NETWORK", message: expect.stringMatching(message) })

/** How long a promise takes to settle, in milliseconds. */
async function timed(promise: Promise<unknown>): Promise<number> {
  const start = performance.now()
  await promise.catch(() => undefined)
  return performance.now() - start
}

describe("a server that behaves", () => {
  test("gets the request as it was meant and its answer is returned whole", async () => {
    const server = await httpServer(() => ({ status: 201, headers: { "X-Test": "yes" }, body: "made" }))
    const response = await testClient().request({
      url: `${server.url}/a?b=c`,
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "grüße",
    })
    expect(response.status).toBe(201)
    expect(response.headers["x-test"]).toBe("yes")
    expect(response.body.toString()).toBe("made")
    expect(response.peer).toBe(`localhost:${server.port}`)
    const [seen] = server.seen
    expect(seen).toMatchObject({ method: "POST", path: "/a?b=c", body: Buffer.from("grüße") })
    expect(seen?.headers).toMatchObject({
      "user-agent": "gitsign/test",
      "content-length": "7",
      "content-type": "text/plain",
    })
  })

  test("is asked over one connection", async () => {
    const server = await httpServer(() => json({}))
    const http = testClient()
    for (let i = 0; i < 3; i++) await http.request({ url: server.url })
    expect(server.connections()).toBe(1)
  })

  test("may close an idle connection without the next request failing", async () => {
    const server = await rawServer((socket, count) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
      // The second request on this connection finds it closed.
      if (count === 1) socket.once("data", () => socket.resetAndDestroy())
    })
    const http = testClient()
    await http.request({ url: server.url, method: "POST" })
    await expect(http.request({ url: server.url, method: "POST" })).resolves.toMatchObject({ status: 200 })
    expect(server.connections()).toBe(2)
  })

  test("sends a redirect, which is returned and not followed", async () => {
    const other = await httpServer(() => ({}))
    const server = await httpServer(() => ({ status: 307, headers: { location: other.url } }))
    const response = await testClient().request({ url: server.url, method: "POST", body: "secret" })
    expect(response.status).toBe(307)
    expect(other.seen).toHaveLength(0)
  })
})

describe("a server that does not answer", () => {
  const deadline = 250

  test("because nothing listens", async () => {
    const port = await closedPort()
    await expect(testClient().request({ url: `http://localhost:${port}` })).rejects.toMatchObject(
      networkError(new RegExp(`^localhost:${port} refused the connection$`)),
    )
  })

  test.each([
    ["hangs", ""],
    ["stops in the headers", "HTTP/1.1 200 OK\r\ncontent-"],
    ["stops in the body", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"],
    ["says 100 Continue for ever", "HTTP/1.1 100 Continue\r\n\r\n".repeat(20)],
  ] as const)("because it %s", async (_, bytes) => {
    const server = await rawServer((socket) => socket.write(bytes))
    const request = testClient().request({ url: server.url, timeoutMs: deadline })
    expect(await timed(request)).toBeLessThan(16 * deadline)
    await expect(request).rejects.toMatchObject(networkError(/^localhost:\d+ did not answer within 0\.25 s$/))
  })

  test("because it sends one byte now and then", async () => {
    const server = await rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
      const drip = setInterval(() => socket.write("."), 20)
      socket.on("close", () => clearInterval(drip))
    })
    const request = testClient().request({ url: server.url, timeoutMs: deadline })
    expect(await timed(request)).toBeLessThan(16 * deadline)
    await expect(request).rejects.toMatchObject(networkError(/did not answer within/))
  })

  test("while the caller gives up", async () => {
    const server = await rawServer(() => undefined)
    const request = testClient().request({ url: server.url, signal: AbortSignal.timeout(100) })
    expect(await timed(request)).toBeLessThan(4000)
    await expect(request).rejects.toMatchObject({ code: "ERR_CANCELLED" })
    await expect(testClient().request({ url: server.url, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "ERR_CANCELLED",
    })
  })
})

describe("a server that answers wrongly", () => {
  test.each([
    ["closes at once", "", /closed the connection before it had answered/],
    ["cuts the headers short", "HTTP/1.1 200 OK\r\ncontent-", /closed the connection before it had answered/],
    ["cuts the body short", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345", /closed the connection/],
    ["cuts a chunk short", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n123", /closed the connection/],
    ["speaks another protocol", "220 mail.example ESMTP\r\n", /did not answer in HTTP/],
    ["sends headers without end", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}\r\n`, /did not answer in HTTP/],
    [
      "has two lengths",
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n12",
      /did not answer in HTTP/,
    ],
    ["compresses unasked", "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\n1", /coding/],
    ["announces too much", "HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n1", /more than 1048576 bytes/],
    ["sends too much", `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(1_100_000)}`, /more than 1048576 bytes/],
    [
      "switches protocols",
      "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
      /closed the connection/,
    ],
  ] as const)("because it %s", async (_, bytes, message) => {
    const server = await rawServer((socket) => socket.end(bytes))
    const request = testClient().request({ url: server.url, method: "POST" })
    await expect(request).rejects.toMatchObject(networkError(message))
  })

  test("because it speaks no TLS", async () => {
    const server = await rawServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
    const request = testClient().request({ url: server.url.replace("http:", "https:") })
    await expect(request).rejects.toMatchObject(networkError(/does not speak TLS as it should/))
  })

  test("with any bytes at all: an answer or a GitsignError", { timeout: 30_000 }, async () => {
    let bytes = Buffer.alloc(0)
    const server = await rawServer((socket) => socket.end(bytes))
    const http = testClient()
    const start = fc.constantFrom("", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await fc.assert(
      fc.asyncProperty(start, fc.uint8Array({ maxLength: 200 }), async (head, rest) => {
        bytes = Buffer.concat([Buffer.from(head), rest])
        try {
          await http.request({ url: server.url, method: "POST", timeoutMs: 1000 })
        } catch (error) {
          expect(isGitsignError(error)).toBe(true)
        }
      }),
      { numRuns: 150 },
    )
  })
})

describe("trying again", () => {
  test.each([429, 502, 503, 504])("after status %i, if the request may be repeated", async (status) => {
    const server = await httpServer(() => (server.seen.length === 1 ? { status } : json({})))
    const http = testClient()
    expect((await http.request({ url: server.url })).status).toBe(200)
    expect(server.seen).toHaveLength(2)
    server.seen.length = 0
    expect((await http.request({ url: server.url, method: "POST" })).status).toBe(status)
    expect(server.seen).toHaveLength(1)
    server.seen.length = 0
    expect((await http.request({ url: server.url, method: "POST", repeatable: true })).status).toBe(200)
  })

  test("after a dropped connection, three times at most", async () => {
    const server = await rawServer((socket) => socket.resetAndDestroy())
    await expect(testClient().request({ url: server.url })).rejects.toMatchObject(networkError(/closed the connection/))
    expect(server.connections()).toBe(3)
  })

  test("not after a dropped connection if the request may have been acted upon", async () => {
    const server = await rawServer((socket) => socket.resetAndDestroy())
    await expect(testClient().request({ url: server.url, method: "POST" })).rejects.toMatchObject(
      networkError(/closed the connection/),
    )
    expect(server.connections()).toBe(1)
  })

  test("when Retry-After says so", async () => {
    const busy = { status: 429, headers: { "retry-after": "1" } }
    const server = await httpServer(() => (server.seen.length === 1 ? busy : json({})))
    const request = testClient().request({ url: server.url })
    const took = await timed(request)
    expect((await request).status).toBe(200)
    expect(took).toBeGreaterThanOrEqual(990)
  })

  test("never when Retry-After lies behind the deadline", async () => {
    const later = new Date(Date.now() + 60_000).toUTCString()
    for (const header of ["60", later]) {
      const server = await httpServer(() => ({ status: 503, headers: { "retry-after": header } }))
      const request = testClient().request({ url: server.url })
      expect(await timed(request)).toBeLessThan(4000)
      expect((await request).status).toBe(503)
      expect(server.seen).toHaveLength(1)
    }
  })

  test("ends at the deadline and names the earlier failure as its cause", async () => {
    const server = await rawServer((socket, count) => {
      if (count === 1) socket.resetAndDestroy()
    })
    await expect(testClient().request({ url: server.url, timeoutMs: 600 })).rejects.toMatchObject({
      ...networkError(/did not answer within 0\.6 s/),
      cause: networkError(/closed the connection/),
    })
  })
})

describe("an address", () => {
  test.each([
    "http://rekor.example.com/",
    "http://localhost.example.com/",
    "http://10.0.0.1/",
    "ftp://localhost/",
    "file:///etc/hosts",
    "https://user:secret@example.com/",
    "nonsense",
    "",
  ])("that is not allowed: %s", async (url) => {
    const request = createHttpClient({ userAgent: "gitsign/test" }).request({ url })
    await expect(request).rejects.toMatchObject({ code: "ERR_CONFIG" })
    await expect(request).rejects.not.toMatchObject({ message: expect.stringContaining("secret") })
  })

  test("keeps the path of the base it is made from", () => {
    expect(endpoint("https://example.com", "/api")).toBe("https://example.com/api")
    expect(endpoint("https://example.com/sigstore/", "/api")).toBe("https://example.com/sigstore/api")
  })
})

describe("the words for", () => {
  test.each([
    ["ENOTFOUND", "x.example is not known to the name service"],
    ["EAI_AGAIN", "x.example could not be looked up: the name service does not answer"],
    ["EHOSTUNREACH", "x.example cannot be reached from this network"],
    ["CERT_HAS_EXPIRED", "x.example has a certificate that is not valid now"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "x.example has a certificate for another name"],
    ["ESOMETHING", "the request to x.example failed: oops (ESOMETHING)"],
  ] as const)("%s", (code, message) => {
    expect(describeNetworkError("x.example", Object.assign(new Error("oops"), { code })).message).toBe(message)
    const both = new AggregateError([Object.assign(new Error("oops"), { code })], "oops")
    expect(describeNetworkError("x.example", both).message).toBe(message)
  })
})
