/**
 * What a credential depends on where a test does not say otherwise.
 *
 * @module
 */

import type { CredentialKey } from "../../cache-daemon/protocol.ts"

export const KEY: CredentialKey = {
  fulcio: "https://fulcio.example.com",
  rekor: "https://rekor.example.com",
  timestampServer: "",
  issuer: "https://issuer.example.com",
  clientID: "sigstore",
  connectorID: "",
  tokenProvider: "interactive",
  tokenIdentity: "",
  committerEmail: "",
  committerName: "",
  matchCommitter: false,
  repository: "",
}
