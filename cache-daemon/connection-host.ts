/**
 * What a connection needs of its server.
 *
 * @module
 */

import type { Connection } from "./connection.ts"
import type { Conversation } from "./exchange.ts"
import type { Request } from "./protocol.ts"

/** How long a client may take; in milliseconds. */
export interface ConnectionLimits {
  /** From the connection to its hello. */
  readonly helloMs: number
  /** From the first byte of a message to its last. */
  readonly messageMs: number
  /** Without a request. */
  readonly idleMs: number
  /** For a request in which nobody is asked anything. */
  readonly requestMs: number
  /** For one in which a person logs in or is asked. */
  readonly personMs: number
  /** To take a reply; a large one gets as much for each 64 KiB. */
  readonly replyMs: number
}

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly program: string
  readonly limits: ConnectionLimits
  /** Answers a request; resolves when all of that is done. */
  handle(request: Request, conversation: Conversation): Promise<void>
  /** Ends the agent at this connection's request, but for its answer. */
  stop(connection: Connection): Promise<void>
  /** Called when {@link Connection.unfinishedBytes} may have grown. */
  grown(): void
  /** Whether a request of so many bytes may be worked on now, beside the others. */
  hasRoom(connection: Connection, bytes: number): boolean
  /** Called once it is closed, or about to be without having a say any more. */
  closed(connection: Connection): void
  log(line: string): void
}
