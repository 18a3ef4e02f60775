/**
 * A client that can send anything, to see what the agent's server makes of it.
 *
 * @module
 */

import { connect, type Socket } from "node:net"
import {
  decodeReply,
  encodeMessage,
  MessageReader,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
} from "../../cache-daemon/protocol.ts"

/** A connection to a socket, without any manners. */
export class RawClient {
  readonly socket: Socket
  /** All messages so far. */
  readonly replies: Reply[] = []
  /** How many bytes have come. */
  received = 0
  /** Resolves when the other side has closed the connection. */
  readonly closed: Promise<void>
  isClosed = false
  readonly #reader = new MessageReader()
  #wake: () => void = () => {}

  constructor(address: string | { readonly host: string; readonly port: number }) {
    this.socket = typeof address === "string" ? connect(address) : connect(address)
    this.socket.on("error", () => {})
    this.socket.on("data", (chunk) => {
      this.received += chunk.length
      this.replies.push(...this.#reader.push(chunk).map(decodeReply))
      this.#wake()
    })
    this.closed = new Promise((done) => {
      this.socket.on("close", () => {
        this.isClosed = true
        this.#wake()
        done()
      })
    })
  }

  /** Says hello, and with it whatever else. */
  hello(...requests: readonly Request[]): this {
    return this.send({ type: "hello", protocol: PROTOCOL_VERSION, program: "raw" }, ...requests)
  }

  send(...requests: readonly Request[]): this {
    this.socket.write(Buffer.concat(requests.map(encodeMessage)))
    return this
  }

  /** Waits for so many messages in all, or the end of the connection, and returns those there are. */
  async messages(count: number): Promise<readonly Reply[]> {
    while (this.replies.length < count && !this.isClosed) {
      await new Promise<void>((done) => {
        this.#wake = done
      })
    }
    return this.replies
  }

  end(): void {
    this.socket.destroy()
  }
}

/** Asks for the status over a connection of its own; undefined when there is no answer. */
export async function statusOf(path: string): Promise<Extract<Reply, { type: "status" }> | undefined> {
  const client = new RawClient(path).hello({ type: "status" })
  const [, status] = await client.messages(2)
  client.end()
  return status?.type === "status" ? status : undefined
}

/** An order for the handler of `programs/server.ts`. */
export const order = (passphrase: string): Request => ({ type: "lock", passphrase })
