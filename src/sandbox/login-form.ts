/**
 * What the sandbox's login pages share: the form a person sends, and the answer.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http"
import type { Page } from "./login-page.ts"

/** The most that a login form takes, in bytes. */
const MAX_FORM = 4096

/** What a form holds before anybody has typed. */
export const DEFAULT_EMAIL = "dev@example.com"

/** What is said to somebody who entered something that is no e-mail address. */
export const NOT_AN_EMAIL = "Enter an e-mail address such as dev@example.com."

/** Whether a text is an e-mail address that a certificate can hold. */
export const isEmail = (text: string): boolean => /^[!-?A-~]+@[!-?A-~]+$/.test(text)

/** The fields of a form; what is longer than 4096 bytes is cut off. */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let text = ""
  for await (const chunk of request as AsyncIterable<Buffer>) {
    text += chunk.toString("utf8")
    if (text.length > MAX_FORM) break
  }
  return new URLSearchParams(text)
}

/** Sends a page with the headers it must have. */
export function sendPage(response: ServerResponse, status: number, { html, headers }: Page): void {
  response.writeHead(status, headers)
  response.end(html)
}
