/**
 * Names and addresses of this machine (RFC 6761 §6.3, RFC 8252 §7.3).
 *
 * @module
 */

/** Whether `hostname`, as URL has it, can only mean this machine. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname)
}
