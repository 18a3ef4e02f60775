/**
 * A stream to a Unix socket: Bun.connect where there is one, which is milliseconds faster to load than node:net.
 *
 * @module
 */

/** What a socket reports. After `closed` nothing comes any more. */
export interface SocketEvents {
  readonly data: (chunk: Uint8Array) => void
  readonly closed: () => void
}

/** The client's end of a connection. */
export interface ClientSocket {
  /** Sends all of these bytes, as fast as the other side takes them. */
  readonly write: (bytes: Uint8Array) => void
  /** Closes at once; what has not been sent is lost. */
  readonly close: () => void
}

/** As much of Bun.connect (https://bun.com/docs/api/tcp) as is used here. */
interface BunSocket {
  /** Takes as many bytes as go and returns their number, -1 when it is closed. */
  readonly write: (bytes: Uint8Array) => number
  readonly terminate: () => void
}

interface BunRuntime {
  readonly connect: (options: {
    readonly unix: string
    readonly socket: {
      readonly open: (socket: BunSocket) => void
      readonly data: (socket: BunSocket, chunk: Uint8Array) => void
      readonly drain: (socket: BunSocket) => void
      readonly close: () => void
      readonly error: () => void
      readonly connectError: (socket: BunSocket, error: unknown) => void
    }
  }) => Promise<unknown>
}

/**
 * Connects to the Unix socket at `path`. Rejects with the error of the system, which has its `code`: ENOENT, ECONNREFUSED, EACCES.
 */
export async function openSocket(path: string, events: SocketEvents): Promise<ClientSocket> {
  const { Bun } = globalThis as { Bun?: BunRuntime }
  return Bun === undefined ? openNodeSocket(path, events) : openBunSocket(Bun, path, events)
}

function openBunSocket(bun: BunRuntime, path: string, events: SocketEvents): Promise<ClientSocket> {
  return new Promise((done, fail) => {
    let unsent: Uint8Array[] = []
    const flush = (socket: BunSocket): void => {
      for (let first = unsent[0]; first !== undefined; first = unsent[0]) {
        const sent = Math.max(0, socket.write(first))
        if (sent < first.length) {
          unsent[0] = first.subarray(sent)
          return
        }
        unsent.shift()
      }
    }
    const opened = (socket: BunSocket): void => {
      done({
        write: (bytes) => {
          unsent.push(bytes)
          if (unsent.length === 1) flush(socket)
        },
        close: () => {
          unsent = []
          socket.terminate()
        },
      })
    }
    const connected = bun.connect({
      unix: path,
      socket: {
        open: opened,
        data: (_, chunk) => events.data(chunk),
        drain: flush,
        close: events.closed,
        error: events.closed,
        connectError: (_, error) => fail(error),
      },
    })
    connected.catch(fail)
  })
}

async function openNodeSocket(path: string, events: SocketEvents): Promise<ClientSocket> {
  const { connect } = await import("node:net")
  return new Promise((done, fail) => {
    const socket = connect(path)
    socket.on("data", events.data)
    socket.on("error", fail)
    socket.on("close", events.closed)
    socket.on("connect", () => done({ write: (bytes) => socket.write(bytes), close: () => socket.destroy() }))
  })
}
